// Every instruction set that this CPU runs equals the portable definition.
#include "../kernels.h"

#include <algorithm>
#include <vector>

#include "check.h"
#include "random_pack.h"

namespace qwell {
namespace {

std::vector<float> random_floats(Random& random, int n) {
  std::vector<float> x(static_cast<size_t>(n));
  for (auto& v : x) v = static_cast<float>(random() % 20001) / 5000.0f - 2.0f;
  return x;
}

struct Quantized {
  std::vector<int8_t> q;
  std::vector<float> d, s;
  Activations view;

  // spans: the blocks that share a scale, one after another
  Quantized(const Kernels& k, const std::vector<float>& x, int m, int cols, int width,
            const std::vector<int>& spans)
      : q(static_cast<size_t>(m * cols)),
        d(static_cast<size_t>(m * cols / kBlock)),
        s(static_cast<size_t>(m * cols / kBlock)),
        view{q.data(), d.data(), s.data(), m, cols, width} {
    for (int t = 0; t < m; ++t) {
      int first = 0;
      for (const int span : spans) {
        const float* from = x.data() + t * cols + first * kBlock;
        k.quantize(from, span * kBlock, view, t, first, span, nullptr);
        first += span;
      }
    }
  }
  Quantized(const Kernels& k, const std::vector<float>& x, int m, int cols, int width)
      : Quantized(k, x, m, cols, width, std::vector<int>(static_cast<size_t>(cols / kBlock), 1)) {}
};

// Equal but for ties: with fused multiply-add a code that lies half-way may round the other way.
void quantizing_is_equal(const Kernels& k, Random& random) {
  int differing = 0, all = 0;
  for (int m = 1; m <= 40; ++m) {
    const int cols = 32 * (1 + below(random, 4));
    const auto x = random_floats(random, m * cols);
    const Quantized expected(portable_kernels(), x, m, cols, k.tile);
    const Quantized actual(k, x, m, cols, k.tile);
    CHECK(expected.d == actual.d);
    for (size_t i = 0; i < expected.q.size(); ++i, ++all) {
      CHECK(std::abs(expected.q[i] - actual.q[i]) <= 1);
      differing += expected.q[i] != actual.q[i];
    }
    for (size_t i = 0; i < expected.s.size(); ++i) {
      CHECK(std::fabs(expected.s[i] - actual.s[i]) <= 2.1f * expected.d[i]);
    }
  }
  CHECK(differing * 1000 <= all);
}

// What is not finite must not vanish in a guess of which only the first block's scale is read.
void poison_spreads_over_a_span(const Kernels& k, Random& random) {
  const int cols = 32 * 5;
  for (const float poison : {NAN, INFINITY, -INFINITY}) {
    auto x = random_floats(random, cols);
    x[32 * 3 + 7] = poison;
    const Quantized a(k, x, 1, cols, 1, {2, 3});
    for (int block = 0; block < 5; ++block) {
      CHECK(std::isfinite(a.d[static_cast<size_t>(block)]) == (block < 2));
    }
  }
}

void products_are_equal(const Kernels& k, Random& random) {
  for (Kind kind : {Kind::q8, Kind::q6, Kind::q5, Kind::q4, Kind::q4d}) {
    for (int m = 1; m <= 30; ++m) {
      const int cols = 64 * (1 + below(random, 15)), rows = 16 * (1 + below(random, 4));
      const auto data = random_tensor(random, kind, rows, cols);
      const Tensor w{kind, rows, cols, data.data(), data.size()};
      const auto x = random_floats(random, m * cols);
      std::vector<uint8_t> panel(static_cast<size_t>(panel_bytes(cols)));
      const Quantized a(portable_kernels(), x, m, cols, portable_kernels().tile);
      const Quantized b(portable_kernels(), x, m, cols, k.tile);
      const bool accumulate = below(random, 2) == 1;
      auto expected = random_floats(random, m * rows);
      auto actual = expected;
      const int begin = below(random, rows / 16);
      portable_kernels().matmul(w, begin, rows / 16, a.view, expected.data(), rows, accumulate,
                                panel.data());
      k.matmul(w, begin, rows / 16, b.view, actual.data(), rows, accumulate, panel.data());
      bool equal = true;
      for (size_t i = 0; i < expected.size(); ++i) {
        equal &= near(expected[i], actual[i], 2e-5f);
      }
      CHECK(equal);
    }
  }
}

// What is drafted is verified by a wider pass, which must not choose otherwise than one alone.
void a_token_has_the_same_bits_in_any_tile(const Kernels& k, Random& random) {
  const int cols = 448, rows = 32, m = 30;
  for (Kind kind : {Kind::q8, Kind::q6, Kind::q5, Kind::q4, Kind::q4d}) {
    const auto data = random_tensor(random, kind, rows, cols);
    const Tensor w{kind, rows, cols, data.data(), data.size()};
    const auto x = random_floats(random, m * cols);
    std::vector<uint8_t> panel(static_cast<size_t>(panel_bytes(cols)));
    const auto before = random_floats(random, m * rows);
    auto alone = before;
    for (int t = 0; t < m; ++t) {
      const std::vector<float> row(x.begin() + t * cols, x.begin() + (t + 1) * cols);
      const Quantized one(k, row, 1, cols, k.tile);
      k.matmul(w, 0, rows / 16, one.view, &alone[static_cast<size_t>(t * rows)], rows, true,
               panel.data());
    }
    for (int width : {2, 3, 7, m}) {
      const std::vector<float> some(x.begin(), x.begin() + width * cols);
      const Quantized all(k, some, width, cols, k.tile);
      auto together = before;
      k.matmul(w, 0, rows / 16, all.view, together.data(), rows, true, panel.data());
      CHECK(std::equal(together.begin(), together.begin() + width * rows, alone.begin()));
    }
  }
}

void extreme_codes_do_not_overflow(const Kernels& k) {
  // All weights and activations at their largest: the case that int16 sums must survive.
  for (Kind kind : {Kind::q8, Kind::q6, Kind::q5, Kind::q4, Kind::q4d}) {
    for (float sign : {1.0f, -1.0f}) {
      const int cols = 64, m = 5;
      Random random(1);
      auto data = random_tensor(random, kind, 16, cols);
      const int before = head_bytes(kind) + pair_layout(kind).quants;  // of the only pair
      std::fill(data.begin() + before, data.end(), uint8_t{0xff});
      const Tensor w{kind, 16, cols, data.data(), data.size()};
      const std::vector<float> x(static_cast<size_t>(m * cols), sign * 3);
      std::vector<uint8_t> panel(static_cast<size_t>(panel_bytes(cols)));
      std::vector<float> expected(16 * m), actual(16 * m);
      const Quantized a(portable_kernels(), x, m, cols, portable_kernels().tile);
      const Quantized b(k, x, m, cols, k.tile);
      portable_kernels().matmul(w, 0, 1, a.view, expected.data(), 16, false, panel.data());
      k.matmul(w, 0, 1, b.view, actual.data(), 16, false, panel.data());
      for (size_t i = 0; i < expected.size(); ++i) CHECK(near(expected[i], actual[i], 2e-5f));
    }
  }
}

// All widths of codes occur in 512 columns and more, one of them below.
void scans_are_equal(const Kernels& k, Random& random) {
  for (int cols : {64, 448, 512, 896}) {
    const auto data = random_tensor(random, Kind::scan, 48, cols);
    const Tensor w{Kind::scan, 48, cols, data.data(), data.size()};
    const ScanBlocks n = scan_blocks(cols);
    const std::vector<int> spans = {n.four, n.three, n.two, n.one};
    for (int m = 1; m < 11; ++m) {
      const auto x = random_floats(random, m * cols), offsets = random_floats(random, m);
      const Quantized a(portable_kernels(), x, m, cols, portable_kernels().tile, spans);
      const Quantized b(portable_kernels(), x, m, cols, k.tile, spans);
      std::vector<float> expected(static_cast<size_t>(m * 48)), actual = expected;
      portable_kernels().scan(w, 0, 3, a.view, offsets.data(), expected.data(), 48);
      k.scan(w, 0, 2, b.view, offsets.data(), actual.data(), 48);
      k.scan(w, 2, 3, b.view, offsets.data(), actual.data(), 48);
      for (size_t i = 0; i < expected.size(); ++i) CHECK(near(expected[i], actual[i], 2e-5f));
    }
  }
}

void rows_are_equal(const Kernels& k, Random& random) {
  for (int round = 0; round < 20; ++round) {
    const int cols = 32 * (1 + below(random, 30));
    const auto data = random_tensor(random, Kind::rows, 16, cols);
    const Quantized x(k, random_floats(random, cols), 1, cols, 1);
    const float expected = portable_kernels().dot_row(data.data(), x.view);
    CHECK(near(expected, k.dot_row(data.data(), x.view), 2e-5f));
  }
}

void elementwise_is_equal(const Kernels& k, Random& random) {
  const int n = 32 * 7;
  const auto x = random_floats(random, n), w = random_floats(random, n);
  std::vector<float> expected(static_cast<size_t>(n)), actual = expected;
  portable_kernels().rms_norm(x.data(), w.data(), 1e-6f, n, expected.data());
  k.rms_norm(x.data(), w.data(), 1e-6f, n, actual.data());
  for (int part : {16, 64, n}) {
    CHECK(near(portable_kernels().dot(x.data(), w.data(), part), k.dot(x.data(), w.data(), part),
               2e-5f));
  }
  for (size_t i = 0; i < expected.size(); ++i) CHECK(near(expected[i], actual[i], 1e-6f));
  auto gate_expected = x, gate_actual = x;
  portable_kernels().silu_mul(gate_expected.data(), w.data(), n);
  k.silu_mul(gate_actual.data(), w.data(), n);
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(near(gate_expected[i], gate_actual[i], 1e-6f));
    CHECK(near(gate_actual[i], x[i] / (1 + std::exp(-x[i])) * w[i], 1e-6f));
  }
  for (int length : {1, 15, 16, 17, n}) {
    float most = x[0];
    for (int i = 1; i < length; ++i) most = std::fmax(most, x[static_cast<size_t>(i)]);
    CHECK(k.max(x.data(), length) == most);
    auto poisoned = x;
    poisoned[static_cast<size_t>(length / 2)] = NAN;
    CHECK(std::isnan(k.max(poisoned.data(), length)));
  }
}

// The textbook softmax attention in double precision is the definition here.
void attention_is_softmax(const Kernels& k, Random& random) {
  for (int round = 0; round < 40; ++round) {
    const int dim = 16 * (1 + below(random, 4)), heads = 1 + below(random, 8);
    const int tokens = 1 + below(random, kAttentionTokens), position = below(random, 150);
    const int n = position + tokens, padded = (n + 15) / 16 * 16;
    std::vector<uint16_t> keys(static_cast<size_t>(padded * dim)), values(keys.size());
    for (auto& h : keys) h = float_to_half(static_cast<float>(below(random, 2001)) / 500 - 2);
    for (auto& h : values) h = float_to_half(static_cast<float>(below(random, 2001)) / 500 - 2);
    const auto q = random_floats(random, tokens * heads * dim);
    std::vector<float> out(q.size());
    std::vector<float> work(static_cast<size_t>(attention_work(tokens, heads, dim)));
    Attention a{};
    a.q = q.data();
    a.q_stride = heads * dim;
    a.out = out.data();
    a.out_stride = heads * dim;
    a.n_tokens = tokens;
    a.n_heads = heads;
    a.head_dim = dim;
    a.position = position;
    a.cache = {keys.data(), values.data()};
    a.work = work.data();
    k.attend(a);
    for (int row = 0; row < tokens * heads; ++row) {
      const int seen = position + row / heads + 1;
      std::vector<double> p(static_cast<size_t>(seen));
      double total = 0;
      for (int i = 0; i < seen; ++i) {
        double dot = 0;
        for (int j = 0; j < dim; ++j) {
          dot += static_cast<double>(q[static_cast<size_t>(row * dim + j)]) *
                 static_cast<double>(
                     half_to_float(keys[static_cast<size_t>(i / 16 * 16 * dim + j * 16 + i % 16)]));
        }
        p[static_cast<size_t>(i)] = std::exp(dot / std::sqrt(static_cast<double>(dim)));
        total += p[static_cast<size_t>(i)];
      }
      for (int j = 0; j < dim; ++j) {
        double sum = 0;
        for (int i = 0; i < seen; ++i) {
          sum += p[static_cast<size_t>(i)] / total *
                 static_cast<double>(half_to_float(values[static_cast<size_t>(i * dim + j)]));
        }
        CHECK(near(out[static_cast<size_t>(row * dim + j)], static_cast<float>(sum), 2e-5f));
      }
    }
  }
}

void halves_round_trip() {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value)) continue;
    CHECK(float_to_half(value) == half);
  }
  CHECK(float_to_half(65520.0f) == 0x7c00);  // ties to infinity
  CHECK(half_to_float(0x3c00) == 1.0f);
  CHECK(half_to_float(0x0001) == 0x1p-24f);
}

void test(const Kernels& k) {
  Random random(7);
  std::printf("%s\n", k.name);
  quantizing_is_equal(k, random);
  poison_spreads_over_a_span(k, random);
  products_are_equal(k, random);
  a_token_has_the_same_bits_in_any_tile(k, random);
  extreme_codes_do_not_overflow(k);
  scans_are_equal(k, random);
  rows_are_equal(k, random);
  elementwise_is_equal(k, random);
  attention_is_softmax(k, random);
}

}  // namespace
}  // namespace qwell

int main() {
  qwell::halves_round_trip();
  for (const char* name : {"portable", "avx2", "avx512vnni", "neon"}) {
    try {
      qwell::test(qwell::choose_kernels(name));
    } catch (const std::runtime_error& error) {
      std::printf("not run: %s\n", error.what());
    }
  }
  return qwell::verdict();
}
