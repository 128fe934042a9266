// The dot product with one row of a low plane, the same for AVX2 and AVX-512: both take the 256-bit
// registers that a block fills. Included by a matmul_*.cpp after
//   products(u, q)   eight int32 sums of a block's 32 products of codes 0..31 and activations
#pragma once

#include <immintrin.h>

#include "kernels.h"

namespace qwell {
namespace {

inline float sum_of(__m256 v) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

// Bit i as 16 in byte i.
inline __m256i fifth_bits(const uint8_t* bits) {
  int32_t four;
  std::memcpy(&four, bits, 4);
  const __m256i byte_of =
      _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit_of = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(four), byte_of);
  const __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit_of), bit_of);
  return _mm256_and_si256(is_set, _mm256_set1_epi8(16));
}

inline __m256 products_of_block(const uint8_t* nibbles, const uint8_t* bits, const int8_t* q) {
  const __m128i pair = _mm_loadu_si128(reinterpret_cast<const __m128i*>(nibbles));
  const __m256i low =
      _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(pair, 4), pair), _mm256_set1_epi8(15));
  const __m256i u = _mm256_or_si256(low, fifth_bits(bits));
  return _mm256_cvtepi32_ps(
      products(u, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q))));
}

// Scales are multiplied eight blocks at a time, and two sums run side by side: a row is a few
// hundred cycles long, most of which would be waiting.
float dot_lo(const uint8_t* row, const Activations& x) {
  constexpr int kAtOnce = 8;
  const int n_blocks = x.cols / kBlock;
  const uint8_t* bits = row + x.cols / 2;
  const auto* d = reinterpret_cast<const uint16_t*>(row + low_scales(x.cols));
  __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  __m256 centres = _mm256_setzero_ps();
  int b = 0;
  for (; b + kAtOnce <= n_blocks; b += kAtOnce) {
    const __m256 scale =
        _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(d + b)));
    centres = _mm256_fmadd_ps(scale, _mm256_loadu_ps(x.s + b), centres);
    alignas(32) float scales[kAtOnce];
    _mm256_store_ps(scales, _mm256_mul_ps(scale, _mm256_loadu_ps(x.d + b)));
    QWELL_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      const __m256 dot =
          products_of_block(row + (b + i) * 16, bits + (b + i) * 4, x.q + (b + i) * kBlock);
      sums[i % 2] = _mm256_fmadd_ps(dot, _mm256_set1_ps(scales[i]), sums[i % 2]);
    }
  }
  float centre = sum_of(centres);
  for (; b < n_blocks; ++b) {
    const float scale = _cvtsh_ss(d[b]);
    const __m256 dot = products_of_block(row + b * 16, bits + b * 4, x.q + b * kBlock);
    sums[0] = _mm256_fmadd_ps(dot, _mm256_set1_ps(scale * x.d[b]), sums[0]);
    centre += scale * x.s[b];
  }
  return sum_of(_mm256_add_ps(sums[0], sums[1])) - kLowMean * centre;
}

}  // namespace
}  // namespace qwell
