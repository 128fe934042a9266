// NEON with dot products (sdot: four signed products into each of four int32). Four rows of a lane
// vector are one register, so a group is four sums a token and nothing overflows.
// Kinds that are not written here are computed by the portable kernels.
#include <arm_neon.h>

#include <cstring>

#include "half.h"
#include "kernels.h"

namespace qwell {
namespace {

constexpr int kTile = 4;   // 4 registers of rows x 4 tokens of sums
constexpr int kParts = 4;  // registers of a lane vector

// q8 is taken as signed, so its offset is already in the weights.
constexpr float signed_offset(Kind kind) { return kind == Kind::q8 ? 0.0f : offset_of(kind); }

inline int8x16_t quad_of(const int8_t* q) {
  int32_t four;
  std::memcpy(&four, q, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

inline float32x4_t halves(const uint16_t* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

// Of four rows and a block: what a product of codes counts, and what the sum of its activations; of
// q4d, the zero point instead, in codes.
struct Scales {
  float32x4_t d, m;
};

template <Kind kind>
inline Scales scales_of(const Block& block, int part) {
  if constexpr (kind == Kind::q4d) {
    const uint16x4_t both = vld1_u16(block.d + part * 4);
    const float32x4_t zero = vcvtq_f32_u32(vmovl_u16(vand_u16(both, vdup_n_u16(255))));
    return {vcvtq_f32_u32(vmovl_u16(vshr_n_u16(both, 8))), vmulq_n_f32(zero, 1 / kZeros)};
  }
  return {halves(block.d + part * 4),
          kind == Kind::q4 ? halves(block.m + part * 4) : vdupq_n_f32(0)};
}

// Weights of one quad and four rows of a block.
template <Kind kind>
inline int8x16_t weights(const Block& block, int quad, int part) {
  if constexpr (kind == Kind::q8) {
    const uint8x16_t raw = vld1q_u8(block.quants + quad * kVector + part * 16);
    return vreinterpretq_s8_u8(veorq_u8(raw, vdupq_n_u8(128)));
  }
  const uint8x16_t raw = vld1q_u8(block.quants + quad % 4 * kVector + part * 16);
  uint8x16_t u = quad < 4 ? vandq_u8(raw, vdupq_n_u8(15)) : vshrq_n_u8(raw, 4);
  for (int i = 0; i < bit_vectors(kind); ++i) {
    const uint8x16_t bits = vld1q_u8(block.bits + i * kVector + part * 16);
    const uint8x16_t moved = vshlq_u8(bits, vdupq_n_s8(static_cast<int8_t>(4 + i - quad)));
    u = vorrq_u8(u, vandq_u8(moved, vdupq_n_u8(static_cast<uint8_t>(16 << i))));
  }
  return vreinterpretq_s8_u8(u);
}

// One group times one tile of T tokens. panel: null, or the group's weights as signed bytes.
template <Kind kind, int T>
void multiply(const uint8_t* group, int blocks, const int8_t* panel, const Activations& x,
              int first, float* y, int64_t stride, bool accumulate) {
  const int8_t* q = tile_q(x, first);
  const float* dx = tile_d(x, first);
  const float* sx = tile_s(x, first);
  float32x4_t total[kParts][T];
  for (auto& part : total) {
    for (auto& sum : part) sum = vdupq_n_f32(0);
  }
  for (int b = 0; b < blocks; ++b) {
    const Block block = block_of(kind, group, b);
    int32x4_t dot[kParts][T] = {};
    for (int quad = 0; quad < kQuads; ++quad) {
      const int at = b * kQuads + quad;
      int8x16_t activations[T];
      for (int t = 0; t < T; ++t) activations[t] = quad_of(q + (at * T + t) * 4);
      for (int part = 0; part < kParts; ++part) {
        const int8x16_t w = panel != nullptr ? vld1q_s8(panel + at * kVector + part * 16)
                                             : weights<kind>(block, quad, part);
        for (int t = 0; t < T; ++t) dot[part][t] = vdotq_s32(dot[part][t], w, activations[t]);
      }
    }
    for (int part = 0; part < kParts; ++part) {
      const Scales s = scales_of<kind>(block, part);
      for (int t = 0; t < T; ++t) {
        const float scale = dx[b * T + t], sum = sx[b * T + t];
        float32x4_t value = vmulq_n_f32(vcvtq_f32_s32(dot[part][t]), scale);
        value = vaddq_f32(value, vdupq_n_f32(signed_offset(kind) * sum));
        if constexpr (kind == Kind::q4d) value = vfmsq_n_f32(value, s.m, sum);
        total[part][t] = vfmaq_f32(total[part][t], s.d, value);
        if constexpr (kind == Kind::q4) {
          total[part][t] = vfmaq_n_f32(total[part][t], s.m, sum);
        }
      }
    }
  }
  for (int t = 0; t < T; ++t) {
    for (int part = 0; part < kParts; ++part) {
      float* to = y + t * stride + part * 4;
      const float32x4_t before = accumulate ? vld1q_f32(to) : vdupq_n_f32(0);
      if constexpr (kind == Kind::q4d) {
        const float32x4_t step = vld1q_f32(reinterpret_cast<const float*>(group) + part * 4);
        vst1q_f32(to, vfmaq_f32(before, total[part][t], step));
      } else {
        vst1q_f32(to, vaddq_f32(before, total[part][t]));
      }
    }
  }
}

template <Kind kind, int T>
void tile(int width, const uint8_t* group, int blocks, const int8_t* panel, const Activations& x,
          int first, float* y, int64_t stride, bool accumulate) {
  if constexpr (T > 1) {
    if (width < T) {
      return tile<kind, T - 1>(width, group, blocks, panel, x, first, y, stride, accumulate);
    }
  }
  multiply<kind, T>(group, blocks, panel, x, first, y, stride, accumulate);
}

template <Kind kind>
void fill(const uint8_t* group, int blocks, int8_t* panel) {
  for (int b = 0; b < blocks; ++b) {
    const Block block = block_of(kind, group, b);
    for (int quad = 0; quad < kQuads; ++quad) {
      for (int part = 0; part < kParts; ++part) {
        vst1q_s8(panel + (b * kQuads + quad) * kVector + part * 16,
                 weights<kind>(block, quad, part));
      }
    }
  }
}

template <Kind kind>
void groups(const Tensor& w, int begin, int end, const Activations& x, float* out, int64_t stride,
            bool accumulate, uint8_t* scratch) {
  auto* panel = x.m > kTile ? reinterpret_cast<int8_t*>(scratch) : nullptr;
  for (int i = begin; i < end; ++i) {
    if (panel != nullptr) fill<kind>(w.group(i), w.blocks(), panel);
    for (int first = 0; first < x.m; first += kTile) {
      tile<kind, kTile>(x.m - first, w.group(i), w.blocks(), panel, x, first,
                        out + first * stride + i * kLanes, stride, accumulate);
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
      return portable_kernels().matmul(w, begin, end, x, out, stride, accumulate, panel);
  }
}

// Weights of one quad and four rows of a block of a scan.
template <int bits>
inline int8x16_t scan_weights(const uint8_t* block, int quad, int part) {
  const uint8_t* at = block + part * 16;
  const auto moved = [&](int vector, int right) {
    return vshlq_u8(vld1q_u8(at + vector * kVector), vdupq_n_s8(static_cast<int8_t>(-right)));
  };
  const ScanQuad place = scan_quad(bits, quad);
  const uint8x16_t u = moved(place.vector, place.shift);
  if (place.whole) return vreinterpretq_s8_u8(vandq_u8(u, vdupq_n_u8((1 << bits) - 1)));
  const uint8x16_t third = vandq_u8(moved(2, quad - 2), vdupq_n_u8(4));
  return vreinterpretq_s8_u8(vorrq_u8(u, third));
}

// What a tile of T tokens adds up over the blocks of one group of a scan.
template <int T>
struct ScanSums {
  float32x4_t total[kParts][T] = {};
  int32x4_t dot[kParts][T] = {};
  template <int bits>
  inline void add(const uint8_t* block, const int8_t* q) {
    for (int quad = 0; quad < kQuads; ++quad) {
      for (int part = 0; part < kParts; ++part) {
        const int8x16_t w = scan_weights<bits>(block, quad, part);
        for (int t = 0; t < T; ++t) {
          dot[part][t] = vdotq_s32(dot[part][t], w, quad_of(q + (quad * T + t) * 4));
        }
      }
    }
  }
  template <int bits>
  inline void scale(const float* dx) {
    for (int part = 0; part < kParts; ++part) {
      for (int t = 0; t < T; ++t) {
        total[part][t] = vfmaq_n_f32(total[part][t], vcvtq_f32_s32(dot[part][t]), dx[t]);
        dot[part][t] = vdupq_n_s32(0);
      }
    }
  }
  inline void store(const float* d, const float* centres, const float* offsets, float* y,
                    int64_t stride) const {
    for (int part = 0; part < kParts; ++part) {
      for (int t = 0; t < T; ++t) {
        const float32x4_t value = vsubq_f32(total[part][t], vdupq_n_f32(centres[t]));
        vst1q_f32(y + t * stride + part * 4,
                  vfmaq_f32(vdupq_n_f32(offsets[t]), vld1q_f32(d + part * 4), value));
      }
    }
  }
};

float dot_row(const uint8_t* row, const Activations& x) {
  const int n_blocks = x.cols / kBlock;
  const auto* w = reinterpret_cast<const int8_t*>(row);
  const auto* d = reinterpret_cast<const uint16_t*>(row + x.cols);
  float sum = 0;
  for (int b = 0; b < n_blocks; ++b) {
    const int8_t *a = w + b * kBlock, *q = x.q + b * kBlock;
    int32x4_t dot = vdotq_s32(vdupq_n_s32(0), vld1q_s8(a), vld1q_s8(q));
    dot = vdotq_s32(dot, vld1q_s8(a + 16), vld1q_s8(q + 16));
    sum += half_to_float(d[b]) * x.d[b] * static_cast<float>(vaddvq_s32(dot));
  }
  return sum;
}

}  // namespace

}  // namespace qwell

#include "scan_driver.h"

namespace qwell {
namespace neon {
extern const Kernels ops;
}

const Kernels& neon_kernels() {
  static const Kernels table = [] {
    Kernels k = neon::ops;
    k.name = "neon";
    k.tile = kTile;
    k.matmul = matmul;
    k.scan = scan;
    k.dot_row = dot_row;
    return k;
  }();
  return table;
}

}  // namespace qwell
