// How a matrix product walks over groups and tiles, the same for every instruction set. Included by
// a matmul_*.cpp after its kernels, which are
//   packed<kind, T>(group, blocks, x, first, y, stride, accumulate)           from packed weights
//   unpacked<kind, T>(group, blocks, panel, x, first, y, stride, accumulate, next)  from unpacked
//       bytes; fetches the packed group next, if not null, into the cache
//   fill_panel<kind>(group, blocks, panel)
//   kTile (tokens of a full tile), kPanelTokens (from here on unpacking once for all tiles pays)
#pragma once

#include "kernels.h"

namespace qwell {
namespace {

// What one tile of T tokens needs of one group.
struct Task {
  const uint8_t* group;
  int blocks;
  const uint8_t* panel;  // null: packed
  const Activations& x;
  int first;  // token
  float* y;
  int64_t stride;
  bool accumulate;
  const uint8_t* next;
};

template <Kind kind, int T>
void tile(int width, const Task& t) {
  if (width < T) {
    if constexpr (T > 1) tile<kind, T - 1>(width, t);
  } else if (t.panel != nullptr) {
    unpacked<kind, T>(t.group, t.blocks, t.panel, t.x, t.first, t.y, t.stride, t.accumulate,
                      t.next);
  } else {
    packed<kind, T>(t.group, t.blocks, t.x, t.first, t.y, t.stride, t.accumulate);
  }
}

template <Kind kind>
void groups(const Tensor& w, int begin, int end, const Activations& x, float* out, int64_t stride,
            bool accumulate, uint8_t* panel) {
  if (x.m < kPanelTokens || kind == Kind::q8) panel = nullptr;  // q8 is bytes already
  for (int i = begin; i < end; ++i) {
    if (panel != nullptr) fill_panel<kind>(w.group(i), w.blocks(), panel);
    for (int first = 0; first < x.m; first += kTile) {
      const int width = x.m - first < kTile ? x.m - first : kTile;
      float* y = out + first * stride + i * kLanes;
      const int ahead = x.m - first - width;
      for (int t = 0; t < kTile && t < ahead; ++t) __builtin_prefetch(y + (width + t) * stride, 1);
      const uint8_t* next = first == 0 ? w.group(i + 1) : nullptr;  // while products are computed
      tile<kind, kTile>(width,
                        {w.group(i), w.blocks(), panel, x, first, y, stride, accumulate, next});
    }
  }
}

void matmul(const Tensor& w, int begin, int end, const Activations& x, float* out, int64_t stride,
            bool accumulate, uint8_t* panel) {
  switch (w.kind) {
    case Kind::q8:
      return groups<Kind::q8>(w, begin, end, x, out, stride, accumulate, panel);
    case Kind::q6:
      return groups<Kind::q6>(w, begin, end, x, out, stride, accumulate, panel);
    case Kind::q5:
      return groups<Kind::q5>(w, begin, end, x, out, stride, accumulate, panel);
    case Kind::q4:
      return groups<Kind::q4>(w, begin, end, x, out, stride, accumulate, panel);
    case Kind::q4d:
      return groups<Kind::q4d>(w, begin, end, x, out, stride, accumulate, panel);
    default:
      return;
  }
}

}  // namespace
}  // namespace qwell
