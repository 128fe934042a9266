#include "model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "half.h"

namespace qwell {
namespace {

constexpr int kFew = 64;         // up to this many rows reading weights costs as much as products
constexpr int kFeedForward = 4;  // blocks of gate, then of up, in one go when rows are few
constexpr int kMany = 2;         // the same when they are many: what is written shares cache lines
constexpr size_t kFetched = size_t{256} << 10;  // at most, into a cache of 512 KB or more
constexpr int kBeginning = 6 << 10;  // of a stream, before kernels fetch ahead for themselves
constexpr size_t kMovedAtOnce = size_t{12} << 20;  // a layer: about as much time as a token takes

int row_width(const Config& c) { return (c.n_head + 2 * c.n_kv_head) * c.head_dim; }

}  // namespace

void Buffer::resize(int m, int cols, bool precise) {
  for (Part* part : {&main_, &rest_}) {
    const int rows = part == &main_ || precise ? m : 0;
    part->q.resize(times(rows, cols));
    part->d.resize(times(rows, cols / kBlock));
    part->s.resize(times(rows, cols / kBlock));
  }
}

Rounded Buffer::rows(int m, int cols, int width) {
  return {{main_.q.data(), main_.d.data(), main_.s.data(), m, cols, width},
          {rest_.q.data(), rest_.d.data(), rest_.s.data(), m, cols, width}};
}

Model::Model(const std::string& path, int n_ctx, int n_slots, int n_threads, const std::string& isa,
             bool huge_pages, std::optional<bool> precise)
    : pack_(path),
      huge_bytes_(huge_pages ? pack_.plan_huge_pages() : 0),
      config_(pack_.config()),
      n_ctx_(n_ctx),
      n_slots_(n_slots),
      precise_(false),
      kernels_(choose_kernels(isa.c_str())),
      team_(n_threads),
      cache_(config_, n_slots, n_ctx) {
  load_layers();
  load_head();
  precise_ = precise.value_or(is_all_q8());
  const Config& c = config_;
  const int widest = std::max({c.n_embd, c.n_ff, c.n_head * c.head_dim});
  for (int i = 0; i < c.head_dim / 2; ++i) {
    inverse_frequency_.push_back(
        1.0f / std::pow(c.rope_theta, static_cast<float>(2 * i) / static_cast<float>(c.head_dim)));
  }
  x_.resize(times(kMaxRows, c.n_embd));
  qkv_.resize(times(kMaxRows, row_width(c)));
  attended_.resize(times(kMaxRows, c.n_head * c.head_dim));
  angles_.resize(times(kMaxRows, c.head_dim));
  const int narrow = std::max(c.n_embd, c.n_head * c.head_dim);
  shared_.resize(kMaxRows, narrow, precise_);
  ff_.resize(kMaxRows, c.n_ff, precise_);
  scratch_.resize(static_cast<size_t>(team_.size()));
  const int heads = c.n_head / c.n_kv_head;
  for (auto& scratch : scratch_) {
    scratch.panel.resize(static_cast<size_t>(panel_bytes(widest)));
    scratch.work.resize(static_cast<size_t>(attention_work(kAttentionTokens, heads, c.head_dim)));
    scratch.wide.resize(static_cast<size_t>(narrow));
    scratch.gate.resize(times(kMaxRows, kMany * kBlock));
    scratch.up.resize(times(kMaxRows, kMany * kBlock));
    scratch.own.resize(kAlone, narrow, precise_);
  }
}

bool Model::settle() {
  if (!pack_.move_some(kMovedAtOnce)) return false;
  load_layers();
  load_head();
  return true;
}

void Model::load_layers() {
  const Config& c = config_;
  layers_.clear();
  const int q_width = c.n_head * c.head_dim, kv_width = c.n_kv_head * c.head_dim;
  for (int i = 0; i < c.n_layer; ++i) {
    const std::string at = "L" + std::to_string(i) + ".";
    const auto matrix = [&](const char* name, int rows, int cols) {
      return pack_.matrix(at + name, rows, cols);
    };
    const auto vector = [&](const char* name, int cols) {
      return pack_.vector(at + name, cols).f32();
    };
    layers_.push_back({vector("attn_norm", c.n_embd), vector("ffn_norm", c.n_embd),
                       vector("q_bias", q_width), vector("k_bias", kv_width),
                       vector("v_bias", kv_width), matrix("q", q_width, c.n_embd),
                       matrix("k", kv_width, c.n_embd), matrix("v", kv_width, c.n_embd),
                       matrix("o", c.n_embd, q_width), matrix("gate", c.n_ff, c.n_embd),
                       matrix("up", c.n_ff, c.n_embd), matrix("down", c.n_embd, c.n_ff)});
  }
}

bool Model::is_all_q8() const {
  return std::all_of(layers_.begin(), layers_.end(), [](const Layer& layer) {
    const auto matrices = {&layer.q,    &layer.k,  &layer.v,   &layer.o,
                           &layer.gate, &layer.up, &layer.down};
    return std::all_of(matrices.begin(), matrices.end(),
                       [](const Tensor* matrix) { return matrix->kind == Kind::q8; });
  });
}

void Model::check(const Rows& rows) const {
  const auto demand = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
  };
  demand(rows.n >= 1 && rows.n <= kMaxRows, "1 to 512 rows in a pass");
  demand(rows.n_outputs <= kMaxRows, "more than 512 outputs");
  for (int i = 0; i < rows.n; ++i) {
    demand(rows.tokens[i] >= 0 && rows.tokens[i] < config_.n_vocab, "token id out of range");
    demand(rows.slots[i] >= 0 && rows.slots[i] < n_slots_, "slot out of range");
    demand(rows.positions[i] >= 0 && rows.positions[i] < n_ctx_, "position out of range");
  }
  for (int i = 0; i < rows.n_outputs; ++i) {
    demand(rows.outputs[i] >= 0 && rows.outputs[i] < rows.n, "output row out of range");
    demand(rows.wants == nullptr || rows.wants[i].n_best >= 0, "fewer than no best tokens");
  }
}

// Cuts the queries into parts: up to kAttentionTokens rows of one slot, heads of one kv head, and
// fewer heads when there would be too few parts for all threads.
void Model::plan_attention(const Rows& rows) {
  const int heads = config_.n_head / config_.n_kv_head;
  parts_.clear();
  needs_keys_first_ = false;
  for (int row = 0, n = 0; row < rows.n; row += n) {
    n = 1;
    while (row + n < rows.n && rows.slots[row + n] == rows.slots[row] &&
           rows.positions[row + n] == rows.positions[row] + n && n < kAttentionTokens) {
      ++n;
    }
    needs_keys_first_ |= n > 1 || (row > 0 && rows.slots[row - 1] == rows.slots[row]);
    for (int kv = 0; kv < config_.n_kv_head; ++kv) {
      parts_.push_back({row, n, kv, kv * heads, heads});
    }
  }
  const int split = std::min(heads, team_.size() / static_cast<int>(parts_.size()));
  if (split < 2) return;
  needs_keys_first_ = true;
  std::vector<Part> whole;
  whole.swap(parts_);
  for (const Part& part : whole) {
    for (int i = 0; i < split; ++i) {
      const int begin = heads * i / split, end = heads * (i + 1) / split;
      parts_.push_back(
          {part.row, part.n_tokens, part.kv_head, part.first_head + begin, end - begin});
    }
  }
}

bool Model::forward(const Rows& rows, float* logits, bool exact) {
  check(rows);
  cancelled_.store(false, std::memory_order_relaxed);
  rows_ = rows;
  logits_ = logits;
  exact_ = exact;
  stop_ = false;
  rescored_.store(0, std::memory_order_relaxed);
  plan_attention(rows);
  states_.resize(times(rows.n_outputs, config_.n_embd));
  turned_.resize(times(rows.n_outputs, config_.n_embd));
  offsets_.resize(static_cast<size_t>(rows.n_outputs));
  outs_.resize(rows.n_outputs, config_.n_embd, precise_);
  peaks_.resize(times(rows.n_outputs, stretches()));
  thresholds_.resize(static_cast<size_t>(rows.n_outputs));
  team_.run([](void* self, int thread) { static_cast<Model*>(self)->pass(thread); }, this);
  if (rows.n >= kAlone) pack_.release(embd_);  // a prompt has many different tokens
  return !stop_;
}

size_t Model::bytes_per_token() const {
  size_t total = head_.scan.bytes;
  if (head_.turn != nullptr) total += times(config_.n_embd, config_.n_embd) * sizeof(float);
  for (const Layer& layer : layers_) {
    for (const Tensor* matrix :
         {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
      total += matrix->bytes;
    }
  }
  return total;
}

void Model::copy(int source, int target, int n) {
  if (source < 0 || source >= n_slots_ || target < 0 || target >= n_slots_ || n < 0 || n > n_ctx_) {
    throw std::invalid_argument("slot or length out of range");
  }
  if (source != target) cache_.copy(source, target, n);
}

int Model::own_share(int n) const { return team_.size() == 1 ? n : n / (2 * team_.size()); }

// What the thread will read first of a matrix that is walked in n units of so many groups.
Ahead Model::ahead_of(const Tensor& w, int n, int groups, int thread) const {
  const int own = own_share(n) * groups, from = own * thread;
  if (from >= w.groups()) return {};
  const auto bytes = static_cast<size_t>(w.group(own) - w.group(0));
  return {w.group(from), std::min(bytes, kFetched)};
}

void Model::round(const float* x, int n, const Rounded& to, int row, int first_block,
                  float* spare) {
  kernels_.quantize(x, n, to.main, row, first_block, 1, precise_ ? spare : nullptr);
  if (precise_) kernels_.quantize(spare, n, to.rest, row, first_block, 1, nullptr);
}

void Model::multiply(const Tensor& w, int begin, int end, const Rounded& x, float* out,
                     int64_t stride, bool accumulate, Scratch& scratch) {
  uint8_t* panel = scratch.panel.data();
  if (!precise_) return kernels_.matmul(w, begin, end, x.main, out, stride, accumulate, panel);
  for (int group = begin; group < end; ++group) {  // the second product finds the group in cache
    kernels_.matmul(w, group, group + 1, x.main, out, stride, accumulate, panel);
    kernels_.matmul(w, group, group + 1, x.rest, out, stride, true, panel);
  }
}

Rounded Model::normed(const float* weight, int thread) {
  const int n = config_.n_embd;
  float* out = scratch_[static_cast<size_t>(thread)].wide.data();
  return prepare(rows_.n, n, thread, [&](int row, const Rounded& to) {
    kernels_.rms_norm(&x_[times(row, n)], weight, config_.rms_eps, n, out);
    round(out, n, to, row, 0, out);
  });
}

Rounded Model::quantized(const float* x, int cols, int thread) {
  float* spare = scratch_[static_cast<size_t>(thread)].wide.data();
  return prepare(rows_.n, cols, thread, [&](int row, const Rounded& to) {
    round(x + times(row, cols), cols, to, row, 0, spare);
  });
}

// The token's row of the embedding, and the angles of the row's position.
void Model::embed(int row) {
  const int cols = config_.n_embd;
  const uint8_t* q = embd_.data + times(rows_.tokens[row], row_bytes(cols));
  const auto* d = reinterpret_cast<const uint16_t*>(q + cols);
  for (int i = 0; i < cols; ++i) {
    x_[times(row, cols) + static_cast<size_t>(i)] =
        half_to_float(d[i / kBlock]) * static_cast<float>(static_cast<int8_t>(q[i]));
  }
  const int half = config_.head_dim / 2;
  float* angles = &angles_[times(row, config_.head_dim)];
  for (int i = 0; i < half; ++i) {
    const float angle =
        static_cast<float>(rows_.positions[row]) * inverse_frequency_[static_cast<size_t>(i)];
    angles[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
    angles[half + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
  }
}

void Model::pass(int thread) {
  if (thread == 0) clock_.start();
  for (int row = thread; row < rows_.n; row += team_.size()) embed(row);
  end_phase(Phase::embed, thread, ahead_of(layers_[0].q, row_width(config_) / kLanes, 1, thread));
  for (int i = 0; i < config_.n_layer; ++i) {
    layer_pass(layers_[static_cast<size_t>(i)], i, thread);
    if (stop_) return;
  }
  if (rows_.n_outputs > 0) head_pass(thread);
}

void Model::end_phase(Phase phase, int thread, Ahead ahead) {
  if (thread == 0) clock_.arrived();
  team_.barrier_and_restart(ahead);
  if (thread == 0) clock_.ended(phase);
}

namespace {

// Rotates the halves of a head against each other (RoPE as in GPT-NeoX; Su et al. 2021).
void rotate(float* head, const float* angles, int dim) {
  const int half = dim / 2;
  for (int i = 0; i < half; ++i) {
    const float a = head[i], b = head[i + half];
    const float cosine = angles[i], sine = angles[half + i];
    head[i] = a * cosine - b * sine;
    head[i + half] = b * cosine + a * sine;
  }
}

}  // namespace

void Model::store_keys(int layer, int row, int kv_head) {
  const Config& c = config_;
  float* k = &qkv_[times(row, row_width(c)) + times(c.n_head + kv_head, c.head_dim)];
  const float* v = k + times(c.n_kv_head, c.head_dim);
  rotate(k, &angles_[times(row, c.head_dim)], c.head_dim);
  cache_.write(rows_.slots[row], layer, kv_head, rows_.positions[row], k, v);
}

void Model::attend(int layer, const Part& part, Scratch& scratch) {
  const Config& c = config_;
  const int width = row_width(c), dim = c.head_dim;
  for (int t = 0; t < part.n_tokens; ++t) {
    const int row = part.row + t;
    if (!needs_keys_first_) store_keys(layer, row, part.kv_head);
    for (int h = 0; h < part.n_heads; ++h) {
      rotate(&qkv_[times(row, width) + times(part.first_head + h, dim)], &angles_[times(row, dim)],
             dim);
    }
  }
  Attention a{};
  a.q = &qkv_[times(part.row, width) + times(part.first_head, dim)];
  a.q_stride = width;
  a.out = &attended_[times(part.row, c.n_head * dim) + times(part.first_head, dim)];
  a.out_stride = c.n_head * dim;
  a.n_tokens = part.n_tokens;
  a.n_heads = part.n_heads;
  a.head_dim = dim;
  a.position = rows_.positions[part.row];
  a.cache = cache_.at(rows_.slots[part.row], layer, part.kv_head);
  a.work = scratch.work.data();
  kernels_.attend(a);
}

// Blocks [begin, end) of silu(gate) * up for all rows.
void Model::feed_forward(const Layer& layer, const Rounded& x, const Rounded& ff, int begin,
                         int end, Scratch& scratch) {
  constexpr int kGroups = kBlock / kLanes;
  const int width = (end - begin) * kBlock;
  float* gate = scratch.gate.data();
  float* up = scratch.up.data();
  fetch(layer.up.group(begin * kGroups), kBeginning);  // what is read next, for while this is read
  multiply(layer.gate, begin * kGroups, end * kGroups, x, gate - begin * kBlock, width, false,
           scratch);
  fetch(layer.gate.group(end * kGroups), kBeginning);
  multiply(layer.up, begin * kGroups, end * kGroups, x, up - begin * kBlock, width, false, scratch);
  kernels_.silu_mul(gate, up, rows_.n * width);
  for (int row = 0; row < rows_.n; ++row) {
    float* values = gate + row * width;
    round(values, width, ff, row, begin, values);
  }
}

// One layer, five phases; a barrier ends each.
void Model::layer_pass(const Layer& layer, int index, int thread) {
  const Config& c = config_;
  const int n = rows_.n, width = row_width(c);
  Scratch& scratch = scratch_[static_cast<size_t>(thread)];

  // 1. queries, keys, values:  qkv[n][width] = Wqkv norm(x) + bias
  {
    const Rounded a = normed(layer.attn_norm, thread);
    const Tensor* parts[3] = {&layer.q, &layer.k, &layer.v};
    const float* biases[3] = {layer.q_bias, layer.k_bias, layer.v_bias};
    in_chunks(width / kLanes, thread, [&](int begin, int end) {
      for (int i = 0, first = 0; i < 3; first += parts[i]->groups(), ++i) {
        const int from = std::max(begin - first, 0);
        const int to = std::min(end - first, parts[i]->groups());
        if (from >= to) continue;
        float* out = qkv_.data() + first * kLanes;
        multiply(*parts[i], from, to, a, out, width, false, scratch);
        for (int row = 0; row < n; ++row) {
          for (int j = from * kLanes; j < to * kLanes; ++j)
            out[times(row, width) + static_cast<size_t>(j)] += biases[i][j];
        }
      }
    });
    end_phase(Phase::qkv, thread, ahead_of(layer.o, layer.o.groups(), 1, thread));
  }

  // 2. attention:  attended[n][n_head * head_dim]
  if (needs_keys_first_) {
    in_chunks(n * c.n_kv_head, thread, [&](int begin, int end) {
      for (int i = begin; i < end; ++i) store_keys(index, i / c.n_kv_head, i % c.n_kv_head);
    });
    team_.barrier_and_restart();
  }
  for (int i; (i = team_.next()) < static_cast<int>(parts_.size());) {
    attend(index, parts_[static_cast<size_t>(i)], scratch);
  }
  end_phase(Phase::attention, thread, ahead_of(layer.o, layer.o.groups(), 1, thread));

  // 3. x += Wo attended
  {
    const Rounded a = quantized(attended_.data(), c.n_head * c.head_dim, thread);
    in_chunks(layer.o.groups(), thread, [&](int begin, int end) {
      multiply(layer.o, begin, end, a, x_.data(), c.n_embd, true, scratch);
    });
    end_phase(Phase::attended, thread,
              ahead_of(layer.gate, c.n_ff / kBlock, kBlock / kLanes, thread));
  }

  // 4. ff[n][n_ff] = silu(Wgate norm(x)) * Wup norm(x), quantised block by block
  const Rounded ff = ff_.rows(n, c.n_ff, kernels_.tile);
  {
    const Rounded a = normed(layer.ffn_norm, thread);
    const int at_once = n <= kFew ? kFeedForward : kMany;
    in_chunks(c.n_ff / kBlock, thread, [&](int begin, int end) {
      for (int block = begin; block < end; block += at_once) {
        feed_forward(layer, a, ff, block, std::min(block + at_once, end), scratch);
      }
    });
    end_phase(Phase::gate_up, thread, ahead_of(layer.down, layer.down.groups(), 1, thread));
  }

  // 5. x += Wdown ff
  in_chunks(layer.down.groups(), thread, [&](int begin, int end) {
    multiply(layer.down, begin, end, ff, x_.data(), c.n_embd, true, scratch);
  });
  if (thread == 0) stop_ = cancelled_.load(std::memory_order_relaxed);
  const bool is_last = index + 1 == c.n_layer;
  const Tensor& next = is_last ? head_.scan : layers_[static_cast<size_t>(index) + 1].q;
  end_phase(Phase::down, thread,
            ahead_of(next, is_last ? next.groups() : width / kLanes, 1, thread));
}

}  // namespace qwell
