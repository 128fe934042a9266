// From logits to one token. Knows what one answer holds so far, nothing of models and text.
//
// The order of the steps is that of Hugging Face Transformers: mask, penalties, bias, temperature,
// top-k, top-p, min-p. tests/engine/test_sampling.py says the same in numpy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "kernels.h"

namespace qwell {

struct Rules {
  double temperature = 1;  // 0: greedy
  int top_k = 0;           // 0: off
  double top_p = 1, min_p = 0;
  float repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  std::vector<std::pair<int32_t, float>> bias;  // added to the logit of a token
};

struct Scored {
  float value;
  int32_t token;
};

// Number `index` of the stream of a seed, in [0, 1). Any number costs the same.
double uniform(uint64_t seed, uint64_t index);

class Sampler {
 public:
  static constexpr int kNotFinite = -1;  // a logit is NaN or infinite
  static constexpr int kForbidden = -2;  // no token is allowed

  // prompt: what repetition_penalty counts from the start; ids outside of the vocabulary are
  // ignored, in bias as well. Throws std::invalid_argument for rules that are no numbers.
  Sampler(int n_vocab, Rules rules, uint64_t seed, const int32_t* prompt, size_t n_prompt,
          const Kernels& kernels);

  // The next token, or one of the constants above. allowed: null, or a bit for each token.
  // Changes nothing: asked twice, it answers the same.
  int next(const float* logits, const uint32_t* allowed);
  // The answer goes on with this token.
  void note(int32_t token);

 private:
  void adjust(float* values, float* peaks) const;
  void change(int32_t token, float value, float* values, float* peaks) const;
  int draw(float most) const;
  double reach(float most, double u) const;

  const int n_vocab_;
  const Rules rules_;
  const uint64_t seed_;
  const Kernels& kernels_;
  std::vector<int32_t> seen_;    // distinct tokens of prompt and answer
  std::vector<bool> is_seen_;    // [n_vocab]
  std::vector<int32_t> counts_;  // [n_vocab], of the answer
  std::vector<int32_t> used_;    // distinct tokens of the answer
  uint64_t n_noted_ = 0;
};

// Natural logarithms of probabilities under the model itself, before any rule: of `token`, and of
// the n best tokens, best first. The logits must be finite.
struct Logprobs {
  double own;
  std::vector<std::pair<int32_t, double>> best;
};
Logprobs logprobs(const float* logits, int n_vocab, int32_t token, int n, const Kernels& kernels);

}  // namespace qwell
