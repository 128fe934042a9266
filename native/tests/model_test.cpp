// The forward pass gives the same answer however the work is cut.
#include "../model.h"

#include <algorithm>
#include <thread>

#include "check.h"
#include "random_pack.h"

namespace qwell {
namespace {

constexpr int kContext = 160;

struct Step {
  std::vector<int32_t> tokens, slots, positions, outputs;

  Step& add(int slot, int start, const std::vector<int32_t>& ids, bool wanted) {
    for (size_t i = 0; i < ids.size(); ++i) {
      tokens.push_back(ids[i]);
      slots.push_back(slot);
      positions.push_back(start + static_cast<int32_t>(i));
    }
    if (wanted) outputs.push_back(static_cast<int32_t>(tokens.size()) - 1);
    return *this;
  }
};

std::vector<float> run(Model& model, const Step& step, bool exact = true,
                       const std::vector<Want>& wants = {}) {
  std::vector<float> logits(step.outputs.size() *
                            static_cast<size_t>(model.config().n_vocab_padded));
  CHECK(model.forward({step.tokens.data(), step.slots.data(), step.positions.data(),
                       static_cast<int>(step.tokens.size()), step.outputs.data(),
                       static_cast<int>(step.outputs.size()),
                       wants.empty() ? nullptr : wants.data()},
                      logits.data(), exact));
  return logits;
}

bool equal(const float* a, const float* b, int n) {
  for (int i = 0; i < n; ++i) {
    if (!near(a[i], b[i], 2e-4f)) return false;
  }
  return true;
}

std::vector<int32_t> random_ids(Random& random, int n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (auto& id : ids) id = below(random, 301);
  return ids;
}

void chunks_do_not_matter(const std::string& path, const char* isa, int threads, bool precise) {
  Model model(path, kContext, 3, threads, isa, false, precise);
  const int n_vocab = model.config().n_vocab;
  Random random(5);
  const auto ids = random_ids(random, 150);
  const auto whole = run(model, Step().add(0, 0, ids, true));
  for (int chunk : {1, 5, 64}) {
    std::vector<float> last;
    for (int begin = 0; begin < 150; begin += chunk) {
      const int end = std::min(begin + chunk, 150);
      last = run(model, Step().add(1, begin, {ids.begin() + begin, ids.begin() + end}, true));
    }
    CHECK(equal(whole.data(), last.data(), n_vocab));
  }
}

void sequences_do_not_mix(const std::string& path, const char* isa, int threads) {
  Model model(path, kContext, 3, threads, isa, false, false);
  const int n_vocab = model.config().n_vocab;
  const size_t row = static_cast<size_t>(model.config().n_vocab_padded);
  Random random(6);
  const auto a = random_ids(random, 40), b = random_ids(random, 9);
  const auto alone_a = run(model, Step().add(0, 0, a, true));
  const auto alone_b = run(model, Step().add(1, 0, b, true));
  const auto both = run(model, Step().add(2, 0, a, true).add(1, 0, b, true));
  CHECK(equal(alone_a.data(), both.data(), n_vocab));
  CHECK(equal(alone_b.data(), both.data() + row, n_vocab));
  // A copied prefix goes on like the original, and the original is untouched.
  model.copy(0, 1, 40);
  const auto next = run(model, Step().add(0, 40, {7}, true));
  const auto copied = run(model, Step().add(1, 40, {7}, true));
  CHECK(equal(next.data(), copied.data(), n_vocab));
  // Forgetting the tail: the same as never having read it.
  run(model, Step().add(0, 20, random_ids(random, 30), true));
  const auto again = run(model, Step().add(0, 20, {a.begin() + 20, a.end()}, true));
  CHECK(equal(alone_a.data(), again.data(), n_vocab));
}

void screening_keeps_the_best(const std::string& path, const char* isa) {
  Model model(path, kContext, 1, 2, isa, true, false);
  Random random(8);
  for (int round = 0; round < 20; ++round) {
    const Step step = Step().add(0, 0, random_ids(random, 10), true);
    const auto exact = run(model, step, true), fast = run(model, step, false);
    const auto end = exact.begin() + model.config().n_vocab;
    const auto best = std::max_element(exact.begin(), end) - exact.begin();
    CHECK(best ==
          std::max_element(fast.begin(), fast.begin() + model.config().n_vocab) - fast.begin());
    CHECK(near(exact[static_cast<size_t>(best)], fast[static_cast<size_t>(best)], 1e-5f));
  }
}

// Of the tokens that contend the n best are as if all had been computed, and the rest lies below.
void the_best_contenders_are_exact(const std::string& path, const char* isa) {
  Model model(path, kContext, 1, 2, isa, true, false);
  const auto n_vocab = static_cast<size_t>(model.config().n_vocab);
  Random random(12);
  int64_t computed = 0, computed_of_all = 0;
  for (int round = 0; round < 20; ++round) {
    const Step step = Step().add(0, 0, random_ids(random, 10), true);
    const auto exact = run(model, step, true);
    const float best = *std::max_element(exact.begin(), exact.begin() + model.config().n_vocab);
    run(model, step, false);
    computed_of_all += model.rescored();
    std::vector<uint32_t> bits((n_vocab + 31) / 32);
    for (auto& word : bits) word = static_cast<uint32_t>(random()) | static_cast<uint32_t>(random());
    for (const bool all : {true, false}) {
      const uint32_t* contenders = all ? nullptr : bits.data();
      for (const int n_best : {1, 3}) {
        const auto fast = run(model, step, false, {{n_best, contenders}});
        if (all && n_best == 1) computed += model.rescored();
        std::vector<std::pair<float, size_t>> order;
        for (size_t i = 0; i < n_vocab; ++i) {
          if (all || bits[i / 32] >> (i % 32) & 1) order.push_back({exact[i], i});
        }
        std::sort(order.rbegin(), order.rend());
        for (size_t i = 0; i < static_cast<size_t>(n_best); ++i) {
          if (order[i].first < best - 8) break;  // never drawn, whatever else is wanted
          CHECK(near(order[i].first, fast[order[i].second], 1e-5f));
        }
      }
    }
  }
  CHECK(computed < computed_of_all / 2);
}

// With the identity for a basis, what stays a guess differs by the rounding to three bits alone.
void guesses_are_near(const std::string& path, const char* isa) {
  Model model(path, kContext, 1, 2, isa, true, false);
  Random random(10);
  const auto ids = random_ids(random, 12);
  Step step = Step().add(0, 0, ids, false);
  for (int32_t i = 0; i < 12; ++i) step.outputs.push_back(i);
  const auto exact = run(model, step, true), fast = run(model, step, false);
  const auto padded = static_cast<size_t>(model.config().n_vocab_padded);
  double error = 0, size = 0;
  for (size_t i = 0; i < 12; ++i) {
    for (size_t token = 0; token < 301; ++token) {
      const double truth = exact[i * padded + token];
      error += std::pow(fast[i * padded + token] - truth, 2);
      size += truth * truth;
    }
  }
  CHECK(error < 0.04 * size);
  CHECK(model.rescored() < 12 * 301 / 10);
}

void cancelling_stops_and_heals(const std::string& path) {
  Model model(path, kContext, 1, 2, "auto", false, false);
  Random random(9);
  const Step step = Step().add(0, 0, random_ids(random, 150), true);
  const auto expected = run(model, step);
  std::vector<float> logits(static_cast<size_t>(model.config().n_vocab_padded));
  std::atomic<bool> ended{false};
  std::thread canceller([&] {
    while (!ended) {
      model.cancel();
      std::this_thread::yield();
    }
  });
  int stopped = 0;
  for (int i = 0; i < 50; ++i) {
    stopped += !model.forward(
        {step.tokens.data(), step.slots.data(), step.positions.data(), 150, step.outputs.data(), 1},
        logits.data(), false);
  }
  ended = true;
  canceller.join();
  CHECK(stopped > 0);
  const auto after = run(model, step);
  CHECK(equal(expected.data(), after.data(), model.config().n_vocab));
}

// Where the kernel has no huge pages, nothing moves, and the answer is the same, too.
void moved_weights_answer_the_same(const std::string& path) {
  Model model(path, kContext, 1, 2, "auto", true, false);
  Step step;
  step.add(0, 0, {5, 6, 7}, true);
  const auto before = run(model, step);
  CHECK(model.settle() == (model.huge_bytes() > 0));
  CHECK(!model.settle());
  const auto after = run(model, step);
  CHECK(equal(before.data(), after.data(), model.config().n_vocab));
}

void rows_out_of_range_are_refused(const std::string& path) {
  Model model(path, kContext, 1, 1, "portable", false, false);
  const int32_t good = 0;
  std::vector<float> logits(304);
  for (const int32_t bad : {-1, 100000}) {
    for (int field = 0; field < 4; ++field) {
      const auto at = [&](int i) { return i == field ? &bad : &good; };
      bool refused = false;
      try {
        model.forward({at(0), at(1), at(2), 1, at(3), 1}, logits.data(), false);
      } catch (const std::invalid_argument&) {
        refused = true;
      }
      CHECK(refused);
    }
  }
}

}  // namespace
}  // namespace qwell

// An argument bounds the threads: emulated ones are slow at waiting for each other.
int main(int n_arguments, char** arguments) {
  using namespace qwell;
  const int most_threads = n_arguments > 1 ? std::atoi(arguments[1]) : 5;
  const TemporaryFile file(random_pack(4)), turned(random_pack(4, true)),
      many(random_pack(4, true, 40000, 5));
  for (const char* isa : {"portable", "auto", "avx2"}) {
    try {
      choose_kernels(isa);
    } catch (const std::runtime_error& error) {
      std::printf("not run: %s\n", error.what());
      continue;
    }
    for (int threads : {1, 2, 5}) {
      if (threads > most_threads) continue;
      chunks_do_not_matter(file.path(), isa, threads, false);
      sequences_do_not_mix(file.path(), isa, threads);
    }
    chunks_do_not_matter(file.path(), isa, 2, true);
    screening_keeps_the_best(file.path(), isa);
    screening_keeps_the_best(turned.path(), isa);
    the_best_contenders_are_exact(many.path(), isa);
    guesses_are_near(turned.path(), isa);
  }
  cancelling_stops_and_heals(file.path());
  moved_weights_answer_the_same(turned.path());
  rows_out_of_range_are_refused(file.path());
  return verdict();
}
