// A team of threads that run the same function together. They spin for a moment and then park,
// so that a step costs no system call and an idle server costs no CPU.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace qwell {

inline void cpu_relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Memory that a thread will read next and may fetch into its cache while it waits.
struct Ahead {
  const uint8_t* data = nullptr;
  size_t bytes = 0;
};

// Wait until `word` differs from `seen`: spin for a while, then sleep in the kernel.
void wait_while_equal(const std::atomic<uint32_t>& word, uint32_t seen, int spins,
                      Ahead ahead = {});

class Team {
 public:
  // One task body for all threads: (context, thread index). Must not throw.
  using Body = void (*)(void* context, int thread);

  explicit Team(int n_threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return n_; }
  // Runs body on every thread, the caller being thread 0. Returns when all have finished.
  void run(Body body, void* context);
  // Inside a body: returns when every thread has arrived.
  void barrier();
  // Inside a body, after a barrier that follows the last use: hands out 0, 1, 2, ... to threads.
  int next() { return counter_.fetch_add(1, std::memory_order_relaxed); }
  // The same for runs of n units: ever shorter ones, so that threads finish together however fast
  // each of them is. False when all are handed out.
  bool take(int n, int* begin, int* end);
  // Barrier that also makes next() and take() begin at 0 again.
  void barrier_and_restart(Ahead ahead = {});

 private:
  void loop(int thread);
  void arrive(bool restart, Ahead ahead);

  const int n_;
  std::vector<std::thread> helpers_;
  alignas(64) std::atomic<uint32_t> epoch_{0};  // a new task, or the end
  alignas(64) std::atomic<int> running_{0};     // helpers that have not finished the task
  std::atomic<uint32_t> finished_{0};           // bumped by the last helper to finish
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};  // bumped when all have arrived
  alignas(64) std::atomic<int> counter_{0};
  Body body_ = nullptr;
  void* context_ = nullptr;
  bool ending_ = false;
};

}  // namespace qwell
