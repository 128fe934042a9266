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

// Loops over sums must be unrolled whole, so that the sums live in registers.
#define QWELL_UNROLL _Pragma("GCC unroll 16")

#if defined(__AVX512F__)
constexpr int kWidth = 16;  // floats of a register
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

typedef float Part __attribute__((vector_size(4 * kWidth)));
typedef int32_t IntPart __attribute__((vector_size(4 * kWidth)));

// Halves down to registers: GCC passes vectors that are wider than a register through memory.
template <int N>
struct Floats {
  Floats<N / 2> low, high;
};
template <>
struct Floats<kWidth> {
  Part part;
};
using Lanes = Floats<16>;

// f of each register
template <int N = 16, typename F, typename... V>
inline Floats<N> each(F&& f, const V&... v) {
  if constexpr (N == kWidth) {
    return {f(v.part...)};
  } else {
    return {each<N / 2>(f, v.low...), each<N / 2>(f, v.high...)};
  }
}

template <int N = 16>
inline Floats<N> lanes(float x) {
  if constexpr (N == kWidth) {
    return {x - Part{}};  // 0 + x is an addition, for -0; x - 0 is x
  } else {
    return {lanes<N / 2>(x), lanes<N / 2>(x)};
  }
}

// Register by register: copied as a whole, halves go through memory in pieces that stall its next
// reading.
template <int N = 16>
inline Floats<N> load(const float* p) {
  if constexpr (N == kWidth) {
    Floats<N> v;
    std::memcpy(&v.part, p, sizeof v.part);
    return v;
  } else {
    return {load<N / 2>(p), load<N / 2>(p + N / 2)};
  }
}

template <int N>
inline void store(float* p, const Floats<N>& v) {
  if constexpr (N == kWidth) {
    std::memcpy(p, &v.part, sizeof v.part);
  } else {
    store(p, v.low);
    store(p + N / 2, v.high);
  }
}

inline Lanes operator+(Lanes a, Lanes b) {
  return each([](Part x, Part y) { return x + y; }, a, b);
}
inline Lanes operator-(Lanes a, Lanes b) {
  return each([](Part x, Part y) { return x - y; }, a, b);
}
inline Lanes operator*(Lanes a, Lanes b) {
  return each([](Part x, Part y) { return x * y; }, a, b);
}
inline Lanes operator/(Lanes a, Lanes b) {
  return each([](Part x, Part y) { return x / y; }, a, b);
}
inline Lanes operator-(Lanes a) {
  return each([](Part x) { return -x; }, a);
}
inline Lanes operator+(Lanes a, float b) { return a + lanes(b); }
inline Lanes operator-(Lanes a, float b) { return a - lanes(b); }
inline Lanes operator*(Lanes a, float b) { return a * lanes(b); }
inline Lanes operator*(float a, Lanes b) { return lanes(a) * b; }
inline Lanes operator+(float a, Lanes b) { return lanes(a) + b; }
inline Lanes& operator+=(Lanes& a, Lanes b) { return a = a + b; }

inline Lanes load_half(const uint16_t* p) {
#if defined(__AVX512F__)
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
#elif defined(__F16C__)
  return {{_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))},
          {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))}};
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

// The values rounded to whole numbers of a byte; they must be whole already.
inline void store_bytes(int8_t* p, Lanes v) {
#if defined(__AVX512F__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(v.part)));
#elif defined(__AVX2__)
  const __m256i low = _mm256_cvttps_epi32(v.low.part), high = _mm256_cvttps_epi32(v.high.part);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
#else
  float whole[16];
  store(whole, v);
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(whole[i]);
#endif
}

inline Lanes max(Lanes a, Lanes b) {
  return each([](Part x, Part y) { return x > y ? x : y; }, a, b);
}

// a where the bit of the lane is set, else b
template <int N>
inline Floats<N> where(uint32_t bits, const Floats<N>& a, const Floats<N>& b) {
  if constexpr (N == kWidth) {
    static constexpr int32_t kBits[16] = {1,       1 << 1,  1 << 2,  1 << 3, 1 << 4,  1 << 5,
                                          1 << 6,  1 << 7,  1 << 8,  1 << 9, 1 << 10, 1 << 11,
                                          1 << 12, 1 << 13, 1 << 14, 1 << 15};
    IntPart bit;
    std::memcpy(&bit, kBits, sizeof bit);
    return {((IntPart{} + static_cast<int32_t>(bits)) & bit) != 0 ? a.part : b.part};
  } else {
    return {where<N / 2>(bits, a.low, b.low), where<N / 2>(bits >> N / 2, a.high, b.high)};
  }
}

// Folds halves onto each other: four operations instead of fifteen in a row.
template <int N, typename Fold>
inline float folded(const Floats<N>& v, Fold&& fold) {
  if constexpr (N > kWidth) {
    return folded(each<N / 2>(fold, v.low, v.high), fold);
  } else {
    return folded(v.part, fold);
  }
}

template <typename Vector, typename Fold>
  requires(sizeof(Vector) >= 16 && sizeof(Vector) <= 64 && !std::is_class_v<Vector>)
inline float folded(Vector v, Fold&& fold) {
  if constexpr (sizeof(Vector) == 16) {
    return fold(fold(v[0], v[2]), fold(v[1], v[3]));
  } else {
    typedef float Half __attribute__((vector_size(sizeof(Vector) / 2)));
    Half half[2];
    std::memcpy(half, &v, sizeof half);
    const Half both = fold(half[0], half[1]);
    return folded(both, fold);
  }
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
inline Lanes exp(Lanes lanes) {
  return each(
      [](Part x) {
        const Part low = Part{} - 87.0f, high = Part{} + 88.0f;
        const Part c = x < low ? low : (x > high ? high : x);
        const float shifter = 0x1.8p23f;  // adding it rounds to a whole number
        const Part n = (c * 1.44269504088896341f + shifter) - shifter;
        const Part r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
        Part p = Part{} + 1.9875691500e-4f;
        p = p * r + 1.3981999507e-3f;
        p = p * r + 8.3334519073e-3f;
        p = p * r + 4.1665795894e-2f;
        p = p * r + 1.6666665459e-1f;
        p = p * r + 5.0000001201e-1f;
        p = p * r * r + r + 1.0f;
        const IntPart exponent = (__builtin_convertvector(n, IntPart) + 127) << 23;
        return x < low ? Part{} : p * reinterpret_cast<Part>(exponent);
      },
      lanes);
}

}  // namespace
}  // namespace qwell
