// Sixteen floats at once, in GCC's and Clang's vector extension: one source that each
// instruction set compiles to its own registers. Included by ops.cpp only.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "half.h"

namespace qwell {
namespace {

typedef float Lanes __attribute__((vector_size(64)));
typedef int32_t IntLanes __attribute__((vector_size(64)));

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
#else
  float v[16];
  for (int i = 0; i < 16; ++i) v[i] = half_to_float(p[i]);
  return load(v);
#endif
}

inline float sum(Lanes v) {
  float total = 0;
  for (int i = 0; i < 16; ++i) total += v[i];
  return total;
}

inline Lanes max(Lanes a, Lanes b) { return a > b ? a : b; }

inline float max_of(Lanes v) {
  float most = v[0];
  for (int i = 1; i < 16; ++i) most = v[i] > most ? v[i] : most;
  return most;
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
