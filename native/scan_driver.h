// How a scan walks over groups, tiles and blocks, the same for every instruction set. Included by a
// matmul_*.cpp after
//   ScanSums<T>   add<bits>(block, q, dx, sx) and store(d, offsets, y, stride)
//   kTile         tokens of a full tile
#pragma once

#include "kernels.h"

namespace qwell {
namespace {

constexpr int kScanAhead = 2 << 10;  // bytes fetched ahead of the block being read

// Where a walk over the blocks of a group is.
template <int T>
struct ScanPlace {
  const uint8_t* block;
  const int8_t* q;
  const float *dx, *sx;
};

template <int bits, int T>
inline void walk(int blocks, ScanPlace<T>& at, ScanSums<T>& sums) {
  for (int b = 0; b < blocks; ++b) {
    for (int i = 0; i < bits; ++i) __builtin_prefetch(at.block + kScanAhead + i * kVector);
    sums.template add<bits>(at.block, at.q, at.dx, at.sx);
    at = {at.block + bits * kVector, at.q + kBlock * T, at.dx + T, at.sx + T};
  }
}

// One group times one tile of T tokens, or of fewer.
template <int T>
void scan_tile(int width, const uint8_t* group, const Activations& x, int first,
               const float* offsets, float* y, int64_t stride) {
  if constexpr (T > 1) {
    if (width < T) return scan_tile<T - 1>(width, group, x, first, offsets, y, stride);
  }
  const ScanBlocks n = scan_blocks(x.cols);
  ScanPlace<T> at{group + kVector, tile_q(x, first), tile_d(x, first), tile_s(x, first)};
  ScanSums<T> sums;
  walk<4>(n.four, at, sums);
  walk<3>(n.three, at, sums);
  walk<2>(n.two, at, sums);
  walk<1>(n.one, at, sums);
  sums.store(reinterpret_cast<const float*>(group), offsets + first, y, stride);
}

void scan(const Tensor& w, int begin, int end, const Activations& x, const float* offsets,
          float* out, int64_t stride) {
  for (int i = begin; i < end; ++i) {
    for (int first = 0; first < x.m; first += kTile) {
      scan_tile<kTile>(x.m - first, w.group(i), x, first, offsets,
                       out + first * stride + i * kLanes, stride);
    }
  }
}

}  // namespace
}  // namespace qwell
