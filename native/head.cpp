// The last step of a pass: from final states to logits (docs/pack-format.md, "The head").
#include <algorithm>
#include <cmath>
#include <functional>

#include "model.h"

namespace qwell {
namespace {

constexpr int kStripe = 16;  // threads take turns, for tokens of low ids come near more often
constexpr size_t kRowsAhead = 6;
// What is guessed to lie this far below the best is never drawn, so the guess may stand.
constexpr float kMargin = 13.5f, kPreciseMargin = 15.5f;
// Where only the k best are wanted: so much lower than the k-th none of them is guessed, and so
// many stretches are looked at in any case, which costs little where one token is far ahead.
constexpr float kGuessedLower = 6;
constexpr int kLeast = 256;

}  // namespace

void Model::load_head() {
  const Config& c = config_;
  const auto rows = [&](const char* name) {
    return pack_.tensor(name, Kind::rows, c.n_vocab_padded, c.n_embd);
  };
  embd_ = rows("embd");
  head_.rows = c.tied ? embd_ : rows("head");
  head_.scan = pack_.tensor("head.scan", Kind::scan, c.n_vocab_padded, c.n_embd);
  if (pack_.has("head.turn")) {
    head_.turn = pack_.tensor("head.turn", Kind::f32, c.n_embd, c.n_embd).f32();
    head_.mean = pack_.vector("head.mean", c.n_embd).f32();
  }
  out_norm_ = pack_.vector("out_norm", c.n_embd).f32();
}

// With one scale for all blocks that have as many bits in a scan. A guess has no use for the rest.
void Model::round_for_scan(const float* x, const Activations& to, int row) {
  const ScanBlocks n = scan_blocks(to.cols);
  int first = 0;
  for (const int blocks : {n.four, n.three, n.two, n.one}) {
    kernels_.quantize(x + first * kBlock, blocks * kBlock, to, row, first, blocks, nullptr);
    first += blocks;
  }
}

// turned[n_outputs][n_embd], quantised: what scan multiplies.
Activations Model::turned(int thread) {
  const Config& c = config_;
  const int n = rows_.n_outputs, cols = c.n_embd;
  const Rounded ones = outs_.rows(n, cols, 1);
  for (int i = thread; i < n; i += team_.size()) {
    float* state = &states_[times(i, cols)];
    kernels_.rms_norm(&x_[times(rows_.outputs[i], cols)], out_norm_, c.rms_eps, cols, state);
    round(state, cols, ones, i, 0, scratch_[static_cast<size_t>(thread)].wide.data());
    const bool is_plain = head_.mean == nullptr;
    offsets_[static_cast<size_t>(i)] = is_plain ? 0.0f : kernels_.dot(head_.mean, state, cols);
  }
  team_.barrier();
  const auto prepared = [&](const std::vector<float>& x) {
    const auto each = [&](int row, const Rounded& to) {
      round_for_scan(&x[times(row, cols)], to.main, row);
    };
    return prepare(n, cols, thread, each).main;
  };
  if (head_.turn == nullptr) return prepared(states_);
  for (int j = cols * thread / team_.size(); j < cols * (thread + 1) / team_.size(); ++j) {
    const float* axis = head_.turn + times(j, cols);
    for (int i = 0; i < n; ++i) {
      turned_[times(i, cols) + static_cast<size_t>(j)] =
          kernels_.dot(axis, &states_[times(i, cols)], cols);
    }
  }
  team_.barrier();
  return prepared(turned_);
}

// logits[n_outputs][n_vocab_padded]: a guess for every token, then what is true for those that come
// close to the best.
void Model::head_pass(int thread) {
  Scratch& scratch = scratch_[static_cast<size_t>(thread)];
  const Activations z = turned(thread);
  in_chunks(head_.scan.groups(), thread, [&](int begin, int end) {
    kernels_.scan(head_.scan, begin, end, z, offsets_.data(), logits_, config_.n_vocab_padded);
  });
  team_.barrier_and_restart();
  find_peaks(thread);
  team_.barrier();
  for (int i = thread; i < rows_.n_outputs; i += team_.size()) {
    thresholds_[static_cast<size_t>(i)] = threshold(i, scratch);
  }
  team_.barrier();
  for (int i = 0; i < rows_.n_outputs; ++i) rescore(i, thread, scratch);
  end_phase(Phase::head, thread, {});
}

void Model::find_peaks(int thread) {
  const int n = stretches(), size = team_.size();
  for (int i = 0; i < rows_.n_outputs; ++i) {
    const float* row = logits_ + times(i, config_.n_vocab_padded);
    float* peaks = &peaks_[times(i, n)];
    for (int s = n * thread / size; s < n * (thread + 1) / size; ++s) {
      const int from = s * kStretch;
      peaks[s] = kernels_.max(row + from, std::min(kStretch, config_.n_vocab - from));
    }
  }
}

namespace {

// The k-th largest; the order of what is given changes.
float largest(std::vector<float>& values, int k) {
  const auto at = values.begin() + (k - 1);
  std::nth_element(values.begin(), at, values.end(), std::greater<>());
  return *at;
}

bool all_contend(const uint32_t* bits, int n_vocab, int s) {
  const int first = s * kStretch / 32;
  return (s + 1) * kStretch <= n_vocab && (bits[first] & bits[first + 1]) == ~0u;
}

float peak_among(const uint32_t* bits, const float* logits, int n_vocab, int s) {
  const int from = s * kStretch, to = std::min(from + kStretch, n_vocab);
  float most = -INFINITY;
  for (int i = from; i < to; ++i) {
    if (bits[i / 32] >> (i % 32) & 1) most = std::max(most, logits[i]);
  }
  return most;
}

// Makes the peaks of stretches those of the tokens that have a bit, but for stretches that lie more
// than a margin below the best of these, which is returned.
float keep_contenders(const uint32_t* bits, const float* logits, int n_vocab, float margin,
                      std::vector<float>& peaks) {
  float best = -INFINITY;
  const int n = static_cast<int>(peaks.size());
  for (int s = 0; s < n; ++s) {
    if (all_contend(bits, n_vocab, s)) best = std::max(best, peaks[static_cast<size_t>(s)]);
  }
  for (int s = 0; s < n; ++s) {
    float& peak = peaks[static_cast<size_t>(s)];
    if (peak < best - margin || all_contend(bits, n_vocab, s)) continue;
    peak = peak_among(bits, logits, n_vocab, s);
    best = std::max(best, peak);
  }
  return best;
}

}  // namespace

// Tokens that are guessed below it keep their guess. The k-th largest of the stretches' peaks
// stands for the k-th best token: it is no larger, and there are few of them.
float Model::threshold(int output, Scratch& scratch) const {
  if (exact_) return -INFINITY;
  const int n = stretches();
  std::vector<float>& peaks = scratch.peaks;
  const auto from = peaks_.begin() + static_cast<std::ptrdiff_t>(times(output, n));
  peaks.assign(from, from + n);
  // What is no number is computed in any case, and the rest as if it were not there.
  for (float& peak : peaks) peak = std::isfinite(peak) ? peak : -INFINITY;
  const float margin = precise_ ? kPreciseMargin : kMargin;
  const float best = *std::max_element(peaks.begin(), peaks.end());
  const Want want = rows_.wants != nullptr ? rows_.wants[output] : Want{};
  if (want.n_best == 0 || want.n_best > n) return best - margin;
  const float contended =
      want.contenders == nullptr
          ? best
          : keep_contenders(want.contenders, logits_ + times(output, config_.n_vocab_padded),
                            config_.n_vocab, margin, peaks);
  const float last = largest(peaks, want.n_best), some = largest(peaks, std::min(kLeast, n));
  return std::max(contended - margin, std::min(last - kGuessedLower, some));
}

// Candidates are scattered over the rows, so their rows are fetched some ahead of their turn.
void Model::rescore(int output, int thread, Scratch& scratch) {
  const int cols = config_.n_embd, bytes = row_bytes(cols);
  const float threshold = thresholds_[static_cast<size_t>(output)];
  const float* peaks = &peaks_[times(output, stretches())];
  float* row = logits_ + times(output, config_.n_vocab_padded);
  std::vector<int>& tokens = scratch.candidates;
  tokens.clear();
  for (int s = 0; s < stretches(); ++s) {
    if (s / kStripe % team_.size() != thread || peaks[s] < threshold) continue;
    const int from = s * kStretch, to = std::min(from + kStretch, config_.n_vocab);
    for (int token = from; token < to; ++token) {
      if (!(row[token] < threshold)) tokens.push_back(token);
    }
  }
  const Rounded all = outs_.rows(rows_.n_outputs, cols, 1);
  const auto only = [&](const Activations& x) {
    return Activations{tile_q(x, output), tile_d(x, output), tile_s(x, output), 1, cols, 1};
  };
  const Activations main = only(all.main), rest = only(all.rest);
  const auto row_of = [&](size_t i) { return head_.rows.data + times(tokens[i], bytes); };
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i + kRowsAhead < tokens.size()) fetch(row_of(i + kRowsAhead), bytes);
    float& logit = row[tokens[i]];
    logit = kernels_.dot_row(row_of(i), main);
    if (precise_) logit += kernels_.dot_row(row_of(i), rest);
  }
  rescored_.fetch_add(static_cast<int64_t>(tokens.size()), std::memory_order_relaxed);
}

}  // namespace qwell
