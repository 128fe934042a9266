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
constexpr int kAhead = 4;  // pairs of blocks prefetched ahead of the one being read

inline __m512i load(const uint8_t* p) { return _mm512_loadu_si512(p); }

// Lane vectors of one block as unsigned bytes.
template <Kind kind>
inline void unpack(const uint8_t* quants, const uint8_t* bits, __m512i u[kQuads]) {
  if constexpr (kind == Kind::q8) {
    QWELL_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) u[quad] = load(quants + quad * kVector);
    return;
  }
  constexpr int kOrAnd = 0xf8;  // A | (B & C)
  const __m512i low = _mm512_set1_epi8(15);
  QWELL_UNROLL
  for (int v = 0; v < 4; ++v) {
    const __m512i pair = load(quants + v * kVector);
    u[v] = _mm512_and_si512(pair, low);
    u[v + 4] = _mm512_and_si512(_mm512_srli_epi16(pair, 4), low);
  }
  for (int i = 0; i < bit_vectors(kind); ++i) {  // bit v of a byte goes to bit 4 + i of quad v
    const __m512i mask = _mm512_set1_epi8(static_cast<char>(16 << i));
    const __m512i b = load(bits + i * kVector);
    QWELL_UNROLL
    for (int v = 0; v < kQuads; ++v) {
      const int left = 4 + i - v;
      const __m512i moved = left > 0 ? _mm512_slli_epi16(b, static_cast<unsigned>(left))
                                     : _mm512_srli_epi16(b, static_cast<unsigned>(-left));
      u[v] = _mm512_ternarylogic_epi64(u[v], moved, mask, kOrAnd);
    }
  }
}

// The same of a block of a scan.
template <int bits>
inline void unpack_scan(const uint8_t* block, __m512i u[kQuads]) {
  if constexpr (bits == 4) return unpack<Kind::q4>(block, nullptr, u);
  constexpr int kMost = (1 << bits) - 1, kInVector = 8 / bits;  // whole quads of a lane vector
  const __m512i most = _mm512_set1_epi8(kMost);
  constexpr int kWhole = bits == 3 ? 6 : kQuads;
  QWELL_UNROLL
  for (int quad = 0; quad < kWhole; ++quad) {
    const __m512i raw = load(block + quad / kInVector * kVector);
    u[quad] = _mm512_and_si512(_mm512_srli_epi16(raw, quad % kInVector * bits), most);
  }
  if constexpr (bits == 3) {  // two bits in what is left of a vector, the third in the last
    QWELL_UNROLL
    for (int quad = 6; quad < kQuads; ++quad) {
      const __m512i two = _mm512_srli_epi16(load(block + (quad - 6) * kVector), 6);
      const __m512i third = _mm512_srli_epi16(load(block + 2 * kVector), quad - 2);
      u[quad] = _mm512_ternarylogic_epi64(_mm512_and_si512(two, _mm512_set1_epi8(3)), third,
                                          _mm512_set1_epi8(4), 0xf8);  // A | (B & C)
    }
  }
}

inline __m512 scales(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
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
  inline void add(const __m512i* u, __m512 d, [[maybe_unused]] __m512 m, const int8_t* q,
                  const float* dx, const float* sx) {
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
      total[t] = _mm512_fmadd_ps(d, value, total[t]);
      if constexpr (kind == Kind::q4) total[t] = _mm512_fmadd_ps(m, sum, total[t]);
    }
  }
  inline void store(float* y, int64_t stride, bool accumulate) const {
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      __m512 value = total[t];
      if (accumulate) value = _mm512_add_ps(value, _mm512_loadu_ps(y + t * stride));
      _mm512_storeu_ps(y + t * stride, value);
    }
  }
};

// Inlined by force: GCC takes a function that only prefetches for one without effect and drops the
// call.
template <Kind kind>
__attribute__((always_inline)) inline void fetch_pair(const uint8_t* group, int pair) {
  constexpr int kBytes = pair_layout(kind).bytes;
  for (int i = 0; i < kBytes; i += kVector) _mm_prefetch(group + pair * kBytes + i, _MM_HINT_T0);
}

// One group times one tile, straight from the packed weights.
template <Kind kind, int T>
void packed(const uint8_t* group, int blocks, const Activations& x, int first, float* y,
            int64_t stride, bool accumulate) {
  const int8_t* q = tile_q(x, first);
  const float* dx = tile_d(x, first);
  const float* sx = tile_s(x, first);
  Sums<kind, T> sums;
  for (int b = 0; b < blocks; ++b) {
    if (b % kPair == 0) fetch_pair<kind>(group, b / kPair + kAhead);
    const Block block = block_of(kind, group, b);
    __m512i u[kQuads];
    unpack<kind>(block.quants, block.bits, u);
    const __m512 m = kind == Kind::q4 ? scales(block.m) : _mm512_setzero_ps();
    sums.add(u, scales(block.d), m, q + b * kBlock * T, dx + b * T, sx + b * T);
  }
  sums.store(y, stride, accumulate);
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
    const __m512 m = kind == Kind::q4 ? scales(block.m) : _mm512_setzero_ps();
    sums.add(u, scales(block.d), m, q + b * kBlock * T, dx + b * T, sx + b * T);
  }
  sums.store(y, stride, accumulate);
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
  ScanSums() {
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) total[t] = _mm512_setzero_ps();
  }
  template <int bits>
  inline void add(const uint8_t* block, const int8_t* q, const float* dx, const float* sx) {
    __m512i u[kQuads], dot[T];
    unpack_scan<bits>(block, u);
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) dot[t] = _mm512_setzero_si512();
    QWELL_UNROLL
    for (int quad = 0; quad < kQuads; ++quad) {
      QWELL_UNROLL
      for (int t = 0; t < T; ++t) {
        dot[t] = _mm512_dpbusd_epi32(dot[t], u[quad], quad_of(q + (quad * T + t) * 4));
      }
    }
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      const __m512 centre = _mm512_set1_ps(scan_centre(bits) * sx[t]);
      total[t] = _mm512_add_ps(total[t], _mm512_fmsub_ps(_mm512_cvtepi32_ps(dot[t]),
                                                         _mm512_set1_ps(dx[t]), centre));
    }
  }
  inline void store(const float* d, const float* offsets, float* y, int64_t stride) const {
    QWELL_UNROLL
    for (int t = 0; t < T; ++t) {
      const __m512 value =
          _mm512_fmadd_ps(_mm512_loadu_ps(d), total[t], _mm512_set1_ps(offsets[t]));
      _mm512_storeu_ps(y + t * stride, value);
    }
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
