// The pack file: what docs/pack-format.md says, mapped and checked.
// Knows bytes and shapes, not what a model computes with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace qwell {

constexpr int kLanes = 16;   // rows of a group
constexpr int kBlock = 32;   // columns that share a scale
constexpr int kPair = 2;     // blocks that lie together, so that all starts on a cache line
constexpr int kQuads = 8;    // quads of 4 columns in a block
constexpr int kVector = 64;  // bytes of a lane vector: 16 rows x 4 columns

enum class Kind : uint32_t { f32 = 0, q8 = 1, q5 = 2, q4 = 3, scan = 4, rows = 5, q6 = 6, q4d = 7 };

struct Config {
  int n_vocab, n_embd, n_layer, n_head, n_kv_head, head_dim, n_ff, n_ctx_train;
  bool tied;
  int n_vocab_padded;
  float rope_theta, rms_eps;
};

// Where the parts of a pair of blocks begin, in bytes from the start of the pair. A group is its
// head and its pairs one after another, a matrix its groups: one stream from the first byte to the
// last.
struct PairLayout {
  int minima, quants, bits, bytes;
};
constexpr int quant_bytes(Kind kind) {
  return kVector * (kind == Kind::q8 ? 8 : 4);
}
constexpr int bit_vectors(Kind kind) { return kind == Kind::q5 ? 1 : kind == Kind::q6 ? 2 : 0; }
// q4d: float steps of the group's rows, in which their blocks' scales count.
constexpr int head_bytes(Kind kind) { return kind == Kind::q4d ? kLanes * 4 : 0; }
constexpr PairLayout pair_layout(Kind kind) {
  const int minima = kPair * kLanes * 2;
  const int quants = minima + (kind == Kind::q4 ? kPair * kLanes * 2 : 0);
  const int bits = quants + kPair * quant_bytes(kind);
  return {minima, quants, bits, bits + kPair * bit_vectors(kind) * kVector};
}

// Blocks of a scan that have four, three, two and one bits a weight, in this order. What comes
// first matters most; below 512 columns there is little to save.
struct ScanBlocks {
  int four, three, two, one;
};
constexpr ScanBlocks scan_blocks(int cols) {
  if (cols < 512) return {cols / kBlock, 0, 0, 0};
  const int four = (cols + 224) / 448, three = (2 * cols + 224) / 448;
  const int two = (5 * cols + 224) / 448;
  return {four, three, two, cols / kBlock - four - three - two};
}
// A group of a scan: float scales of its rows, then a lane vector for each bit of each block.
constexpr int scan_group_bytes(int cols) {
  const ScanBlocks n = scan_blocks(cols);
  return kVector * (1 + 4 * n.four + 3 * n.three + 2 * n.two + n.one);
}

// A row of kind rows: a byte a weight, then the scales.
constexpr int row_bytes(int cols) { return cols + cols / kBlock * 2; }

struct Tensor {
  Kind kind = Kind::f32;
  int rows = 0;
  int cols = 0;
  const uint8_t* data = nullptr;
  size_t bytes = 0;

  int groups() const { return rows / kLanes; }
  int blocks() const { return cols / kBlock; }
  int group_bytes() const {
    return kind == Kind::scan ? scan_group_bytes(cols)
                              : head_bytes(kind) + blocks() / kPair * pair_layout(kind).bytes;
  }
  // Where a group of a matrix or scan starts.
  const uint8_t* group(int i) const { return data + int64_t{i} * group_bytes(); }
  const float* f32() const { return reinterpret_cast<const float*>(data); }
};

// Bytes that a tensor of this kind and shape occupies; 0 if the shape is not allowed.
size_t tensor_bytes(Kind kind, uint64_t rows, uint64_t cols);

class Pack {
 public:
  // Maps the file read-only. Throws std::runtime_error naming the first thing that is wrong.
  explicit Pack(const std::string& path);
  ~Pack();
  Pack(const Pack&) = delete;
  Pack& operator=(const Pack&) = delete;

  const Config& config() const { return config_; }
  // Throws std::runtime_error if the tensor is absent or has another kind or shape.
  const Tensor& matrix(const std::string& name, int rows, int cols) const;
  const Tensor& vector(const std::string& name, int cols) const;
  const Tensor& tensor(const std::string& name, Kind kind, int rows, int cols) const;
  // Of any shape; the others are for shapes that the config gives.
  const Tensor& tensor(const std::string& name) const;
  bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  // Takes room in huge pages for the tensors that every token reads, where the kernel allows it.
  // Returns their bytes; 0 means that the file mapping is used as it is.
  size_t plan_huge_pages();
  // Copies the next of them there, this many bytes or somewhat more. Whoever holds a copy of a
  // Tensor asks for it again. False when there was nothing left to copy.
  bool move_some(size_t bytes);
  // Lets go of a tensor's pages, of which the kernel maps sixteen for each that was read; they
  // stay in the file's cache.
  void release(const Tensor& tensor) const;

 private:
  void read_header();
  void read_config();
  void read_tensors(uint32_t n_tensors);

  const uint8_t* base_ = nullptr;
  size_t size_ = 0;
  struct Move {
    uint8_t* to;
    Tensor* tensor;
  };

  uint8_t* huge_ = nullptr;
  size_t huge_size_ = 0;
  std::vector<Move> moves_;
  size_t n_moved_ = 0;
  Config config_{};
  std::unordered_map<std::string, Tensor> tensors_;
};

}  // namespace qwell
