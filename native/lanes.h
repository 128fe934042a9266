// Sixteen floats at once, in GCC's and Clang's vector extension: one source that each
// instruction set compiles to its own registers. Included by ops.cpp only.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "half.h"

namespace qwell {
namespace {

typedef float Lanes __attribute__((vector_size(64)));
typedef int32_t IntLanes __attribute__((vector_size(64)));
typedef int8_t ByteLanes __attribute__((vector_size(16)));

inline Lanes lanes(float x) { return Lanes{} + x; }

inline Lanes load(const float* p) {
  Lanes v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float* p, Lanes v) { std::memcpy(p, &v, sizeof v); }

inline Lanes load_half(const uint16_t* p) {
#if defined(__AVX512F__)
  return reinterpret_cast<Lanes>(
      _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__F16C__)
  const __m256 a = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256 b = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)));
  Lanes v;
  std::memcpy(&v, &a, 32);
  std::memcpy(reinterpret_cast<char*>(&v) + 32, &b, 32);
  return v;
#elif defined(__aarch64__)
  float32x4_t parts[4];
  for (int i = 0; i < 4; ++i) parts[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
  Lanes v;
  std::memcpy(&v, parts, sizeof v);
  return v;
#else
  float v[16];
  for (int i = 0; i < 16; ++i) v[i] = half_to_float(p[i]);
  return load(v);
#endif
}

inline Lanes max(Lanes a, Lanes b) { return a > b ? a : b; }

// Folds halves onto each other: four operations instead of fifteen in a row.
template <typename Fold>
inline float folded(Lanes v, Fold&& fold) {
  typedef float Eight __attribute__((vector_size(32)));
  typedef float Four __attribute__((vector_size(16)));
  Eight eight[2];
  std::memcpy(eight, &v, sizeof eight);
  const Eight e = fold(eight[0], eight[1]);
  Four four[2];
  std::memcpy(four, &e, sizeof four);
  const Four f = fold(four[0], four[1]);
  return fold(fold(f[0], f[2]), fold(f[1], f[3]));
}

inline float sum(Lanes v) {
  return folded(v, [](auto a, auto b) { return a + b; });
}

// Ignores NaN in some lanes; where that matters, callers add what NaN leaves in a sum.
inline float max_of(Lanes v) {
  return folded(v, [](auto a, auto b) { return a > b ? a : b; });
}

// e^x, relative error below 2e-7 (Cody and Waite's reduction, then a polynomial of degree 6).
// x below -87 gives 0.
inline Lanes exp(Lanes x) {
  const Lanes low = lanes(-87.0f), high = lanes(88.0f);
  const Lanes c = x < low ? low : (x > high ? high : x);
  const Lanes shifter = lanes(0x1.8p23f);  // adding it rounds to a whole number
  const Lanes n = (c * 1.44269504088896341f + shifter) - shifter;
  const Lanes r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
  Lanes p = lanes(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const IntLanes exponent = (__builtin_convertvector(n, IntLanes) + 127) << 23;
  Lanes scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  const Lanes y = p * scale;
  return x < low ? Lanes{} : y;
}

}  // namespace
}  // namespace qwell
