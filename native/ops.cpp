// Everything of a layer but the matrix products, compiled once per instruction set (QWELL_ISA).
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels.h"
#include "lanes.h"

namespace qwell {
namespace {

// The largest of n values without their signs; NaN if any is not finite.
float most_of(const float* x, int n) {
  Lanes most{}, nothing{};
  for (int i = 0; i < n; i += 16) {
    const Lanes a = load(x + i);
    most = max(most, max(a, -a));
    nothing += a - a;
  }
  return max_of(most) + sum(nothing);
}

void quantize(const float* x, int n, const Activations& to, int token, int first_block, int span,
              float* rest) {
  const Tile tile = tile_of(to, token);
  const int t = token - tile.first;
  int8_t* q = tile_q(to, tile.first);
  float* d = tile_d(to, tile.first);
  float* s = tile_s(to, tile.first);
  float most = 0;
  for (int i = 0; i < n / kBlock; ++i) {
    const int block = first_block + i;
    const float* from = x + i * kBlock;
    if (i % span == 0) most = most_of(from, std::min(span * kBlock, n - i * kBlock));
    const Lanes a = load(from), b = load(from + 16);
    const float inverse = most > 0 ? 127.0f / most : 0.0f;
    constexpr float kShifter = 0x1.8p23f;  // adding it rounds half to even
    const Lanes ra = (a * inverse + kShifter) - kShifter, rb = (b * inverse + kShifter) - kShifter;
    const float total = sum(ra + rb);
    const float scale = most / 127.0f;  // poisoned where the block or its span is
    int8_t quads[kBlock];
    store_bytes(quads, ra);
    store_bytes(quads + 16, rb);
    for (int quad = 0; quad < kQuads; ++quad) {
      std::memcpy(q + ((block * kQuads + quad) * tile.width + t) * 4, quads + quad * 4, 4);
    }
    d[block * tile.width + t] = scale;
    s[block * tile.width + t] = scale * total;
    if (rest == nullptr) continue;
    store(rest + i * kBlock, a - ra * scale);
    store(rest + i * kBlock + 16, b - rb * scale);
  }
}

void rms_norm(const float* x, const float* weight, float eps, int n, float* out) {
  Lanes squares{};
  for (int i = 0; i < n; i += 16) squares += load(x + i) * load(x + i);
  const float scale = 1.0f / std::sqrt(sum(squares) / static_cast<float>(n) + eps);
  for (int i = 0; i < n; i += 16) store(out + i, load(x + i) * scale * load(weight + i));
}

float dot(const float* a, const float* b, int n) {
  Lanes even{}, odd{};
  int i = 0;
  for (; i + 32 <= n; i += 32) {
    even += load(a + i) * load(b + i);
    odd += load(a + i + 16) * load(b + i + 16);
  }
  if (i < n) even += load(a + i) * load(b + i);
  return sum(even + odd);
}

void silu_mul(float* gate, const float* up, int n) {
  for (int i = 0; i < n; i += 16) {
    const Lanes g = load(gate + i);
    store(gate + i, g / (1.0f + exp(-g)) * load(up + i));
  }
}

float max(const float* x, int n) {
  Lanes most = lanes(x[0]);
  Lanes nan{};  // x - x is 0 unless x is NaN or infinite, and NaN sticks
  int i = 0;
  for (; i + 16 <= n; i += 16) {
    const Lanes v = load(x + i);
    most = max(most, v);
    nan += v - v;
  }
  float best = max_of(most);
  float bad = sum(nan);
  for (; i < n; ++i) {
    best = x[i] > best ? x[i] : best;
    bad += x[i] - x[i];
  }
  return best + bad;
}

bool screen(const float* logits, const uint32_t* allowed, int n, float* out, float* peaks) {
  const Lanes nothing = lanes(-INFINITY);
  Lanes odd{};  // x - x is 0 unless x is NaN or infinite, and NaN sticks
  for (int from = 0; from < n; from += kStretch) {
    Lanes most = nothing;
    for (int i = from; i < from + kStretch; i += 16) {
      Lanes v = nothing;
      if (i + 16 <= n) {
        v = load(logits + i);
        odd += v - v;
      } else {
        float rest[16];
        for (int j = 0; j < 16; ++j) rest[j] = i + j < n ? logits[i + j] : 0;
        v = load(rest);
        odd += v - v;
        for (int j = 0; j < 16; ++j) rest[j] = i + j < n ? rest[j] : -INFINITY;
        v = load(rest);
      }
      if (allowed != nullptr && i < n) {
        v = where(allowed[i / 32] >> i % 32, v, nothing);
      }
      store(out + i, v);
      most = max(most, v);
    }
    peaks[from / kStretch] = max_of(most);
  }
  return sum(odd) == 0;
}

void weigh(const float* x, int n, float most, float temperature, float* sums) {
  const float inverse = 1 / temperature;
  for (int from = 0; from < n; from += kStretch) {
    Lanes total{};
    for (int i = from; i < from + kStretch; i += 16) total += exp((load(x + i) - most) * inverse);
    sums[from / kStretch] = sum(total);
  }
}

// Scores of one token's heads against 16 positions of transposed keys.
template <int H>
inline void score(const float* q, int head_dim, const Lanes* k, float* scores, int n_rows_stride) {
  Lanes s[H];
  QWELL_UNROLL
  for (int h = 0; h < H; ++h) s[h] = Lanes{};
  for (int i = 0; i < head_dim; ++i) {
    const Lanes key = k[i];
    QWELL_UNROLL
    for (int h = 0; h < H; ++h) s[h] += q[h * head_dim + i] * key;
  }
  QWELL_UNROLL
  for (int h = 0; h < H; ++h) store(scores + h * n_rows_stride, s[h]);
}

// Into the second level of cache. The processor's own prefetcher stops at the end of each page,
// every 32 positions of 64 numbers. Beyond the last position it asks in vain: no harm.
inline void fetch_a_span_later(const uint16_t* from, int head_dim) {
  __builtin_prefetch(from + kAttentionSpan * head_dim, 0, 2);
}

// out[h][16 dims] += sum over positions of p[h][position] * v[position][16 dims]
template <int H>
inline void mix(const float* p, const uint16_t* v, int head_dim, int n, float* out) {
  Lanes o[H];
  QWELL_UNROLL
  for (int h = 0; h < H; ++h) o[h] = load(out + h * head_dim);
  for (int i = 0; i < n; ++i) {
    fetch_a_span_later(v + i * head_dim, head_dim);
    const Lanes value = load_half(v + i * head_dim);
    QWELL_UNROLL
    for (int h = 0; h < H; ++h) o[h] += p[h * kAttentionSpan + i] * value;
  }
  QWELL_UNROLL
  for (int h = 0; h < H; ++h) store(out + h * head_dim, o[h]);
}

// Rows in bunches whose sums fit into registers.
template <typename F>
inline void in_bunches(int n, F&& f) {
#if defined(__AVX512F__)
  constexpr int kMost = 7;
#else
  constexpr int kMost = 4;
#endif
  int row = 0;
  for (; n - row >= kMost; row += kMost) f(row, std::integral_constant<int, kMost>{});
  if (kMost > 4 && n - row >= 4) {
    f(row, std::integral_constant<int, 4>{});
    row += 4;
  }
  switch (n - row) {
    case 3:
      return f(row, std::integral_constant<int, 3>{});
    case 2:
      return f(row, std::integral_constant<int, 2>{});
    case 1:
      return f(row, std::integral_constant<int, 1>{});
    default:
      return;
  }
}

// Softmax attention over spans of positions with a running maximum (Milakov and Gimelshein 2018;
// Dao et al. 2022), so that no score outlives its span. Rows are token-major: t * n_heads + h.
void attend(const Attention& a) {
  const int rows = a.n_tokens * a.n_heads;
  const int dim = a.head_dim;
  const int end = a.position + a.n_tokens;        // positions seen by the last token
  float* scores = a.work;                         // [rows][span]
  float* mixed = scores + rows * kAttentionSpan;  // [rows][dim]
  float* queries = mixed + rows * dim;            // [rows][dim], scaled
  float* most = queries + rows * dim;             // [rows]
  float* total = most + rows;                     // [rows]
  Lanes keys[256];                                // [dim] of 16 positions
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  for (int r = 0; r < rows; ++r) {
    const float* q = a.q + (r / a.n_heads) * a.q_stride + (r % a.n_heads) * dim;
    for (int i = 0; i < dim; ++i) queries[r * dim + i] = q[i] * scale;
    std::memset(mixed + r * dim, 0, sizeof(float) * static_cast<size_t>(dim));
    most[r] = -INFINITY;
    total[r] = 0;
  }
  for (int begin = 0; begin < end; begin += kAttentionSpan) {
    const int n = end - begin < kAttentionSpan ? end - begin : kAttentionSpan;
    for (int p = 0; p < n; p += 16) {
      const uint16_t* k = a.cache.k + static_cast<int64_t>(begin + p) * dim;
      for (int i = 0; i < dim; ++i) {
        fetch_a_span_later(k + i * 16, dim);
        keys[i] = load_half(k + i * 16);
      }
      in_bunches(rows, [&](int row, auto h) {
        score<h()>(queries + row * dim, dim, keys, scores + row * kAttentionSpan + p,
                   kAttentionSpan);
      });
    }
    const int padded = (n + 15) / 16 * 16;
    for (int r = 0; r < rows; ++r) {
      float* row = scores + r * kAttentionSpan;
      const int seen = a.position + r / a.n_heads + 1 - begin;  // causal: own position included
      for (int i = seen < 0 ? 0 : seen; i < padded; ++i) row[i] = -INFINITY;
      float peak = most[r];
      for (int i = 0; i < padded; i += 16) peak = std::fmax(peak, max_of(load(row + i)));
      const float keep = peak == most[r] ? 1.0f : std::exp(most[r] - peak);
      Lanes sums{};
      for (int i = 0; i < padded; i += 16) {
        const Lanes e = peak == -INFINITY ? Lanes{} : exp(load(row + i) - peak);
        store(row + i, e);
        sums += e;
      }
      total[r] = total[r] * keep + sum(sums);
      most[r] = peak;
      if (keep != 1.0f) {
        for (int i = 0; i < dim; i += 8) {
          for (int j = 0; j < 8; ++j) mixed[r * dim + i + j] *= keep;
        }
      }
    }
    const uint16_t* v = a.cache.v + static_cast<int64_t>(begin) * dim;
    in_bunches(rows, [&](int row, auto h) {
      for (int i = 0; i < dim; i += 16) {
        mix<h()>(scores + row * kAttentionSpan, v + i, dim, n, mixed + row * dim + i);
      }
    });
  }
  for (int r = 0; r < rows; ++r) {
    float* out = a.out + (r / a.n_heads) * a.out_stride + (r % a.n_heads) * dim;
    for (int i = 0; i < dim; ++i) out[i] = mixed[r * dim + i] / total[r];
  }
}

}  // namespace

namespace QWELL_ISA {
extern const Kernels ops;
const Kernels ops = {nullptr, 0,        nullptr, nullptr, nullptr, quantize, rms_norm,
                     dot,     silu_mul, attend,  max,     screen,  weigh};
}  // namespace QWELL_ISA

}  // namespace qwell
