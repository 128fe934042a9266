// Which kernels this CPU can run.
#include <cstring>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "kernels.h"

namespace qwell {
namespace {

struct Choice {
  bool usable;
  const Kernels& (*table)();
  const char* name;
};

#if defined(__x86_64__)
bool has_f16c() {  // which Clang's __builtin_cpu_supports does not know
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

bool has_avx512vnni() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__)
bool has_dot_products() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#endif

}  // namespace

int64_t panel_bytes(int cols) { return int64_t{cols} * kLanes; }

int64_t attention_work(int n_tokens, int n_heads, int head_dim) {
  return int64_t{n_tokens} * n_heads * (kAttentionSpan + 2 * head_dim + 2);
}

const Kernels& choose_kernels(const char* name) {
  const Choice choices[] = {
#if defined(__x86_64__)
    {has_avx512vnni(), avx512vnni_kernels, "avx512vnni"},
    {has_avx2(), avx2_kernels, "avx2"},
#elif defined(__aarch64__)
    {has_dot_products(), neon_kernels, "neon"},
#endif
    {true, portable_kernels, "portable"},
  };
  for (const Choice& choice : choices) {
    const bool named = std::strcmp(name, choice.name) == 0;
    if (choice.usable && (named || std::strcmp(name, "auto") == 0)) return choice.table();
    if (named) throw std::runtime_error(std::string("this CPU cannot run ") + name);
  }
  throw std::runtime_error(std::string("unknown instruction set ") + name);
}

}  // namespace qwell
