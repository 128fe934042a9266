// How a scan walks over groups, tiles and blocks, the same for every instruction set. Included by a
// matmul_*.cpp after
//   ScanSums<T>   add<bits>(block, q), scale<bits>(dx) after all blocks of as many bits, and
//                 store(d, centres, offsets, y, stride)
//   kTile         tokens of a full tile
#pragma once

#include "kernels.h"

namespace qwell {
namespace {

constexpr int kScanAhead = 2 << 10;  // bytes fetched ahead of the block being read

// Where a walk over the blocks of a group is.
struct ScanPlace {
  const uint8_t* block;
  const int8_t* q;
  const float* dx;
};

template <int bits, int T>
inline void walk(int blocks, ScanPlace& at, ScanSums<T>& sums) {
  if (blocks == 0) return;
  for (int b = 0; b < blocks; ++b) {
    for (int i = 0; i < bits; ++i) __builtin_prefetch(at.block + kScanAhead + i * kVector);
    sums.template add<bits>(at.block, at.q);
    at.block += bits * kVector;
    at.q += kBlock * T;
  }
  sums.template scale<bits>(at.dx);
  at.dx += blocks * T;
}

// Groups [begin, end) times one tile of T tokens, or of fewer.
template <int T>
void scan_tile(const Tensor& w, int begin, int end, const Activations& x, int first,
               const float* offsets, float* out, int64_t stride) {
  if constexpr (T > 1) {
    if (x.m - first < T) {
      return scan_tile<T - 1>(w, begin, end, x, first, offsets, out, stride);
    }
  }
  const ScanBlocks n = scan_blocks(x.cols);
  float centres[T] = {};  // what the products would be if all codes lay in the middle
  const float* s = tile_s(x, first);
  const int blocks_of[] = {n.four, n.three, n.two, n.one};
  for (int bits = 4; bits > 0; --bits) {
    for (int b = 0; b < blocks_of[4 - bits]; ++b, s += T) {
      for (int t = 0; t < T; ++t) centres[t] += scan_centre(bits) * s[t];
    }
  }
  for (int i = begin; i < end; ++i) {
    const uint8_t* group = w.group(i);
    ScanPlace at{group + kVector, tile_q(x, first), tile_d(x, first)};
    ScanSums<T> sums;
    walk<4>(n.four, at, sums);
    walk<3>(n.three, at, sums);
    walk<2>(n.two, at, sums);
    walk<1>(n.one, at, sums);
    sums.store(reinterpret_cast<const float*>(group), centres, offsets + first,
               out + first * stride + i * kLanes, stride);
  }
}

void scan(const Tensor& w, int begin, int end, const Activations& x, const float* offsets,
          float* out, int64_t stride) {
  for (int first = 0; first < x.m; first += kTile) {
    scan_tile<kTile>(w, begin, end, x, first, offsets, out, stride);
  }
}

}  // namespace
}  // namespace qwell
