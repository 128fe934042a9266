// AVX2: vpmaddubsw multiplies unsigned weights by signed activations into int16 pairs. Small
// weights leave room to add several products in int16 before widening: 2 * 15 * 127 * 8 quads,
// 2 * 31 * 127 * 4 quads and 2 * 63 * 127 * 2 quads all stay below 32768.
// q8 is taken as two nibbles, 16 * high + low, so that nothing saturates.
#include <immintrin.h>

#include <cstring>

#include "kernels.h"

namespace qwell {
namespace {

// Sums must live in registers, so loops over tokens and quads are unrolled whole.
#define QWELL_UNROLL _Pragma("GCC unroll 16")

constexpr int kInRegisters = 4;  // 2 half groups x 4 tokens of int16 sums stay in registers
constexpr int kTile = 2 * kInRegisters;
constexpr int kFewTokens = 2;  // up to here unpacking into registers pays
constexpr int kPanelTokens = kTile + 1;
constexpr int kAhead = 8;  // pairs of blocks prefetched ahead of the one being read

inline __m256i load(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

inline __m256i quad_of(const int8_t* q) {
  int32_t four;
  std::memcpy(&four, q, 4);
  return _mm256_set1_epi32(four);
}

inline __m256 scales(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// Of half a group's rows and a block: what a product of codes counts, and what the sum of its
// activations; of q4d, the zero point instead, in codes.
struct Scales {
  __m256 d, m;
};

template <Kind kind>
inline Scales scales_of(const Block& block, int half) {
  const uint16_t* at = block.d + half * 8;
  if constexpr (kind == Kind::q4d) {
    const __m128i pairs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m256i both = _mm256_cvtepu16_epi32(pairs);
    const __m256 zero = _mm256_cvtepi32_ps(_mm256_and_si256(both, _mm256_set1_epi32(255)));
    return {_mm256_cvtepi32_ps(_mm256_srli_epi32(both, 8)),
            _mm256_mul_ps(zero, _mm256_set1_ps(1 / kZeros))};
  }
  return {scales(at), kind == Kind::q4 ? scales(block.m + half * 8) : _mm256_setzero_ps()};
}

inline __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
inline __m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

// Adds here and now: left alone, GCC turns the chain into a tree and spills all the products.
inline void add(__m256i& sum, __m256i product) {
  sum = _mm256_add_epi16(sum, product);
  asm("" : "+x"(sum));
}

inline __m256i widen(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

// Quads whose products fit into one int16 sum: 2 * largest code * 127 each.
constexpr int quads_that_fit(Kind kind) {
  return kind == Kind::q6 ? 2 : kind == Kind::q5 ? 4 : kQuads;
}

// Weights of half a group (8 rows) of one block, unpacked where they are needed.
template <Kind kind>
struct Source {
  const uint8_t* quants;
  const uint8_t* bits;
  // lane vector halves of nibble vector v: quad v and quad v + 4
  inline void pair(int v, __m256i& first, __m256i& second) const {
    const __m256i raw = load(quants + v * kVector);
    first = low_nibbles(raw);
    second = high_nibbles(raw);
    for (int i = 0; i < bit_vectors(kind); ++i) {  // bit v of a byte goes to bit 4 + i of quad v
      const __m256i b = load(bits + i * kVector);
      const __m256i mask = _mm256_set1_epi8(static_cast<char>(16 << i));
      const __m256i low = _mm256_slli_epi16(b, 4 + i - v);
      const __m256i high = v >= i ? _mm256_srli_epi16(b, v - i) : _mm256_slli_epi16(b, i - v);
      first = _mm256_or_si256(first, _mm256_and_si256(low, mask));
      second = _mm256_or_si256(second, _mm256_and_si256(high, mask));
    }
  }
};

// dot[t] of one half group and block, from packed nibbles
template <Kind kind, int T>
inline void dots_packed(const uint8_t* quants, const uint8_t* bits, const int8_t* q,
                        __m256i dot[T]) {
  if constexpr (kind == Kind::q8) {
    __m256i high[T] = {}, low[T] = {};
    QWELL_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) {
      const __m256i raw = load(quants + quad * kVector);
      const __m256i h = high_nibbles(raw), l = low_nibbles(raw);
      QWELL_UNROLL
      for (int t = 0; t < T; ++t) {
        const __m256i a = quad_of(q + (quad * T + t) * 4);
        const __m256i hp = _mm256_maddubs_epi16(h, a), lp = _mm256_maddubs_epi16(l, a);
        add(high[t], hp);
        add(low[t], lp);
      }
    }
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      dot[t] = _mm256_add_epi32(_mm256_madd_epi16(high[t], _mm256_set1_epi16(16)), widen(low[t]));
    }
    return;
  }
  const Source<kind> source{quants, bits};
  __m256i lows[T] = {}, highs[T] = {};
  QWELL_UNROLL
  for (int v = 0; v < 4; ++v) {
    __m256i first, second;
    source.pair(v, first, second);
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      if (kind == Kind::q6 && v == 2) {
        dot[t] = _mm256_add_epi32(widen(lows[t]), widen(highs[t]));
        lows[t] = highs[t] = _mm256_setzero_si256();
      }
      const __m256i p = _mm256_maddubs_epi16(first, quad_of(q + (v * T + t) * 4));
      const __m256i s = _mm256_maddubs_epi16(second, quad_of(q + ((v + 4) * T + t) * 4));
      add(lows[t], p);
      add(highs[t], s);
    }
  }
  QWELL_UNROLL
  for (int t = 0; t < T; ++t) {
    if constexpr (kind == Kind::q6) {
      dot[t] = _mm256_add_epi32(dot[t], _mm256_add_epi32(widen(lows[t]), widen(highs[t])));
    } else if constexpr (kind == Kind::q5) {
      dot[t] = _mm256_add_epi32(widen(lows[t]), widen(highs[t]));
    } else {
      dot[t] = widen(_mm256_add_epi16(lows[t], highs[t]));
    }
  }
}

// Both halves of a block at once from unpacked bytes: 8 int16 sums for 4 tokens of a tile of W.
template <Kind kind, int T, int W>
inline void dots_panel(const uint8_t* panel, const int8_t* q, __m256i upper[T], __m256i lower[T]) {
  constexpr int kFit = quads_that_fit(kind);
  __m256i a[T], b[T];
  QWELL_UNROLL
  for (int quad = 0; quad < kQuads; ++quad) {
    const __m256i wa = load(panel + quad * kVector);
    const __m256i wb = load(panel + quad * kVector + 32);
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      const __m256i x = quad_of(q + (quad * W + t) * 4);
      const __m256i pa = _mm256_maddubs_epi16(wa, x), pb = _mm256_maddubs_epi16(wb, x);
      if (quad % kFit == 0) {
        if (quad > 0) {
          upper[t] = quad == kFit ? widen(a[t]) : _mm256_add_epi32(upper[t], widen(a[t]));
          lower[t] = quad == kFit ? widen(b[t]) : _mm256_add_epi32(lower[t], widen(b[t]));
        }
        a[t] = pa;
        b[t] = pb;
        continue;
      }
      add(a[t], pa);
      add(b[t], pb);
    }
  }
  QWELL_UNROLL
  for (int t = 0; t < T; ++t) {
    upper[t] = kFit < kQuads ? _mm256_add_epi32(upper[t], widen(a[t])) : widen(a[t]);
    lower[t] = kFit < kQuads ? _mm256_add_epi32(lower[t], widen(b[t])) : widen(b[t]);
  }
}

template <Kind kind>
inline __m256 scaled(__m256i dot, float dx, float sx) {
  constexpr float offset = offset_of(kind);
  const __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(dot), _mm256_set1_ps(dx));
  if constexpr (offset == 0) return value;
  return _mm256_fmadd_ps(_mm256_set1_ps(sx), _mm256_set1_ps(offset), value);
}

// Into the second level of cache: the first can wait for few lines at once, and a burst of these
// holds up what is being read. Inlined by force: GCC takes a function that only prefetches for one
// without effect and drops the call.
template <Kind kind>
__attribute__((always_inline)) inline void fetch_pair(const uint8_t* group, int pair) {
  constexpr int kBytes = pair_layout(kind).bytes;
  const uint8_t* at = group + head_bytes(kind) + pair * kBytes;
  for (int i = 0; i < kBytes; i += kVector) _mm_prefetch(at + i, _MM_HINT_T1);
}

// Lane vectors of one block as unsigned bytes.
template <Kind kind>
inline void unpack(const Block& block, uint8_t* to) {
  QWELL_UNROLL
  for (int half = 0; half < 2; ++half) {
    const Source<kind> source{block.quants + half * 32, block.bits + half * 32};
    QWELL_UNROLL
    for (int v = 0; v < 4; ++v) {
      __m256i first, second;
      source.pair(v, first, second);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + v * kVector + half * 32), first);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + (v + 4) * kVector + half * 32), second);
    }
  }
}

// What a tile of W tokens adds up over the blocks of one group, half a group at a time.
template <Kind kind, int W>
struct Sums {
  alignas(32) float total[2][W][8] = {};
  // d * value [+ m * sum of activations], for the half's rows
  inline void add(int half, int t, const Scales& s, __m256i dot, float dx, float sx) {
    __m256 sum = _mm256_load_ps(total[half][t]);
    __m256 value = scaled<kind>(dot, dx, sx);
    if constexpr (kind == Kind::q4d) value = _mm256_fnmadd_ps(s.m, _mm256_set1_ps(sx), value);
    sum = _mm256_fmadd_ps(s.d, value, sum);
    if constexpr (kind == Kind::q4) sum = _mm256_fmadd_ps(s.m, _mm256_set1_ps(sx), sum);
    _mm256_store_ps(total[half][t], sum);
  }
  // A block's unpacked bytes times the tokens from `first` on, as many as stay in registers.
  // q, dx, sx: the block's activations
  template <int first>
  inline void add_unpacked(const uint8_t* lanes, const Block& block, const int8_t* q,
                           const float* dx, const float* sx) {
    constexpr int T = W - first < kInRegisters ? W - first : kInRegisters;
    __m256i dot[2][T];
    dots_panel<kind, T, W>(lanes, q + first * 4, dot[0], dot[1]);
    QWELL_UNROLL
    for (int half = 0; half < 2; ++half) {
      const Scales s = scales_of<kind>(block, half);
      QWELL_UNROLL
      for (int t = 0; t < T; ++t) {
        add(half, first + t, s, dot[half][t], dx[first + t], sx[first + t]);
      }
    }
  }
  // The same from packed bytes.
  inline void add_packed(const Block& block, const int8_t* q, const float* dx, const float* sx) {
    QWELL_UNROLL
    for (int half = 0; half < 2; ++half) {
      __m256i dot[W];
      dots_packed<kind, W>(block.quants + half * 32, block.bits + half * 32, q, dot);
      const Scales s = scales_of<kind>(block, half);
      QWELL_UNROLL
      for (int t = 0; t < W; ++t) add(half, t, s, dot[t], dx[t], sx[t]);
    }
  }
  inline void store(const uint8_t* group, float* y, int64_t stride, bool accumulate) const {
    [[maybe_unused]] const auto* steps = reinterpret_cast<const float*>(group);
    QWELL_UNROLL
    for (int half = 0; half < 2; ++half) {
      QWELL_UNROLL
      for (int t = 0; t < W; ++t) {
        const __m256 value = _mm256_load_ps(total[half][t]);
        float* to = y + t * stride + half * 8;
        const __m256 before = accumulate ? _mm256_loadu_ps(to) : _mm256_setzero_ps();
        if constexpr (kind == Kind::q4d) {
          _mm256_storeu_ps(to, _mm256_fmadd_ps(value, _mm256_loadu_ps(steps + half * 8), before));
        } else {
          _mm256_storeu_ps(to, _mm256_add_ps(value, before));
        }
      }
    }
  }
};

// One group times one tile, straight from the packed weights.
template <Kind kind, int T>
void packed(const uint8_t* group, int blocks, const Activations& x, int first, float* y,
            int64_t stride, bool accumulate) {
  const int8_t* q = tile_q(x, first);
  const float* dx = tile_d(x, first);
  const float* sx = tile_s(x, first);
  Sums<kind, T> sums;
  alignas(kVector) uint8_t lanes[kQuads * kVector];
  for (int b = 0; b < blocks; ++b) {
    if (b % kPair == 0) fetch_pair<kind>(group, b / kPair + kAhead);
    const Block block = block_of(kind, group, b);
    const int8_t* quads = q + b * kBlock * T;
    if constexpr (T <= kFewTokens || kind == Kind::q8) {
      sums.add_packed(block, quads, dx + b * T, sx + b * T);
    } else {
      unpack<kind>(block, lanes);
      sums.template add_unpacked<0>(lanes, block, quads, dx + b * T, sx + b * T);
      if constexpr (T > kInRegisters) {
        sums.template add_unpacked<kInRegisters>(lanes, block, quads, dx + b * T, sx + b * T);
      }
    }
  }
  sums.store(group, y, stride, accumulate);
}

// The same from a panel of unpacked bytes.
template <Kind kind, int T>
void unpacked(const uint8_t* group, int blocks, const uint8_t* panel, const Activations& x,
              int first, float* y, int64_t stride, bool accumulate, const uint8_t* next) {
  const int8_t* q = tile_q(x, first);
  const float* dx = tile_d(x, first);
  const float* sx = tile_s(x, first);
  Sums<kind, T> sums;
  for (int b = 0; b < blocks; ++b) {
    if (next != nullptr && b % kPair == 0) fetch_pair<kind>(next, b / kPair);
    sums.template add_unpacked<0>(panel + b * kQuads * kVector, block_of(kind, group, b),
                                  q + b * kBlock * T, dx + b * T, sx + b * T);
  }
  if constexpr (T > kInRegisters) {  // a second walk: what it needs of the first one's is in cache
    for (int b = 0; b < blocks; ++b) {
      sums.template add_unpacked<kInRegisters>(panel + b * kQuads * kVector,
                                               block_of(kind, group, b), q + b * kBlock * T,
                                               dx + b * T, sx + b * T);
    }
  }
  sums.store(group, y, stride, accumulate);
}

template <Kind kind>
void fill_panel(const uint8_t* group, int blocks, uint8_t* panel) {
  for (int b = 0; b < blocks; ++b) {
    if (b % kPair == 0) fetch_pair<kind>(group, b / kPair + kAhead);
    unpack<kind>(block_of(kind, group, b), panel + b * kQuads * kVector);
  }
}

// The codes of a quad of a block of a scan, for half a group.
template <int bits, int quad>
inline __m256i scan_codes(const uint8_t* block) {
  constexpr ScanQuad at = scan_quad(bits, quad);
  const __m256i raw = _mm256_srli_epi16(load(block + at.vector * kVector), at.shift);
  if constexpr (at.whole) return _mm256_and_si256(raw, _mm256_set1_epi8((1 << bits) - 1));
  const __m256i third = _mm256_srli_epi16(load(block + 2 * kVector), quad - 2);
  return _mm256_or_si256(_mm256_and_si256(raw, _mm256_set1_epi8(3)),
                         _mm256_and_si256(third, _mm256_set1_epi8(4)));
}

template <int bits, int quad = 0>
inline void unpack_scan(const uint8_t* block, __m256i u[kQuads]) {
  u[quad] = scan_codes<bits, quad>(block);
  if constexpr (quad + 1 < kQuads) unpack_scan<bits, quad + 1>(block, u);
}

// What a tile of T tokens adds up over the blocks of one group of a scan.
template <int T>
struct ScanSums {
  __m256 total[2][T] = {};
  __m256i dot[2][T] = {};
  template <int bits>
  inline void add(const uint8_t* block, const int8_t* q) {
    QWELL_UNROLL
    for (int half = 0; half < 2; ++half) {
      __m256i u[kQuads];
      unpack_scan<bits>(block + half * 32, u);
      QWELL_UNROLL
      for (int t = 0; t < T; ++t) {
        __m256i pairs = _mm256_setzero_si256();
        QWELL_UNROLL
        for (int quad = 0; quad < kQuads; ++quad) {
          qwell::add(pairs, _mm256_maddubs_epi16(u[quad], quad_of(q + (quad * T + t) * 4)));
        }
        dot[half][t] = _mm256_add_epi32(dot[half][t], widen(pairs));
      }
    }
  }
  template <int bits>
  inline void scale(const float* dx) {
    QWELL_UNROLL
    for (int half = 0; half < 2; ++half) {
      QWELL_UNROLL
      for (int t = 0; t < T; ++t) {
        total[half][t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[half][t]), _mm256_set1_ps(dx[t]),
                                         total[half][t]);
        dot[half][t] = _mm256_setzero_si256();
      }
    }
  }
  inline void store(const float* d, const float* centres, const float* offsets, float* y,
                    int64_t stride) const {
    QWELL_UNROLL
    for (int half = 0; half < 2; ++half) {
      QWELL_UNROLL
      for (int t = 0; t < T; ++t) {
        const __m256 value = _mm256_sub_ps(total[half][t], _mm256_set1_ps(centres[t]));
        _mm256_storeu_ps(y + t * stride + half * 8,
                         _mm256_fmadd_ps(_mm256_loadu_ps(d + half * 8), value,
                                         _mm256_set1_ps(offsets[t])));
      }
    }
  }
};

inline __m256i products(__m256i u, __m256i q) {
  return widen(_mm256_maddubs_epi16(u, q));
}

}  // namespace

}  // namespace qwell

#include "dot_row_x86.h"
#include "matmul_driver.h"
#include "scan_driver.h"

namespace qwell {
namespace avx2 {
extern const Kernels ops;
}

const Kernels& avx2_kernels() {
  static const Kernels table = [] {
    Kernels k = avx2::ops;
    k.name = "avx2";
    k.tile = kTile;
    k.matmul = matmul;
    k.scan = scan;
    k.dot_row = dot_row;
    return k;
  }();
  return table;
}

}  // namespace qwell
