#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace qwell {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();
constexpr double kDepths[] = {8, 20, 1e30};  // in units of the temperature, below the best
constexpr double kSlack = 1e-3;  // gathered beyond a bound that is computed exactly later

// Finalizer of SplitMix64 (Steele, Lea and Flood 2014): every bit of the input counts.
uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

int stretches(int n) { return (n + kStretch - 1) / kStretch; }

// Best first; of equals the one with the lower id.
bool is_before(const Scored& a, const Scored& b) {
  return a.value > b.value || (a.value == b.value && a.token < b.token);
}

// Memory of one thread, for whichever answer it samples.
struct Work {
  std::vector<float> values, peaks, sums, order;
  std::vector<Scored> some;
  std::vector<double> weights;

  void fit(int n_vocab) {
    const auto n = static_cast<size_t>(stretches(n_vocab));
    values.resize(n * kStretch);
    peaks.resize(n);
    sums.resize(n);
  }

  // All values from `least` on that are allowed, best first.
  void gather(float least) {
    some.clear();
    for (size_t i = 0; i < peaks.size(); ++i) {
      if (peaks[i] < least || peaks[i] == kNothing) continue;
      for (size_t j = i * kStretch; j < (i + 1) * kStretch; ++j) {
        if (values[j] >= least && values[j] != kNothing)
          some.push_back({values[j], static_cast<int32_t>(j)});
      }
    }
    std::sort(some.begin(), some.end(), is_before);
  }

  // The k best, best first. The k-th largest of the peaks is a bound: k values reach it.
  void gather_best(int k) {
    float least = kNothing;
    if (static_cast<size_t>(k) < peaks.size()) {
      order = peaks;
      std::nth_element(order.begin(), order.begin() + k - 1, order.end(), std::greater<>());
      least = order[static_cast<size_t>(k - 1)];
    }
    gather(least);
    if (some.size() > static_cast<size_t>(k)) some.resize(static_cast<size_t>(k));
  }

  double weigh_all(const Kernels& kernels, float most, double temperature) {
    kernels.weigh(values.data(), static_cast<int>(values.size()), most,
                  static_cast<float>(temperature), sums.data());
    double total = 0;
    for (const float sum : sums) total += static_cast<double>(sum);
    return total;
  }

  // weights[i] = e^((some[i] - most) / temperature); returns their sum.
  double weigh_some(float most, double temperature) {
    weights.clear();
    double total = 0;
    for (const Scored& one : some) {
      weights.push_back(
          std::exp((static_cast<double>(one.value) - static_cast<double>(most)) / temperature));
      total += weights.back();
    }
    return total;
  }
};

thread_local Work work;

}  // namespace

double uniform(uint64_t seed, uint64_t index) {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
  return static_cast<double>(mixed(mixed(seed) + (index + 1) * kGolden) >> 11) * 0x1p-53;
}

Sampler::Sampler(int n_vocab, Rules rules, uint64_t seed, const int32_t* prompt, size_t n_prompt,
                 const Kernels& kernels)
    : n_vocab_(n_vocab),
      rules_(std::move(rules)),
      seed_(seed),
      kernels_(kernels),
      is_seen_(static_cast<size_t>(n_vocab)),
      counts_(static_cast<size_t>(n_vocab)) {
  bool holds = rules_.temperature >= 0 && rules_.top_p >= 0 && rules_.min_p >= 0;
  holds = holds && rules_.repetition_penalty > 0 && std::isfinite(rules_.repetition_penalty);
  holds = holds && std::isfinite(rules_.presence_penalty + rules_.frequency_penalty);
  for (const auto& [token, bias] : rules_.bias) holds = holds && std::isfinite(bias);
  if (!holds) throw std::invalid_argument("sampling rules out of range");
  for (size_t i = 0; i < n_prompt; ++i) {
    if (prompt[i] < 0 || prompt[i] >= n_vocab || is_seen_[static_cast<size_t>(prompt[i])]) continue;
    is_seen_[static_cast<size_t>(prompt[i])] = true;
    seen_.push_back(prompt[i]);
  }
}

void Sampler::note(int32_t token) {
  if (token < 0 || token >= n_vocab_) throw std::invalid_argument("token id out of range");
  const auto at = static_cast<size_t>(token);
  if (!is_seen_[at]) seen_.push_back(token);
  if (counts_[at]++ == 0) used_.push_back(token);
  is_seen_[at] = true;
  ++n_noted_;
}

// Sets a value, and the peak of its stretch where that may have changed.
void Sampler::change(int32_t token, float value, float* values, float* peaks) const {
  const float before = values[token];
  float& peak = peaks[token / kStretch];
  values[token] = value;
  if (value >= peak) {
    peak = value;
  } else if (before == peak) {
    const float* from = values + token / kStretch * kStretch;
    peak = *std::max_element(from, from + kStretch);
  }
}

void Sampler::adjust(float* values, float* peaks) const {
  const Rules& r = rules_;
  if (r.repetition_penalty != 1) {
    for (const int32_t token : seen_) {
      const float value = values[token];
      const float weaker = value > 0 ? value / r.repetition_penalty : value * r.repetition_penalty;
      change(token, weaker, values, peaks);
    }
  }
  if (r.presence_penalty != 0 || r.frequency_penalty != 0) {
    for (const int32_t token : used_) {
      const auto times = static_cast<float>(counts_[static_cast<size_t>(token)]);
      const float less = r.presence_penalty + r.frequency_penalty * times;
      change(token, values[token] - less, values, peaks);
    }
  }
  for (const auto& [token, bias] : r.bias) {
    if (token < 0 || token >= n_vocab_) continue;
    change(token, values[token] + bias, values, peaks);
  }
}

int Sampler::next(const float* logits, const uint32_t* allowed) {
  work.fit(n_vocab_);
  float* values = work.values.data();
  float* peaks = work.peaks.data();
  if (!kernels_.screen(logits, allowed, n_vocab_, values, peaks)) return kNotFinite;
  adjust(values, peaks);
  const auto best = std::max_element(work.peaks.begin(), work.peaks.end());
  if (*best == kNothing) return kForbidden;
  if (rules_.temperature > 0 && rules_.top_k != 1) return draw(*best);
  const auto* from = values + (best - work.peaks.begin()) * kStretch;
  return static_cast<int>(std::find(from, from + kStretch, *best) - values);
}

// Fills work.some and work.weights with tokens, best first, of which those that may come next are a
// beginning, as long as `u` can reach. Returns the weight of all that top-k leaves.
double Sampler::reach(float most, double u) const {
  const Rules& r = rules_;
  if (r.top_k > 0) {
    work.gather_best(r.top_k);
    return work.weigh_some(most, r.temperature);
  }
  const double total = work.weigh_all(kernels_, most, r.temperature);
  const double wanted = total * (r.top_p < 1 ? r.top_p : u);
  for (const double depth : kDepths) {
    const bool is_last = r.min_p > 0 && -std::log(r.min_p) <= depth;
    const double lower = is_last ? kSlack - std::log(r.min_p) : depth;
    work.gather(static_cast<float>(static_cast<double>(most) - lower * r.temperature));
    if (work.weigh_some(most, r.temperature) > wanted || is_last) break;
  }
  return total;
}

int Sampler::draw(float most) const {
  const Rules& r = rules_;
  const double u = uniform(seed_, n_noted_);
  const double total = reach(most, u);
  const bool is_cut = r.top_p < 1 || r.min_p > 0;
  size_t n = 0;
  double kept = 0;
  for (; is_cut && n < work.some.size(); kept += work.weights[n++]) {
    const bool falls_short = kept < r.top_p * total && work.weights[n] >= r.min_p;
    if (!falls_short && n > 0) break;
  }
  if (!is_cut) {
    n = work.some.size();
    kept = total;
  }
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    sum += work.weights[i];
    if (sum > u * kept) return work.some[i].token;
  }
  return work.some[n - 1].token;  // the sum may round to just below
}

Logprobs logprobs(const float* logits, int n_vocab, int32_t token, int n, const Kernels& kernels) {
  if (token < 0 || token >= n_vocab) throw std::invalid_argument("token id out of range");
  work.fit(n_vocab);
  kernels.screen(logits, nullptr, n_vocab, work.values.data(), work.peaks.data());
  const float most = *std::max_element(work.peaks.begin(), work.peaks.end());
  const double base = static_cast<double>(most) + std::log(work.weigh_all(kernels, most, 1));
  Logprobs found{static_cast<double>(logits[token]) - base, {}};
  if (n <= 0) return found;
  work.gather_best(n);
  for (const Scored& one : work.some) {
    found.best.emplace_back(one.token, static_cast<double>(one.value) - base);
  }
  return found;
}

}  // namespace qwell
