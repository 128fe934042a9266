// What the sampler draws is what its rules say, on every instruction set; the definition that it
// equals in numbers is tests/engine/test_sampling.py.
#include "../sampler.h"

#include <algorithm>

#include "check.h"
#include "random_pack.h"

namespace qwell {
namespace {

std::vector<float> random_logits(Random& random, int n) {
  std::vector<float> x(static_cast<size_t>(n));
  for (auto& v : x) v = static_cast<float>(random() % 20001) / 1000.0f - 10.0f;
  return x;
}

int greedy(const std::vector<float>& x, const uint32_t* allowed, const Kernels& k) {
  Rules rules;
  rules.temperature = 0;
  return Sampler(static_cast<int>(x.size()), rules, 0, nullptr, 0, k).next(x.data(), allowed);
}

void greedy_takes_the_first_of_the_best(const Kernels& k, Random& random) {
  for (const int n : {1, 15, 16, 63, 64, 65, 1000}) {
    auto x = random_logits(random, n);
    for (auto& v : x) v = std::round(v);
    const auto best = std::max_element(x.begin(), x.end()) - x.begin();
    CHECK(greedy(x, nullptr, k) == best);
  }
}

void masks_hold(const Kernels& k, Random& random) {
  for (int round = 0; round < 200; ++round) {
    const int n = 1 + below(random, 300);
    const auto x = random_logits(random, n);
    std::vector<uint32_t> allowed(static_cast<size_t>((n + 31) / 32));
    const int only = below(random, n);
    allowed[static_cast<size_t>(only / 32)] |= 1u << only % 32;
    CHECK(greedy(x, allowed.data(), k) == only);
    Rules rules;
    rules.bias = {{0, 100.0f}, {n, 1.0f}, {-1, 1.0f}};
    Sampler sampler(n, rules, random(), nullptr, 0, k);
    CHECK(sampler.next(x.data(), allowed.data()) == only);
    std::fill(allowed.begin(), allowed.end(), 0);
    CHECK(sampler.next(x.data(), allowed.data()) == Sampler::kForbidden);
  }
}

void what_is_no_number_is_never_drawn_from(const Kernels& k, Random& random) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    for (const int n : {1, 17, 64, 200}) {
      auto x = random_logits(random, n);
      x[static_cast<size_t>(below(random, n))] = bad;
      const std::vector<uint32_t> none(static_cast<size_t>((n + 31) / 32));
      CHECK(greedy(x, nullptr, k) == Sampler::kNotFinite);
      CHECK(greedy(x, none.data(), k) == Sampler::kNotFinite);
    }
  }
}

void every_instruction_set_draws_the_same(const Kernels& k, Random& random) {
  for (int round = 0; round < 100; ++round) {
    const int n = 1 + below(random, 5000);
    const auto x = random_logits(random, n);
    Rules rules;
    rules.temperature = 0.2 + below(random, 20) / 10.0;
    rules.top_k = below(random, 2) * below(random, 2 * n);
    rules.top_p = below(random, 2) == 0 ? 1 : below(random, 1000) / 1000.0;
    rules.min_p = below(random, 2) * below(random, 1000) / 2000.0;
    rules.repetition_penalty = below(random, 2) == 0 ? 1 : 1.3f;
    rules.presence_penalty = static_cast<float>(below(random, 2));
    const std::vector<int32_t> prompt = {0, below(random, n), n, -1};
    Sampler ours(n, rules, 5, prompt.data(), prompt.size(), k);
    Sampler definition(n, rules, 5, prompt.data(), prompt.size(), portable_kernels());
    for (int i = 0; i < 3; ++i) {
      const int token = ours.next(x.data(), nullptr);
      CHECK(token == ours.next(x.data(), nullptr));
      CHECK(token == definition.next(x.data(), nullptr));
      ours.note(token);
      definition.note(token);
    }
  }
}

void numbers_are_even_and_differ() {
  double sum = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    const double u = uniform(7, i);
    CHECK(u >= 0 && u < 1 && u == uniform(7, i) && u != uniform(8, i) && u != uniform(7, i + 1));
    sum += u;
  }
  CHECK(std::fabs(sum / 4000 - 0.5) < 0.02);
}

}  // namespace
}  // namespace qwell

int main() {
  using namespace qwell;
  numbers_are_even_and_differ();
  for (const char* name : {"portable", "avx2", "avx512vnni", "neon"}) {
    try {
      const Kernels& k = choose_kernels(name);
      Random random(11);
      greedy_takes_the_first_of_the_best(k, random);
      masks_hold(k, random);
      what_is_no_number_is_never_drawn_from(k, random);
      every_instruction_set_draws_the_same(k, random);
    } catch (const std::runtime_error& error) {
      std::printf("not run: %s\n", error.what());
    }
  }
  return verdict();
}
