// The definition: plain C++ for any machine. Every other instruction set must equal this one.
#include "half.h"
#include "kernels.h"

namespace qwell {
namespace {

// The unsigned integer of one weight.
int quant_at(Kind kind, const uint8_t* quants, const uint8_t* bits, int block, int quad, int lane) {
  if (kind == Kind::q8) return quants[(block * kQuads + quad) * kVector + lane];
  const uint8_t pair = quants[(block * 4 + quad % 4) * kVector + lane];
  const int nibble = quad < 4 ? pair & 15 : pair >> 4;
  if (kind != Kind::q5) return nibble;
  return nibble | ((bits[block * kVector + lane] >> quad & 1) << 4);
}

void matmul(const Tensor& w, int begin, int end, const Activations& x, float* out, int64_t stride,
            bool accumulate, uint8_t* panel) {
  const int n_blocks = w.blocks();
  const Planes planes = planes_of(w.kind, n_blocks);
  const Decoding how = decoding_of(w.kind);
  for (int group = begin; group < end; ++group) {
    const uint8_t* p = w.data + group * planes.bytes;
    const auto* d = reinterpret_cast<const uint16_t*>(p);
    const auto* minima = reinterpret_cast<const uint16_t*>(p + planes.minima);
    for (int block = 0; block < n_blocks; ++block) {
      for (int quad = 0; quad < kQuads; ++quad) {
        for (int lane = 0; lane < kVector; ++lane) {
          panel[(block * kQuads + quad) * kVector + lane] = static_cast<uint8_t>(
              quant_at(w.kind, p + planes.quants, p + planes.bits, block, quad, lane));
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
      for (int block = 0; block < n_blocks; ++block) {
        int32_t dots[kLanes] = {};
        for (int quad = 0; quad < kQuads; ++quad) {
          const int8_t* a = q + ((block * kQuads + quad) * tile.width + t) * 4;
          const uint8_t* u = panel + (block * kQuads + quad) * kVector;
          for (int lane = 0; lane < kVector; ++lane) dots[lane / 4] += u[lane] * a[lane % 4];
        }
        const float scale = dx[block * tile.width + t];
        const float sum = sx[block * tile.width + t];
        for (int row = 0; row < kLanes; ++row) {
          const int i = block * kLanes + row;
          sums[row] +=
              half_to_float(d[i]) * (scale * static_cast<float>(dots[row]) + how.offset * sum);
          if (w.kind == Kind::q4) sums[row] += half_to_float(minima[i]) * sum;
        }
      }
      for (int row = 0; row < kLanes; ++row) {
        y[row] = (accumulate ? y[row] : 0.0f) + how.scale * sums[row];
      }
    }
  }
}

float dot_lo(const uint8_t* row, const Activations& x) {
  const int n_blocks = x.cols / kBlock;
  const auto* d = reinterpret_cast<const uint16_t*>(row + x.cols / 2);
  float sum = 0;
  for (int block = 0; block < n_blocks; ++block) {
    int dot = 0;
    for (int i = 0; i < kBlock / 2; ++i) {
      const uint8_t pair = row[block * 16 + i];
      dot += (pair & 15) * x.q[block * kBlock + i] + (pair >> 4) * x.q[block * kBlock + i + 16];
    }
    sum += half_to_float(d[block]) * (x.d[block] * static_cast<float>(dot) - 7.5f * x.s[block]);
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
    k.dot_lo = dot_lo;
    return k;
  }();
  return table;
}

}  // namespace qwell
