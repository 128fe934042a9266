// What a pack file may hold, chosen by a fuzzer: its input is a list of changes to a good file. The
// file is refused with a reason or it computes; anything else is a crash.
//
//   make fuzz            looks for new inputs with libFuzzer (needs clang) for two minutes
//   fuzz_test FILE       runs what it found before: corpus.hex, an input a line
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <new>

#include "../model.h"
#include "../sampler.h"
#include "check.h"
#include "random_pack.h"

namespace qwell {
namespace {

constexpr int kContext = 32;

// A file without a name, gone when closed.
class MemoryFile {
 public:
  explicit MemoryFile(const std::vector<uint8_t>& bytes) : fd_(memfd_create("pack", 0)) {
    if (fd_ < 0 || write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      std::abort();
    }
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void use(Model& model) {
  const int32_t tokens[] = {0, 1, 0}, slots[] = {0, 0, 1}, positions[] = {0, 1, 0}, last[] = {1, 2};
  const auto width = static_cast<size_t>(model.config().n_vocab_padded);
  std::vector<float> logits(2 * width);
  if (model.config().n_vocab < 2) return;
  model.forward({tokens, slots, positions, 3, last, 2}, logits.data(), false);
  model.copy(0, 1, 2);
  Sampler sampler(model.config().n_vocab, {}, 1, tokens, 3, choose_kernels("auto"));
  if (sampler.next(logits.data(), nullptr) >= model.config().n_vocab) std::abort();
}

constexpr size_t kChange = 8;
constexpr size_t kChanged = 192 + 96 * 27 + 512;  // header, table, and a little of what follows

// Eight bytes are a change: where (16 bits), what, one spare byte, and a 32-bit value.
void change(std::vector<uint8_t>& file, const uint8_t* how) {
  const auto word = [](const uint8_t* from) {
    uint32_t value;
    std::memcpy(&value, from, 4);
    return value;
  };
  const size_t at = (size_t{how[0]} | size_t{how[1]} << 8) % kChanged;
  uint32_t value = word(how + 4);
  if (file.size() < at + 8) return;
  switch (how[2] % 4) {
    case 0:  // one byte
      file[at] = how[4];
      return;
    case 1:  // a field
      break;
    case 2:  // a field, by a little
      value = word(&file[at & ~size_t{3}]) + static_cast<uint32_t>(static_cast<int8_t>(how[4]));
      break;
    default:  // the length of the file, and maybe what the header says of it
      file.resize(value % (file.size() + 1));
      if (const uint64_t size = file.size(); how[3] % 2 == 0 && size >= 24) {
        std::memcpy(&file[16], &size, 8);
      }
      return;
  }
  std::memcpy(&file[at & ~size_t{3}], &value, 4);
}

void run(const uint8_t* data, size_t size) {
  static const std::vector<uint8_t> good = random_pack(1);
  std::vector<uint8_t> bytes = good;
  for (size_t at = 0; at + kChange <= size; at += kChange) change(bytes, data + at);
  const MemoryFile file(bytes);
  try {
    Model model(file.path(), kContext, 2, 1, "auto", size % 16 == 0, false);
    use(model);
  } catch (const std::runtime_error&) {
  }
}

}  // namespace
}  // namespace qwell

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qwell::run(data, size);
  return 0;
}

#ifndef QWELL_LIBFUZZER
int main(int n_arguments, char** arguments) {
  if (n_arguments != 2) return 2;
  std::ifstream file(arguments[1]);
  int n_inputs = 0;
  for (std::string line; std::getline(file, line); ++n_inputs) {
    std::vector<uint8_t> input;
    for (size_t i = 0; i + 1 < line.size(); i += 2) {
      input.push_back(static_cast<uint8_t>(std::stoi(line.substr(i, 2), nullptr, 16)));
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%d inputs\n", n_inputs);
  CHECK(n_inputs > 50);
  return qwell::verdict();
}
#endif
