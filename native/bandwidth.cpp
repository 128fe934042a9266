#include "bandwidth.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <vector>

#include "threads.h"

namespace qwell {
namespace {

constexpr size_t kBytes = size_t{256} << 20;  // far larger than any cache
constexpr int kRounds = 9;

struct Reading {
  const uint64_t* data;
  size_t words;
  int threads;
  uint64_t sums[64];
};

void read_share(void* context, int thread) {
  auto& reading = *static_cast<Reading*>(context);
  const size_t share = reading.words / static_cast<size_t>(reading.threads) / 16 * 16;
  const uint64_t* p = reading.data + share * static_cast<size_t>(thread);
  uint64_t sums[16] = {};
  for (size_t i = 0; i < share; i += 16) {  // fetching ahead would make it slower
    for (size_t j = 0; j < 16; ++j) sums[j] += p[i + j];
  }
  uint64_t sum = 0;
  for (const uint64_t s : sums) sum += s;
  reading.sums[thread] = sum;  // so that the loop is not left out
}

}  // namespace

double read_bandwidth(int n_threads) {
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  madvise(memory, kBytes, MADV_HUGEPAGE);
#endif
  std::memset(memory, 1, kBytes);
  Team team(std::min(n_threads, 64));
  Reading reading{static_cast<const uint64_t*>(memory), kBytes / 8, team.size(), {}};
  std::vector<double> rates;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    team.run(read_share, &reading);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    rates.push_back(static_cast<double>(kBytes) / took.count());
  }
  munmap(memory, kBytes);
  std::nth_element(rates.begin(), rates.begin() + kRounds / 2, rates.end());
  return rates[kRounds / 2];
}

}  // namespace qwell
