// The definition: plain C++ for any machine. Every other instruction set must equal this one.
#include <cstring>

#include "half.h"
#include "kernels.h"

namespace qwell {
namespace {

// The unsigned integer of one weight of a block.
int quant_at(Kind kind, const uint8_t* quants, const uint8_t* bits, int quad, int lane) {
  if (kind == Kind::q8) return quants[quad * kVector + lane];
  const uint8_t pair = quants[quad % 4 * kVector + lane];
  const int nibble = quad < 4 ? pair & 15 : pair >> 4;
  const int fifth = bit_vectors(kind) > 0 ? bits[lane] >> quad & 1 : 0;
  const int sixth = bit_vectors(kind) > 1 ? bits[kVector + lane] >> quad & 1 : 0;
  return nibble | fifth << 4 | sixth << 5;
}

void matmul(const Tensor& w, int begin, int end, const Activations& x, float* out, int64_t stride,
            bool accumulate, uint8_t* panel) {
  const int n_blocks = w.blocks();
  const float offset = offset_of(w.kind);
  for (int group = begin; group < end; ++group) {
    for (int b = 0; b < n_blocks; ++b) {
      const Block block = block_of(w.kind, w.group(group), b);
      for (int quad = 0; quad < kQuads; ++quad) {
        for (int lane = 0; lane < kVector; ++lane) {
          panel[(b * kQuads + quad) * kVector + lane] =
              static_cast<uint8_t>(quant_at(w.kind, block.quants, block.bits, quad, lane));
        }
      }
    }
    for (int token = 0; token < x.m; ++token) {
      const Tile tile = tile_of(x, token);
      const int t = token - tile.first;
      const int8_t* q = tile_q(x, tile.first);
      const float* dx = tile_d(x, tile.first);
      const float* sx = tile_s(x, tile.first);
      float* y = out + token * stride + group * kLanes;
      float sums[kLanes] = {};
      for (int b = 0; b < n_blocks; ++b) {
        const Block block = block_of(w.kind, w.group(group), b);
        int32_t dots[kLanes] = {};
        for (int quad = 0; quad < kQuads; ++quad) {
          const int8_t* a = q + ((b * kQuads + quad) * tile.width + t) * 4;
          const uint8_t* u = panel + (b * kQuads + quad) * kVector;
          for (int lane = 0; lane < kVector; ++lane) dots[lane / 4] += u[lane] * a[lane % 4];
        }
        const float scale = dx[b * tile.width + t];
        const float sum = sx[b * tile.width + t];
        for (int row = 0; row < kLanes; ++row) {
          const float dot = scale * static_cast<float>(dots[row]);
          if (w.kind == Kind::q4d) {
            const auto zero = static_cast<float>(block.d[row] & 255);
            sums[row] += static_cast<float>(block.d[row] >> 8) * (dot - zero / kZeros * sum);
            continue;
          }
          sums[row] += half_to_float(block.d[row]) * (dot + offset * sum);
          if (w.kind == Kind::q4) sums[row] += half_to_float(block.m[row]) * sum;
        }
      }
      float steps[kLanes];
      if (w.kind == Kind::q4d) std::memcpy(steps, w.group(group), sizeof steps);
      for (int row = 0; row < kLanes; ++row) {
        const float value = w.kind == Kind::q4d ? steps[row] * sums[row] : sums[row];
        y[row] = (accumulate ? y[row] : 0.0f) + value;
      }
    }
  }
}

void scan(const Tensor& w, int begin, int end, const Activations& x, const float* offsets,
          float* out, int64_t stride) {
  const ScanBlocks n = scan_blocks(w.cols);
  const int blocks_of[] = {n.four, n.three, n.two, n.one};
  for (int group = begin; group < end; ++group) {
    float d[kLanes];
    std::memcpy(d, w.group(group), sizeof d);
    for (int token = 0; token < x.m; ++token) {
      const Tile tile = tile_of(x, token);
      const int t = token - tile.first;
      float sums[kLanes] = {};
      const uint8_t* at = w.group(group) + kVector;
      int b = 0;
      for (int bits = 4; bits > 0; --bits) {
        for (int end_of_bits = b + blocks_of[4 - bits]; b < end_of_bits; ++b) {
          int32_t dots[kLanes] = {};
          for (int quad = 0; quad < kQuads; ++quad) {
            const int8_t* a = tile_q(x, tile.first) + ((b * kQuads + quad) * tile.width + t) * 4;
            for (int lane = 0; lane < kVector; ++lane) {
              dots[lane / 4] += scan_code(bits, at + lane, quad) * a[lane % 4];
            }
          }
          const float scale = tile_d(x, tile.first)[b * tile.width + t];
          const float sum = tile_s(x, tile.first)[b * tile.width + t];
          for (int row = 0; row < kLanes; ++row) {
            sums[row] += scale * static_cast<float>(dots[row]) - scan_centre(bits) * sum;
          }
          at += bits * kVector;
        }
      }
      float* y = out + token * stride + group * kLanes;
      for (int row = 0; row < kLanes; ++row) y[row] = offsets[token] + d[row] * sums[row];
    }
  }
}

float dot_row(const uint8_t* row, const Activations& x) {
  const auto* d = reinterpret_cast<const uint16_t*>(row + x.cols);
  float sum = 0;
  for (int block = 0; block < x.cols / kBlock; ++block) {
    int dot = 0;
    for (int i = block * kBlock; i < (block + 1) * kBlock; ++i) {
      dot += static_cast<int8_t>(row[i]) * x.q[i];
    }
    sum += half_to_float(d[block]) * x.d[block] * static_cast<float>(dot);
  }
  return sum;
}

}  // namespace

namespace portable {
extern const Kernels ops;
}

const Kernels& portable_kernels() {
  static const Kernels table = [] {
    Kernels k = portable::ops;
    k.name = "portable";
    k.tile = 4;
    k.matmul = matmul;
    k.scan = scan;
    k.dot_row = dot_row;
    return k;
  }();
  return table;
}

}  // namespace qwell
