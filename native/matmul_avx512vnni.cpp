// AVX-512 with VNNI: one vpdpbusd multiplies a lane vector (16 rows x 4 columns) by a quad.
#include <immintrin.h>

#include <cstring>

#include "kernels.h"

namespace qwell {
namespace {

// Sums must live in registers, so loops over tokens and quads are unrolled whole.
#define QWELL_UNROLL _Pragma("GCC unroll 16")

constexpr int kTile = 12;  // 12 integer and 12 float sums stay in registers
constexpr int kPanelTokens = 24;
constexpr int kAhead = 8;  // pairs of blocks prefetched ahead of the one being read

inline __m512i load(const uint8_t* p) { return _mm512_loadu_si512(p); }

// Lane vectors of one block as unsigned bytes.
template <Kind kind>
inline void unpack(const uint8_t* quants, const uint8_t* bits, __m512i u[kQuads]) {
  if constexpr (kind == Kind::q8) {
    QWELL_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) u[quad] = load(quants + quad * kVector);
    return;
  }
  constexpr int kOrAnd = 0xf8, kChoose = 0xb8;  // A | (B & C), B ? C : A
  const __m512i low = _mm512_set1_epi8(15);
  QWELL_UNROLL
  for (int v = 0; v < 4; ++v) {
    const __m512i pair = load(quants + v * kVector);
    u[v] = pair;
    u[v + 4] = _mm512_srli_epi16(pair, 4);
  }
  if (bit_vectors(kind) == 0) {
    QWELL_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) u[quad] = _mm512_and_si512(u[quad], low);
    return;
  }
  // Bit v of a byte goes to bit 4 of quad v. Two bits that are four apart are cut out at once: of
  // the byte that moves, the upper half holds the one bit alone and takes the nibble's other half.
  const __m512i b = load(bits);
  QWELL_UNROLL
  for (int v = 0; v < 4; ++v) {
    const __m512i two = _mm512_and_si512(b, _mm512_set1_epi8(static_cast<char>(17 << v)));
    const auto away = static_cast<unsigned>(v);
    u[v] = _mm512_ternarylogic_epi64(_mm512_slli_epi16(two, 4 - away), low, u[v], kChoose);
    u[v + 4] = _mm512_ternarylogic_epi64(_mm512_srli_epi16(two, away), low, u[v + 4], kChoose);
  }
  if (bit_vectors(kind) == 1) return;
  const __m512i more = load(bits + kVector), mask = _mm512_set1_epi8(32);  // to bit 5
  QWELL_UNROLL
  for (int v = 0; v < kQuads; ++v) {
    const __m512i moved = v < 5 ? _mm512_slli_epi16(more, static_cast<unsigned>(5 - v))
                                : _mm512_srli_epi16(more, static_cast<unsigned>(v - 5));
    u[v] = _mm512_ternarylogic_epi64(u[v], moved, mask, kOrAnd);
  }
}

// The codes of a quad of a block of a scan, where they lie in their bytes.
template <int bits, int quad>
inline __m512i scan_codes(const uint8_t* block) {
  constexpr ScanQuad at = scan_quad(bits, quad);
  constexpr int kMost = (1 << bits) - 1;
  const __m512i raw = load(block + at.vector * kVector);
  if constexpr (at.whole) {
    return _mm512_and_si512(raw, _mm512_set1_epi8(static_cast<char>(kMost << at.shift)));
  }
  const __m512i two = _mm512_and_si512(_mm512_srli_epi16(raw, 6), _mm512_set1_epi8(3));
  const __m512i third = _mm512_srli_epi16(load(block + 2 * kVector), quad - 2);
  return _mm512_ternarylogic_epi64(two, third, _mm512_set1_epi8(4), 0xf8);  // A | (B & C)
}

inline __m512 scales(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// Of a block: what a product of codes counts, and what the sum of its activations; of q4d, the
// zero point instead, in codes.
struct Scales {
  __m512 d, m;
};

template <Kind kind>
inline Scales scales_of(const Block& block) {
  if constexpr (kind == Kind::q4d) {
    const auto* at = reinterpret_cast<const __m256i*>(block.d);
    const __m512i both = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at));
    const __m512 zero = _mm512_cvtepi32_ps(_mm512_and_si512(both, _mm512_set1_epi32(255)));
    return {_mm512_cvtepi32_ps(_mm512_srli_epi32(both, 8)),
            _mm512_mul_ps(zero, _mm512_set1_ps(1 / kZeros))};
  }
  return {scales(block.d), kind == Kind::q4 ? scales(block.m) : _mm512_setzero_ps()};
}

inline __m512i quad_of(const int8_t* q) {
  int32_t four;
  std::memcpy(&four, q, 4);
  return _mm512_set1_epi32(four);
}

// What one tile of tokens adds up over the blocks of one group.
template <Kind kind, int T>
struct Sums {
  __m512 total[T];
  Sums() {
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) total[t] = _mm512_setzero_ps();
  }
  // u: the block's lane vectors; q, dx, sx: the block's activations
  inline void add(const __m512i* u, const Scales& scales, const int8_t* q, const float* dx,
                  const float* sx) {
    __m512i dot[T];
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) dot[t] = _mm512_setzero_si512();
    QWELL_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) {
      QWELL_UNROLL
      for (int t = 0; t < T; ++t) {
        dot[t] = _mm512_dpbusd_epi32(dot[t], u[quad], quad_of(q + (quad * T + t) * 4));
      }
    }
    constexpr float offset = offset_of(kind);
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      const __m512 sum = _mm512_set1_ps(sx[t]);
      __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(dot[t]), _mm512_set1_ps(dx[t]));
      if constexpr (offset != 0) {
        value = _mm512_fmadd_ps(sum, _mm512_set1_ps(offset), value);
      }
      if constexpr (kind == Kind::q4d) value = _mm512_fnmadd_ps(scales.m, sum, value);
      total[t] = _mm512_fmadd_ps(scales.d, value, total[t]);
      if constexpr (kind == Kind::q4) total[t] = _mm512_fmadd_ps(scales.m, sum, total[t]);
    }
  }
  inline void store(const uint8_t* group, float* y, int64_t stride, bool accumulate) const {
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      const __m512 before = accumulate ? _mm512_loadu_ps(y + t * stride) : _mm512_setzero_ps();
      if constexpr (kind == Kind::q4d) {
        _mm512_storeu_ps(y + t * stride, _mm512_fmadd_ps(total[t], _mm512_loadu_ps(group), before));
      } else {
        _mm512_storeu_ps(y + t * stride, _mm512_add_ps(total[t], before));
      }
    }
  }
};

// Into the second level of cache: the first can wait for few lines at once, and a burst of these
// holds up what is being read. Inlined by force: GCC takes a function that only prefetches for one
// without effect and drops the call.
template <Kind kind>
__attribute__((always_inline)) inline void fetch_pair(const uint8_t* group, int pair) {
  constexpr int kBytes = pair_layout(kind).bytes;
  const uint8_t* at = group + head_bytes(kind) + pair * kBytes;
  for (int i = 0; i < kBytes; i += kVector) _mm_prefetch(at + i, _MM_HINT_T1);
}

// One group of q4d times one token. Upper nibbles stay where they lie in their bytes, and the sum
// of the lower ones moves up to them, where zero points count whole. All is 16 times what it is in
// a wider tile until the end, so the result has the same bits. Nothing is fetched ahead: so
// light a loop runs ahead by itself, and was 3 to 5 % faster without.
void packed_one(const uint8_t* group, int blocks, const int8_t* q, const float* dx,
                const float* sx, float* y, bool accumulate) {
  const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(static_cast<char>(0xf0));
  const __m512i of_zero = _mm512_set1_epi32(255);
  __m512 total = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    const Block block = block_of(Kind::q4d, group, b);
    __m512i lower = _mm512_setzero_si512(), upper = _mm512_setzero_si512();
    QWELL_UNROLL
    for (int v = 0; v < 4; ++v) {
      const __m512i pair = load(block.quants + v * kVector);
      const int8_t* a = q + b * kBlock + v * 4;
      lower = _mm512_dpbusd_epi32(lower, _mm512_and_si512(pair, low), quad_of(a));
      upper = _mm512_dpbusd_epi32(upper, _mm512_and_si512(pair, high), quad_of(a + 16));
    }
    const __m512i dot = _mm512_add_epi32(upper, _mm512_slli_epi32(lower, 4));
    const auto* at = reinterpret_cast<const __m256i*>(block.d);
    const __m512i both = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at));
    const __m512 zero = _mm512_cvtepi32_ps(_mm512_and_si512(both, of_zero));
    const __m512 scale = _mm512_cvtepi32_ps(_mm512_srli_epi32(both, 8));
    __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(dot), _mm512_set1_ps(dx[b]));
    value = _mm512_fnmadd_ps(zero, _mm512_set1_ps(sx[b]), value);
    total = _mm512_fmadd_ps(scale, value, total);
  }
  static_assert(kZeros == 16);
  const __m512 step = _mm512_mul_ps(_mm512_loadu_ps(group), _mm512_set1_ps(1 / kZeros));
  const __m512 before = accumulate ? _mm512_loadu_ps(y) : _mm512_setzero_ps();
  _mm512_storeu_ps(y, _mm512_fmadd_ps(total, step, before));
}

// One group times one tile, straight from the packed weights.
template <Kind kind, int T>
void packed(const uint8_t* group, int blocks, const Activations& x, int first, float* y,
            int64_t stride, bool accumulate) {
  const int8_t* q = tile_q(x, first);
  const float* dx = tile_d(x, first);
  const float* sx = tile_s(x, first);
  if constexpr (kind == Kind::q4d && T == 1) {
    return packed_one(group, blocks, q, dx, sx, y, accumulate);
  }
  Sums<kind, T> sums;
  for (int b = 0; b < blocks; ++b) {
    if (b % kPair == 0) fetch_pair<kind>(group, b / kPair + kAhead);
    const Block block = block_of(kind, group, b);
    __m512i u[kQuads];
    unpack<kind>(block.quants, block.bits, u);
    sums.add(u, scales_of<kind>(block), q + b * kBlock * T, dx + b * T, sx + b * T);
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
    __m512i u[kQuads];
    unpack<Kind::q8>(panel + b * kQuads * kVector, nullptr, u);
    const Block block = block_of(kind, group, b);
    sums.add(u, scales_of<kind>(block), q + b * kBlock * T, dx + b * T, sx + b * T);
  }
  sums.store(group, y, stride, accumulate);
}

template <Kind kind>
void fill_panel(const uint8_t* group, int blocks, uint8_t* panel) {
  for (int b = 0; b < blocks; ++b) {
    if (b % kPair == 0) fetch_pair<kind>(group, b / kPair + kAhead);
    __m512i u[kQuads];
    const Block block = block_of(kind, group, b);
    unpack<kind>(block.quants, block.bits, u);
    QWELL_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) {
      _mm512_storeu_si512(panel + (b * kQuads + quad) * kVector, u[quad]);
    }
  }
}

// What a tile of T tokens adds up over the blocks of one group of a scan.
template <int T>
struct ScanSums {
  __m512 total[T];
  __m512i dot[T];
  ScanSums() {
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      total[t] = _mm512_setzero_ps();
      dot[t] = _mm512_setzero_si512();
    }
  }
  template <int bits, int quad = 0>
  inline void add(const uint8_t* block, const int8_t* q) {
    constexpr ScanQuad at = scan_quad(bits, quad);
    __m512i u = scan_codes<bits, quad>(block);
    if constexpr (at.whole && at.shift > 0) u = _mm512_srli_epi16(u, at.shift);
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      dot[t] = _mm512_dpbusd_epi32(dot[t], u, quad_of(q + (quad * T + t) * 4));
    }
    if constexpr (quad + 1 < kQuads) add<bits, quad + 1>(block, q);
  }
  template <int bits>
  inline void scale(const float* dx) {
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      total[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t]), _mm512_set1_ps(dx[t]), total[t]);
      dot[t] = _mm512_setzero_si512();
    }
  }
  inline void store(const float* d, const float* centres, const float* offsets, float* y,
                    int64_t stride) const {
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      const __m512 value = _mm512_sub_ps(total[t], _mm512_set1_ps(centres[t]));
      _mm512_storeu_ps(y + t * stride,
                       _mm512_fmadd_ps(_mm512_loadu_ps(d), value, _mm512_set1_ps(offsets[t])));
    }
  }
};

// Of one token alone: codes stay where they lie, and the sums of those that lie as far up are
// shifted once.
template <>
struct ScanSums<1> {
  __m512 total = _mm512_setzero_ps();
  __m512i dot[8];
  ScanSums() { clear(); }
  inline void clear() {
    QWELL_UNROLL
    for (int shift = 0; shift < 8; ++shift) dot[shift] = _mm512_setzero_si512();
  }
  template <int bits, int quad = 0>
  inline void add(const uint8_t* block, const int8_t* q) {
    constexpr ScanQuad at = scan_quad(bits, quad);
    __m512i& sum = dot[at.whole ? at.shift : 0];
    sum = _mm512_dpbusd_epi32(sum, scan_codes<bits, quad>(block), quad_of(q + quad * 4));
    if constexpr (quad + 1 < kQuads) add<bits, quad + 1>(block, q);
  }
  template <int bits>
  inline void scale(const float* dx) {
    __m512i all = dot[0];
    QWELL_UNROLL
    for (int shift = bits; shift + bits <= 8; shift += bits) {
      all = _mm512_add_epi32(all, _mm512_srai_epi32(dot[shift], static_cast<unsigned>(shift)));
    }
    total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(all), _mm512_set1_ps(*dx), total);
    clear();
  }
  inline void store(const float* d, const float* centres, const float* offsets, float* y,
                    int64_t) const {
    const __m512 value = _mm512_sub_ps(total, _mm512_set1_ps(*centres));
    _mm512_storeu_ps(y, _mm512_fmadd_ps(_mm512_loadu_ps(d), value, _mm512_set1_ps(*offsets)));
  }
};

inline __m256i products(__m256i u, __m256i q) {
  return _mm256_dpbusd_epi32(_mm256_setzero_si256(), u, q);
}

}  // namespace

}  // namespace qwell

#include "dot_row_x86.h"
#include "matmul_driver.h"
#include "scan_driver.h"

namespace qwell {
namespace avx512vnni {
extern const Kernels ops;
}

const Kernels& avx512vnni_kernels() {
  static const Kernels table = [] {
    Kernels k = avx512vnni::ops;
    k.name = "avx512vnni";
    k.tile = kTile;
    k.matmul = matmul;
    k.scan = scan;
    k.dot_row = dot_row;
    return k;
  }();
  return table;
}

}  // namespace qwell
