// Python's view: arrays in, arrays out. The only file that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "bandwidth.h"
#include "model.h"
#include "sampler.h"

namespace nb = nanobind;

namespace qwell {
namespace {

using Ids = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<nb::numpy, float, nb::ndim<2>>;
using Row = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bits = nb::ndarray<const uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

using Contenders = std::vector<std::optional<Bits>>;

// What each output is wanted for, where anything is said of it.
std::vector<qwell::Want> wants(const Model& model, size_t n_outputs,
                               const std::optional<Ids>& n_best, const Contenders& contenders) {
  std::vector<qwell::Want> all(n_best ? n_outputs : 0);
  if (n_best && n_best->size() != n_outputs) throw std::invalid_argument("n_best of each output");
  if (!contenders.empty() && (!n_best || contenders.size() != n_outputs)) {
    throw std::invalid_argument("contenders of each output that has n_best");
  }
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].n_best = n_best->data()[i];
    if (contenders.empty() || !contenders[i]) continue;
    if (contenders[i]->size() * 32 < static_cast<size_t>(model.config().n_vocab)) {
      throw std::invalid_argument("fewer contenders than tokens");
    }
    all[i].contenders = contenders[i]->data();
  }
  return all;
}

// None when cancelled, else (len(outputs), n_vocab) float32.
nb::object forward(Model& model, const Ids& tokens, const Ids& slots, const Ids& positions,
                   const Ids& outputs, bool exact, const std::optional<Ids>& n_best,
                   const Contenders& contenders) {
  if (slots.size() != tokens.size() || positions.size() != tokens.size()) {
    throw std::invalid_argument("tokens, slots and positions differ in length");
  }
  const auto wanted = wants(model, outputs.size(), n_best, contenders);
  const Rows rows{tokens.data(),    slots.data(),
                  positions.data(), static_cast<int>(tokens.size()),
                  outputs.data(),   static_cast<int>(outputs.size()),
                  wanted.empty() ? nullptr : wanted.data()};
  const size_t padded = static_cast<size_t>(model.config().n_vocab_padded);
  auto logits = std::make_unique_for_overwrite<float[]>(outputs.size() * padded);
  bool finished = false;
  {
    nb::gil_scoped_release release;
    finished = model.forward(rows, logits.get(), exact);
  }
  if (!finished) return nb::none();
  float* data = logits.get();
  nb::capsule owner(logits.release(), [](void* p) noexcept { delete[] static_cast<float*>(p); });
  const size_t n_vocab = static_cast<size_t>(model.config().n_vocab);
  return nb::cast(
      Floats(data, {outputs.size(), n_vocab}, owner, {static_cast<int64_t>(padded), 1}));
}

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void check_piece(const Model& model, int slot, int start, int n) {
  const bool fits = slot >= 0 && slot < model.n_slots() && start >= 0 && n > 0 &&
                    n <= model.n_ctx() && start <= model.n_ctx() - n;
  if (!fits || start % 16 != 0 || n % 16 != 0) throw std::invalid_argument("no such cache entries");
}

nb::object take(Model& model, int slot, int start, int n) {
  check_piece(model, slot, start, n);
  const size_t size = model.cache().piece_bytes(n);
  auto bytes = std::make_unique_for_overwrite<uint8_t[]>(size);
  {
    nb::gil_scoped_release release;
    model.cache().take(slot, start, n, bytes.get());
  }
  uint8_t* data = bytes.get();
  nb::capsule owner(bytes.release(), [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>>(data, {size}, owner));
}

void put(Model& model, int slot, int start, int n, const Bytes& piece) {
  check_piece(model, slot, start, n);
  if (piece.size() != model.cache().piece_bytes(n)) throw std::invalid_argument("a piece too long");
  nb::gil_scoped_release release;
  model.cache().put(slot, start, n, piece.data());
}

// A sampler that knows how long its arrays must be.
class CheckedSampler {
 public:
  CheckedSampler(int n_vocab, const Ids& prompt, uint64_t seed, double temperature, int top_k,
                 double top_p, double min_p, float repetition_penalty, float presence_penalty,
                 float frequency_penalty, std::vector<std::pair<int32_t, float>> bias,
                 const std::string& isa)
      : n_vocab_(n_vocab < 1 ? throw std::invalid_argument("no vocabulary")
                             : static_cast<size_t>(n_vocab)),
        sampler_(n_vocab,
                 {temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty,
                  frequency_penalty, std::move(bias)},
                 seed, prompt.data(), prompt.size(), choose_kernels(isa.c_str())) {}

  int next(const Row& logits, const std::optional<Bits>& allowed) {
    if (logits.size() != n_vocab_ || (allowed && allowed->size() * 32 < n_vocab_)) {
      throw std::invalid_argument("logits or mask of the wrong length");
    }
    const uint32_t* bits = allowed ? allowed->data() : nullptr;
    nb::gil_scoped_release release;
    return sampler_.next(logits.data(), bits);
  }

  void note(int32_t token) { sampler_.note(token); }

 private:
  size_t n_vocab_;
  Sampler sampler_;
};

std::pair<double, std::vector<std::pair<int32_t, double>>> scored(const Row& logits, int32_t token,
                                                                  int n) {
  auto found =
      logprobs(logits.data(), static_cast<int>(logits.size()), token, n, choose_kernels("auto"));
  return {found.own, std::move(found.best)};
}

}  // namespace
}  // namespace qwell

NB_MODULE(_native, m) {
  using qwell::Model;
  nb::class_<Model>(m, "Model")
      .def(nb::init<const std::string&, int, int, int, const std::string&, bool,
                    std::optional<bool>>(),
           nb::arg("path"), nb::arg("n_ctx"), nb::arg("n_slots"), nb::arg("n_threads"),
           nb::arg("isa") = "auto", nb::arg("huge_pages") = true, nb::arg("precise") = nb::none(),
           nb::call_guard<nb::gil_scoped_release>())
      .def("forward", &qwell::forward, nb::arg("tokens"), nb::arg("slots"), nb::arg("positions"),
           nb::arg("outputs"), nb::arg("exact") = false, nb::arg("n_best") = nb::none(),
           nb::arg("contenders") = qwell::Contenders{})
      .def("settle", &Model::settle, nb::call_guard<nb::gil_scoped_release>())
      .def("cancel", &Model::cancel)
      .def("copy", &Model::copy, nb::arg("source"), nb::arg("target"), nb::arg("n"),
           nb::call_guard<nb::gil_scoped_release>())
      .def(
          "release",
          [](Model& model, int slot) {
            if (slot < 0 || slot >= model.n_slots()) throw std::invalid_argument("no such slot");
            model.release(slot);
          },
          nb::arg("slot"))
      .def("take", &qwell::take, nb::arg("slot"), nb::arg("start"), nb::arg("n"))
      .def("put", &qwell::put, nb::arg("slot"), nb::arg("start"), nb::arg("n"), nb::arg("piece"))
      .def_prop_ro("isa", &Model::isa)
      .def_prop_ro("n_threads", &Model::threads)
      .def_prop_ro("n_ctx", &Model::n_ctx)
      .def_prop_ro("n_slots", &Model::n_slots)
      .def_prop_ro("n_vocab", [](const Model& model) { return model.config().n_vocab; })
      .def_prop_ro("huge_bytes", &Model::huge_bytes)
      .def_prop_ro("cache_bytes_per_slot", &Model::cache_bytes_per_slot)
      .def_prop_ro("bytes_per_token", &Model::bytes_per_token)
      .def_prop_ro("phases",
                   [](const Model& model) {
                     std::vector<std::tuple<const char*, double, double>> phases;
                     for (size_t i = 0; i < qwell::kPhaseNames.size(); ++i) {
                       const auto& time = model.clock().times()[i];
                       phases.emplace_back(qwell::kPhaseNames[i], time.total, time.waiting);
                     }
                     return phases;
                   })
      .def_prop_ro("rescored", &Model::rescored);
  using qwell::CheckedSampler;
  nb::class_<CheckedSampler>(m, "Sampler")
      .def(nb::init<int, const qwell::Ids&, uint64_t, double, int, double, double, float, float,
                    float, std::vector<std::pair<int32_t, float>>, const std::string&>(),
           nb::arg("n_vocab"), nb::arg("prompt"), nb::arg("seed"), nb::arg("temperature") = 1.0,
           nb::arg("top_k") = 0, nb::arg("top_p") = 1.0, nb::arg("min_p") = 0.0,
           nb::arg("repetition_penalty") = 1.0f, nb::arg("presence_penalty") = 0.0f,
           nb::arg("frequency_penalty") = 0.0f,
           nb::arg("bias") = std::vector<std::pair<int32_t, float>>{}, nb::arg("isa") = "auto")
      .def("next", &CheckedSampler::next, nb::arg("logits"), nb::arg("allowed") = nb::none())
      .def("note", &CheckedSampler::note, nb::arg("token"));
  m.def("logprobs", &qwell::scored, nb::arg("logits"), nb::arg("token"), nb::arg("n_best") = 0);
  m.def("read_bandwidth", &qwell::read_bandwidth, nb::arg("n_threads"),
        nb::call_guard<nb::gil_scoped_release>(),
        "Bytes per second that n threads read from memory together.");
  m.def(
      "best_isa", [] { return qwell::choose_kernels("auto").name; },
      "The instruction set that this CPU would be served with.");
}
