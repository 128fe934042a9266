// Where a pass spends its time: seconds of each phase, and how much of that thread 0 waited for
// the others. Two readings of the clock per phase, about 10 us per pass of 24 layers.
#pragma once

#include <array>
#include <chrono>

namespace qwell {

enum class Phase { embed, qkv, attention, attended, gate_up, down, head };
constexpr std::array<const char*, 7> kPhaseNames = {"embed",   "qkv",  "attention", "o",
                                                    "gate_up", "down", "head"};

class PhaseClock {
 public:
  struct Time {
    double total = 0, waiting = 0;
  };

  void start() { last_ = Clock::now(); }
  void arrived() { arrived_ = Clock::now(); }
  // After a barrier: all since the last phase's end was this phase.
  void ended(Phase phase) {
    const auto now = Clock::now();
    Time& time = times_[static_cast<size_t>(phase)];
    time.total += seconds(now - last_);
    time.waiting += seconds(now - arrived_);
    last_ = now;
  }
  const std::array<Time, kPhaseNames.size()>& times() const { return times_; }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

  Clock::time_point last_, arrived_;
  std::array<Time, kPhaseNames.size()> times_{};
};

}  // namespace qwell
