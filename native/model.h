// The Qwen2 forward pass: token ids in, logits out. Knows no text, no sampling, no Python.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels.h"
#include "kv_cache.h"
#include "pack.h"
#include "phase_clock.h"
#include "threads.h"

namespace qwell {

struct Layer {
  const float *attn_norm, *ffn_norm;      // [n_embd]
  const float *q_bias, *k_bias, *v_bias;  // [n_head * head_dim], [n_kv_head * head_dim] twice
  Tensor q, k, v;                         // rows: the same widths; cols: n_embd
  Tensor o;                               // [n_embd][n_head * head_dim]
  Tensor gate, up;                        // [n_ff][n_embd]
  Tensor down;                            // [n_embd][n_ff]
};

// logits = rows h. Each token's is first guessed, as  mean . h + scan (turn h),  from a fraction
// of the bytes; those that come close to the best are then computed from rows.
struct Head {
  Tensor rows;                  // [n_vocab_padded][n_embd]
  Tensor scan;                  // [n_vocab_padded][n_embd]
  // [n_embd][n_embd], float32, for h has columns of very unequal size; null: scan takes h as it is
  const float* turn = nullptr;
  const float* mean = nullptr;  // [n_embd]; of the rows, which turn and scan leave out
};

inline size_t times(int a, int b) { return static_cast<size_t>(a) * static_cast<size_t>(b); }

// Weights that are read soon. Inlined by force: GCC takes a function that only
// prefetches for one without effect.
__attribute__((always_inline)) inline void fetch(const uint8_t* weights, int bytes) {
  for (int i = 0; i < bytes; i += kVector) __builtin_prefetch(weights + i, 0, 2);
}

// Quantised rows and, in a precise model, what their rounding took away, quantised again: together
// about 15 bits.
struct Rounded {
  Activations main, rest;
};

// The memory behind Rounded.
class Buffer {
 public:
  void resize(int m, int cols, bool precise);
  Rounded rows(int m, int cols, int width);

 private:
  struct Part {
    std::vector<int8_t> q;
    std::vector<float> d, s;
  };
  Part main_, rest_;
};

// What an output's logits are wanted for. Of the n best contenders and of all tokens that come near
// them logits are computed, the others are guesses, that are lower.
struct Want {
  int n_best = 0;                          // 0: of all that could ever be drawn
  const uint32_t* contenders = nullptr;  // a bit for each token; null: all tokens
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
  const Want* wants = nullptr;  // one for each output; null: of each all that could ever be drawn
};

class Model {
 public:
  static constexpr int kMaxRows = 512;
  static constexpr int kAlone = 8;  // below this many rows every thread quantises for itself

  // precise: activations of 15 bits instead of 8: twice the work, the same bytes. By default where
  // all matrices are q8, whose users ask for quality.
  // Throws std::runtime_error if the pack is malformed or its tensors do not fit its config.
  Model(const std::string& path, int n_ctx, int n_slots, int n_threads, const std::string& isa,
        bool huge_pages, std::optional<bool> precise = {});

  // logits: [n_outputs][n_vocab_padded]. exact: every logit from the head's rows, not only those
  // that are wanted. Returns false if cancelled. Throws std::invalid_argument when a row
  // is out of range.
  bool forward(const Rows& rows, float* logits, bool exact);
  // Moves the next part of the weights, about a layer, into huge pages, in which a token takes two
  // thirds of the time. Not while a pass runs. False when there was nothing left to move.
  bool settle();
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  void copy(int source, int target, int n);
  void release(int slot) { cache_.release(slot); }
  KvCache& cache() { return cache_; }

  const Config& config() const { return config_; }
  const char* isa() const { return kernels_.name; }
  int threads() const { return team_.size(); }
  int n_ctx() const { return n_ctx_; }
  int n_slots() const { return n_slots_; }
  // Bytes of weights that one decoded token reads: every matrix and the head's scan.
  size_t bytes_per_token() const;
  size_t huge_bytes() const { return huge_bytes_; }
  size_t cache_bytes_per_slot() const { return cache_.bytes_per_slot(); }
  // Rows of the head that were rescored exactly in the last pass, summed over its outputs.
  int64_t rescored() const { return rescored_.load(std::memory_order_relaxed); }

  // Since the model was made; read it between passes.
  const PhaseClock& clock() const { return clock_; }

 private:
  struct Part {  // queries of one kv head in consecutive rows of one slot
    int row, n_tokens, kv_head, first_head, n_heads;
  };
  struct Scratch {  // of one thread
    std::vector<uint8_t> panel;
    std::vector<float> work, wide, gate, up;
    std::vector<int> candidates;
    std::vector<float> peaks;
    Buffer own;
  };

  void load_layers();
  void load_head();
  bool is_all_q8() const;
  void check(const Rows& rows) const;
  void plan_attention(const Rows& rows);
  void embed(int row);
  void pass(int thread);
  void end_phase(Phase phase, int thread, Ahead ahead);
  void layer_pass(const Layer& layer, int index, int thread);
  void attend(int layer, const Part& part, Scratch& scratch);
  void feed_forward(const Layer& layer, const Rounded& x, const Rounded& ff, int begin, int end,
                    Scratch& scratch);
  void store_keys(int layer, int row, int kv_head);
  void head_pass(int thread);
  Activations turned(int thread);
  void round_for_scan(const float* x, const Activations& to, int row);
  int stretches() const { return (config_.n_vocab + kStretch - 1) / kStretch; }
  void find_peaks(int thread);
  float threshold(int output, Scratch& scratch) const;
  void rescore(int output, int thread, Scratch& scratch);
  Rounded normed(const float* weight, int thread);
  Rounded quantized(const float* x, int cols, int thread);
  template <typename Each>
  Rounded prepare(int n, int cols, int thread, Each&& each);
  void round(const float* x, int n, const Rounded& to, int row, int first_block, float* spare);
  void multiply(const Tensor& w, int begin, int end, const Rounded& x, float* out, int64_t stride,
                bool accumulate, Scratch& scratch);
  template <typename Do>
  void in_chunks(int n, int thread, Do&& chunk);
  int own_share(int n) const;
  Ahead ahead_of(const Tensor& w, int n, int groups, int thread) const;

  Pack pack_;
  size_t huge_bytes_;
  const Config config_;
  const int n_ctx_, n_slots_;
  bool precise_;
  const Kernels& kernels_;
  Team team_;
  KvCache cache_;
  std::vector<Layer> layers_;
  Tensor embd_;  // [n_vocab_padded][n_embd]
  Head head_;
  const float* out_norm_;
  std::vector<float> inverse_frequency_;  // [head_dim / 2]

  // Of the current pass
  Rows rows_{};
  float* logits_ = nullptr;
  bool exact_ = false;
  bool needs_keys_first_ = false;
  bool stop_ = false;
  PhaseClock clock_;
  std::atomic<bool> cancelled_{false};
  std::atomic<int64_t> rescored_{0};
  std::vector<Part> parts_;
  std::vector<Scratch> scratch_;
  std::vector<float> x_;         // [rows][n_embd], the residual stream
  std::vector<float> qkv_;       // [rows][q | k | v]
  std::vector<float> attended_;  // [rows][n_head * head_dim]
  std::vector<float> angles_;    // [rows][cos[head_dim/2] | sin[head_dim/2]]
  Buffer shared_;                // [rows][n_embd or n_head * head_dim]
  Buffer ff_;                    // [rows][n_ff]
  std::vector<float> states_;    // [outputs][n_embd], what the head multiplies
  std::vector<float> turned_;    // [outputs][n_embd]
  std::vector<float> offsets_;   // [outputs], mean . state
  Buffer outs_;                  // [outputs][n_embd] in tiles of one
  std::vector<float> peaks_;     // [outputs][stretches], the largest guesses
  std::vector<float> thresholds_;  // [outputs], where guesses begin that are not left to stand
};

// Each thread begins with a share of its own, whose weights it may have fetched before (ahead_of);
// the other half goes to who is there.
template <typename Do>
void Model::in_chunks(int n, int thread, Do&& chunk) {
  const int own = own_share(n), rest = own * team_.size();
  if (own > 0) chunk(thread * own, (thread + 1) * own);
  for (int begin, end; team_.take(n - rest, &begin, &end);) chunk(rest + begin, rest + end);
}

// Quantised activations of all rows: by every thread for itself when that is less work than
// waiting for each other, else shared. each(row, to) quantises the row.
template <typename Each>
Rounded Model::prepare(int n, int cols, int thread, Each&& each) {
  if (n < kAlone) {
    const Rounded a = scratch_[static_cast<size_t>(thread)].own.rows(n, cols, kernels_.tile);
    for (int row = 0; row < n; ++row) each(row, a);
    return a;
  }
  const Rounded a = shared_.rows(n, cols, kernels_.tile);
  for (int row = thread; row < n; row += team_.size()) each(row, a);
  team_.barrier();
  return a;
}

}  // namespace qwell
