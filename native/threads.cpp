#include "threads.h"

#include <algorithm>

namespace qwell {
namespace {

constexpr int kSpins = 1500;         // longer than threads differ at the end of a phase
constexpr int kSpinsBetween = 6000;  // longer than choosing a token takes, so that none must wake
constexpr size_t kLine = 64, kLinesAtOnce = 4;

}  // namespace

void wait_while_equal(const std::atomic<uint32_t>& word, uint32_t seen, int spins, Ahead ahead) {
  for (int i = 0; i < spins; ++i) {
    if (word.load(std::memory_order_acquire) != seen) return;
    const size_t from = static_cast<size_t>(i) * kLine * kLinesAtOnce;
    if (from >= ahead.bytes) {
      cpu_relax();
      continue;
    }
    for (size_t line = 0; line < kLinesAtOnce; ++line) {
      __builtin_prefetch(ahead.data + from + line * kLine, 0, 2);
    }
  }
  while (word.load(std::memory_order_acquire) == seen) word.wait(seen, std::memory_order_acquire);
}

Team::Team(int n_threads) : n_(n_threads < 1 ? 1 : n_threads) {
  for (int t = 1; t < n_; ++t) helpers_.emplace_back([this, t] { loop(t); });
}

Team::~Team() {
  ending_ = true;
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (auto& helper : helpers_) helper.join();
}

void Team::loop(int thread) {
  uint32_t seen = 0;
  for (;;) {
    wait_while_equal(epoch_, seen, kSpinsBetween);
    seen = epoch_.load(std::memory_order_acquire);
    if (ending_) return;
    body_(context_, thread);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      finished_.fetch_add(1, std::memory_order_release);
      finished_.notify_one();
    }
  }
}

void Team::run(Body body, void* context) {
  body_ = body;
  context_ = context;
  counter_.store(0, std::memory_order_relaxed);
  running_.store(n_ - 1, std::memory_order_relaxed);
  const uint32_t before = finished_.load(std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  body(context, 0);
  if (n_ > 1) wait_while_equal(finished_, before, kSpins);
}

void Team::arrive(bool restart, Ahead ahead) {
  const uint32_t generation = generation_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_) {
    arrived_.store(0, std::memory_order_relaxed);
    if (restart) counter_.store(0, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    return;
  }
  wait_while_equal(generation_, generation, kSpins, ahead);
}

void Team::barrier() {
  if (n_ > 1) arrive(false, {});
}

bool Team::take(int n, int* begin, int* end) {
  int at = counter_.load(std::memory_order_relaxed);
  do {
    if (at >= n) return false;
    *begin = at;
    *end = at + std::max(1, (n - at) / (2 * n_));
  } while (!counter_.compare_exchange_weak(at, *end, std::memory_order_relaxed));
  return true;
}

void Team::barrier_and_restart(Ahead ahead) {
  if (n_ > 1) {
    arrive(true, ahead);
  } else {
    counter_.store(0, std::memory_order_relaxed);
  }
}

}  // namespace qwell
