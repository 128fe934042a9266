// The smallest test harness: a failed check prints what it saw and makes the program fail.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace qwell {

inline int failures = 0;

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      std::printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      ++::qwell::failures;                                                \
    }                                                                     \
  } while (false)

inline bool near(float a, float b, float tolerance) {
  return std::fabs(a - b) <= tolerance * (1 + std::fabs(a) + std::fabs(b));
}

inline int verdict() {
  if (failures != 0) std::printf("%d checks failed\n", failures);
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace qwell
