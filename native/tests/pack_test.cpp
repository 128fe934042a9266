// No malformed pack file crashes: it is refused with a reason, or it is whole.
#include "../pack.h"

#include "../model.h"
#include "check.h"
#include "random_pack.h"

namespace qwell {
namespace {

std::string refusal(const std::vector<uint8_t>& bytes) {
  const TemporaryFile file(bytes);
  try {
    Model model(file.path(), 64, 1, 1, "portable", false, false);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

bool says(const std::vector<uint8_t>& bytes, const char* words) {
  return refusal(bytes).find(words) != std::string::npos;
}

void whole_packs_load() { CHECK(refusal(random_pack(1)).empty()); }

void damage_is_named() {
  const auto good = random_pack(1);
  CHECK(says({}, "no pack file"));
  auto bad = good;
  bad[0] = 'X';
  CHECK(says(bad, "magic"));
  bad = good;
  bad[8] = 9;
  CHECK(says(bad, "version 9"));
  bad = good;
  bad.resize(bad.size() - 4096);
  CHECK(says(bad, "header says"));
  bad = good;
  bad[12] = 0xff;
  bad[15] = 0xff;
  CHECK(says(bad, "tensor table"));
  bad = good;
  bad[64 + 16] = 5;  // 5 kv heads do not divide 6 heads
  CHECK(says(bad, "n_head"));
  bad = good;
  bad[192] = 'z';  // the first tensor has another name
  CHECK(says(bad, "embd: missing"));
  bad[192] = 0x80;  // nothing that could be written into a message
  CHECK(says(bad, "tensor 0 is no text"));
}

void cuts_and_flips_never_crash() {
  const auto good = random_pack(2);
  Random random(3);
  const size_t table = 192 + 96 * 27;
  for (int round = 0; round < 3000; ++round) {
    auto bytes = good;
    if (round % 3 == 0) bytes.resize(random() % bytes.size());
    for (int flips = 1 + below(random, 4); flips > 0 && !bytes.empty(); --flips) {
      bytes[random() % std::min(bytes.size(), table)] ^=
          static_cast<uint8_t>(1 << below(random, 8));
    }
    const TemporaryFile file(bytes);
    try {
      Model model(file.path(), 32, 1, 1, "portable", round % 2 == 0, false);
      const int32_t zero = 0;
      std::vector<float> logits(static_cast<size_t>(model.config().n_vocab_padded));
      model.forward({&zero, &zero, &zero, 1, &zero, 1}, logits.data(), false);
    } catch (const std::runtime_error&) {
    }
  }
}

}  // namespace
}  // namespace qwell

int main() {
  qwell::whole_packs_load();
  qwell::damage_is_named();
  qwell::cuts_and_flips_never_crash();
  return qwell::verdict();
}
