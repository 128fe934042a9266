#include "threads.h"

namespace qwell {
namespace {

constexpr int kSpins = 1500;  // about 50 us with pause at 30-40 ns: longer than any phase differs

}  // namespace

void wait_while_equal(const std::atomic<uint32_t>& word, uint32_t seen) {
  for (int i = 0; i < kSpins; ++i) {
    if (word.load(std::memory_order_acquire) != seen) return;
    cpu_relax();
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
    wait_while_equal(epoch_, seen);
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
  if (n_ > 1) wait_while_equal(finished_, before);
}

void Team::arrive(bool restart) {
  const uint32_t generation = generation_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_) {
    arrived_.store(0, std::memory_order_relaxed);
    if (restart) counter_.store(0, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    return;
  }
  wait_while_equal(generation_, generation);
}

void Team::barrier() {
  if (n_ > 1) arrive(false);
}

void Team::barrier_and_restart() {
  if (n_ > 1) {
    arrive(true);
  } else {
    counter_.store(0, std::memory_order_relaxed);
  }
}

}  // namespace qwell
