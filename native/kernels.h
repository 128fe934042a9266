// The kernels that exist once per instruction set, behind one table chosen at run time.
#pragma once

#include <cstdint>

#include "pack.h"

namespace qwell {

// Activations of m tokens, quantised to int8 in blocks of 32 columns, cut into tiles of `width`
// tokens (the last tile holds the rest). Inside a tile of w tokens:
//   q  [cols/4][w][4]     int8      one quad of one token is one 4-byte broadcast
//   d  [cols/32][w]       float     scale: x = d * q
//   s  [cols/32][w]       float     d * (sum of the block's q)
struct Activations {
  int8_t* q;
  float* d;
  float* s;
  int m;
  int cols;
  int width;
};

// Keys and values of one slot and layer for one kv head, 16-bit floats.
//   k  [n_ctx/16][head_dim][16]   transposed in blocks of 16 positions
//   v  [n_ctx][head_dim]
struct Cache {
  const uint16_t* k;
  const uint16_t* v;
};

// Queries that attend to one cache: n_tokens consecutive positions from `position` on, for
// n_heads query heads that share the kv head.
//   q, out  token t, head h at [t * their stride + h * head_dim]; q is already rotated
//   work    at least attention_work(...) floats
struct Attention {
  const float* q;
  int q_stride;
  float* out;
  int out_stride;
  int n_tokens;
  int n_heads;
  int head_dim;
  int position;
  Cache cache;
  float* work;
};

constexpr int kAttentionTokens = 4;  // most tokens of one Attention
constexpr int kAttentionSpan = 64;   // positions that are scored at once
constexpr int kStretch = 64;         // logits that are looked at together

struct Kernels {
  const char* name;
  int tile;  // the widest tile of activations that matmul takes

  // out[t][row] (+)= W x for rows of groups [begin, end); out has `stride` floats a token.
  // panel: scratch of at least panel_bytes(cols).
  void (*matmul)(const Tensor& w, int begin, int end, const Activations& x, float* out,
                 int64_t stride, bool accumulate, uint8_t* panel);
  // out[t][row] = offsets[t] + d[row] * sum over blocks of  dx * (u . q) - scan_centre(bits) * s
  // for rows of groups [begin, end) of a scan. Blocks of as many bits must have the same dx.
  void (*scan)(const Tensor& w, int begin, int end, const Activations& x, const float* offsets,
               float* out, int64_t stride);
  // One row of a tensor of kind rows times tile-of-one activations.
  float (*dot_row)(const uint8_t* row, const Activations& x);
  // Quantise n values of one token, from column 32 * first_block on, `span` blocks with the same
  // scale. rest: null, or where what rounding took away goes; may be x.
  void (*quantize)(const float* x, int n, const Activations& to, int token, int first_block,
                   int span, float* rest);
  void (*rms_norm)(const float* x, const float* weight, float eps, int n, float* out);
  // n a multiple of 16
  float (*dot)(const float* a, const float* b, int n);
  // gate[i] = silu(gate[i]) * up[i]
  void (*silu_mul)(float* gate, const float* up, int n);
  void (*attend)(const Attention& a);
  // Largest of n values; NaN if any is NaN.
  float (*max)(const float* x, int n);
  // Copies n logits to out, padded to whole stretches with -infinity, which also stands where
  // `allowed` (null, or a bit each) has no bit. peaks: the largest of each stretch. False if a
  // logit is NaN or infinite.
  bool (*screen)(const float* logits, const uint32_t* allowed, int n, float* out, float* peaks);
  // sums[i] = sum of e^((x - most) / temperature) over stretch i; n as padded by screen
  void (*weigh)(const float* x, int n, float most, float temperature, float* sums);
};

int64_t panel_bytes(int cols);
int64_t attention_work(int n_tokens, int n_heads, int head_dim);

const Kernels& portable_kernels();
#if defined(__x86_64__)
const Kernels& avx2_kernels();
const Kernels& avx512vnni_kernels();
#elif defined(__aarch64__)
const Kernels& neon_kernels();
#endif

// The best table this CPU can run, or the one named ("auto", "portable", "avx2", "avx512vnni",
// "neon"). Throws std::runtime_error if the CPU lacks it or the name is unknown.
const Kernels& choose_kernels(const char* name);

// Place of token t, quad k/4, block k/32 in Activations.
struct Tile {
  int first, width;
};
static inline Tile tile_of(const Activations& x, int token) {
  const int first = token / x.width * x.width;
  return {first, x.m - first < x.width ? x.m - first : x.width};
}
static inline int8_t* tile_q(const Activations& x, int first) {
  return x.q + static_cast<int64_t>(first) * x.cols;
}
static inline float* tile_d(const Activations& x, int first) {
  return x.d + static_cast<int64_t>(first) * (x.cols / kBlock);
}
static inline float* tile_s(const Activations& x, int first) {
  return x.s + static_cast<int64_t>(first) * (x.cols / kBlock);
}

// One block of one group.
struct Block {
  const uint16_t* d;      // [16]; q4d: scale * 256 + zero point, bytes both
  const uint16_t* m;      // [16], q4 only
  const uint8_t* quants;  // lane vectors
  const uint8_t* bits;    // bit 4 (q5, q6), then bit 5 (q6) of the codes, a lane vector each
};
static inline Block block_of(Kind kind, const uint8_t* group, int b) {
  const PairLayout layout = pair_layout(kind);
  const uint8_t* pair = group + head_bytes(kind) + int64_t{b / kPair} * layout.bytes;
  const int i = b % kPair;
  return {reinterpret_cast<const uint16_t*>(pair) + i * kLanes,
          reinterpret_cast<const uint16_t*>(pair + layout.minima) + i * kLanes,
          pair + layout.quants + i * quant_bytes(kind),
          pair + layout.bits + i * bit_vectors(kind) * kVector};
}

// Between two codes of a scan: what is near zero rounds to either side.
static constexpr float scan_centre(int bits) { return static_cast<float>((1 << bits) - 1) / 2; }

// In which lane vector of a block of a scan the codes of a quad lie, how far up in its bytes, and
// whether in one piece: of three bits, the last two quads have two in what is left of a vector, and
// the third in the last one.
struct ScanQuad {
  int vector, shift;
  bool whole;
};
static constexpr ScanQuad scan_quad(int bits, int quad) {
  if (bits == 4) return {quad % 4, quad / 4 * 4, true};
  if (bits == 3 && quad >= 6) return {quad - 6, 6, false};
  const int in_vector = 8 / bits;
  return {quad / in_vector, quad % in_vector * bits, true};
}

// The code of a quad in the lane vectors of a block of a scan, for one of their 64 bytes.
static inline int scan_code(int bits, const uint8_t* byte, int quad) {
  const ScanQuad at = scan_quad(bits, quad);
  const int code = byte[at.vector * kVector] >> at.shift & ((1 << bits) - 1);
  return at.whole ? code : code | (byte[2 * kVector] >> (quad - 2) & 4);
}

// value = sum over blocks of  d * (dx * (u . q) + offset_of(kind) * s)  [+ m * s]
// q4d:    step of the row * sum over blocks of  scale * (dx * (u . q) - zero / kZeros * s)
static constexpr float kZeros = 16;  // zero points between two codes
static constexpr float offset_of(Kind kind) {
  switch (kind) {
    case Kind::q8:
      return -128.0f;
    case Kind::q6:
      return -32.0f;
    case Kind::q5:
      return -16.0f;
    default:
      return 0.0f;
  }
}

}  // namespace qwell
