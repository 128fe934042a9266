// The Qwen2 forward pass: token ids in, logits out. Knows no text, no sampling, no Python.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels.h"
#include "kv_cache.h"
#include "pack.h"
#include "threads.h"

namespace qwell {

struct Layer {
  const float *attn_norm, *ffn_norm;        // [n_embd]
  const float *q_bias, *k_bias, *v_bias;    // [n_head * head_dim], [n_kv_head * head_dim] twice
  Tensor q, k, v;                           // rows: the same widths; cols: n_embd
  Tensor o;                                 // [n_embd][n_head * head_dim]
  Tensor gate, up;                          // [n_ff][n_embd]
  Tensor down;                              // [n_embd][n_ff]
};

// Rows of one pass: token i goes to position positions[i] of slots[i]. Rows of a slot follow one
// another with rising positions. Logits are wanted for the rows listed in outputs.
struct Rows {
  const int32_t* tokens;
  const int32_t* slots;
  const int32_t* positions;
  int n;
  const int32_t* outputs;
  int n_outputs;
};

class Model {
 public:
  static constexpr int kMaxRows = 512;

  // Throws std::runtime_error if the pack is malformed or its tensors do not fit its config.
  Model(const std::string& path, int n_ctx, int n_slots, int n_threads, const std::string& isa,
        bool huge_pages);

  // logits: [n_outputs][n_vocab_padded]. exact: every logit from both planes of the head, not
  // only those that can win. Returns false if cancelled. Throws std::invalid_argument when a row
  // is out of range.
  bool forward(const Rows& rows, float* logits, bool exact);
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  void copy(int source, int target, int n);
  void release(int slot) { cache_.release(slot); }

  const Config& config() const { return config_; }
  const char* isa() const { return kernels_.name; }
  int threads() const { return team_.size(); }
  int n_ctx() const { return n_ctx_; }
  int n_slots() const { return n_slots_; }
  size_t huge_bytes() const { return huge_bytes_; }
  size_t cache_bytes_per_slot() const { return cache_.bytes_per_slot(); }
  // Rows of the head that were rescored exactly in the last pass, summed over its outputs.
  int64_t rescored() const { return rescored_.load(std::memory_order_relaxed); }

 private:
  struct Part {  // queries of one kv head in consecutive rows of one slot
    int row, n_tokens, kv_head, first_head, n_heads;
  };
  struct Scratch {  // of one thread
    std::vector<uint8_t> panel;
    std::vector<float> work, wide, gate, up;
    std::vector<int8_t> q;
    std::vector<float> d, s;
  };

  void load_layers();
  void check(const Rows& rows) const;
  void plan_attention(const Rows& rows);
  void embed(int row);
  void pass(int thread);
  void layer_pass(const Layer& layer, int index, int thread);
  void attend(int layer, const Part& part, Scratch& scratch);
  void store_keys(int layer, int row, int kv_head);
  void head_pass(int thread);
  void rescore(int output, int begin, int end, float threshold);
  Activations normed(const float* weight, int thread);
  Activations quantized(const float* x, int cols, int thread);
  template <typename Each>
  Activations prepare(int cols, int thread, Each&& each);
  Activations shared(int m, int cols);
  template <typename Do>
  void in_chunks(int n_groups, int chunks_per_thread, Do&& chunk);

  Pack pack_;
  size_t huge_bytes_;
  const Config config_;
  const int n_ctx_, n_slots_;
  const Kernels& kernels_;
  Team team_;
  KvCache cache_;
  std::vector<Layer> layers_;
  Tensor embd_hi_, embd_lo_, head_hi_, head_lo_;
  const float* out_norm_;
  std::vector<float> inverse_frequency_;  // [head_dim / 2]

  // Of the current pass
  Rows rows_{};
  float* logits_ = nullptr;
  bool exact_ = false;
  bool needs_keys_first_ = false;
  bool stop_ = false;
  std::atomic<bool> cancelled_{false};
  std::atomic<int64_t> rescored_{0};
  std::vector<Part> parts_;
  std::vector<Scratch> scratch_;
  std::vector<float> x_;         // [rows][n_embd], the residual stream
  std::vector<float> qkv_;       // [rows][q | k | v]
  std::vector<float> attended_;  // [rows][n_head * head_dim]
  std::vector<float> angles_;    // [rows][cos[head_dim/2] | sin[head_dim/2]]
  std::vector<int8_t> shared_q_;
  std::vector<float> shared_d_, shared_s_;
  std::vector<int8_t> ff_q_;     // [rows][n_ff] in tiles, as the two below
  std::vector<float> ff_d_, ff_s_;
  std::vector<int8_t> out_q_;    // [outputs][n_embd] in tiles of one
  std::vector<float> out_d_, out_s_;
  std::vector<float> peaks_;     // [threads][outputs]
};

}  // namespace qwell
