// The dot product with one row of kind rows, the same for AVX2 and AVX-512: both take the 256-bit
// registers that a block fills. Included by a matmul_*.cpp after
//   products(u, q)   eight int32 sums of 32 products of unsigned and signed bytes, none of which
//                    is beyond 127
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

// The instructions want one unsigned factor: it is the weight without its sign, which goes to the
// activation.
inline __m256 products_of_block(const uint8_t* weights, const int8_t* activations) {
  const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights));
  const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(activations));
  return _mm256_cvtepi32_ps(products(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)));
}

// Scales are multiplied eight blocks at a time, and two sums run side by side: a row is a few
// hundred cycles long, most of which would be waiting.
float dot_row(const uint8_t* row, const Activations& x) {
  constexpr int kAtOnce = 8;
  const int n_blocks = x.cols / kBlock;
  const auto* d = reinterpret_cast<const uint16_t*>(row + x.cols);
  __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  int b = 0;
  for (; b + kAtOnce <= n_blocks; b += kAtOnce) {
    const __m256 scale = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(d + b)));
    alignas(32) float scales[kAtOnce];
    _mm256_store_ps(scales, _mm256_mul_ps(scale, _mm256_loadu_ps(x.d + b)));
    QWELL_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      const __m256 dot = products_of_block(row + (b + i) * kBlock, x.q + (b + i) * kBlock);
      sums[i % 2] = _mm256_fmadd_ps(dot, _mm256_set1_ps(scales[i]), sums[i % 2]);
    }
  }
  for (; b < n_blocks; ++b) {
    const __m256 dot = products_of_block(row + b * kBlock, x.q + b * kBlock);
    sums[0] = _mm256_fmadd_ps(dot, _mm256_set1_ps(_cvtsh_ss(d[b]) * x.d[b]), sums[0]);
  }
  return sum_of(_mm256_add_ps(sums[0], sums[1]));
}

}  // namespace
}  // namespace qwell
