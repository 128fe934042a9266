#include "kv_cache.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "half.h"

namespace qwell {
namespace {

constexpr size_t kPage = 4096;

}  // namespace

KvCache::KvCache(const Config& c, int n_slots, int n_ctx)
    : n_layer_(c.n_layer),
      n_kv_head_(c.n_kv_head),
      head_dim_(c.head_dim),
      n_ctx_((n_ctx + 15) / 16 * 16),
      n_slots_(n_slots),
      head_halves_(size_t{2} * static_cast<size_t>(n_ctx_) * static_cast<size_t>(head_dim_)),
      slot_halves_(0) {
  const size_t halves = head_halves_ * static_cast<size_t>(n_layer_ * n_kv_head_);
  slot_halves_ = (halves * 2 + kPage - 1) / kPage * kPage / 2;
  void* memory = mmap(nullptr, slot_halves_ * 2 * static_cast<size_t>(n_slots_),
                      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_NOHUGEPAGE
  // One huge page would make 16 positions of a head cost 2 MB; small pages cost what is used.
  madvise(memory, slot_halves_ * 2 * static_cast<size_t>(n_slots_), MADV_NOHUGEPAGE);
#endif
  base_ = static_cast<uint16_t*>(memory);
}

KvCache::~KvCache() { munmap(base_, slot_halves_ * 2 * static_cast<size_t>(n_slots_)); }

uint16_t* KvCache::head(int slot, int layer, int kv_head) const {
  return base_ + slot_halves_ * static_cast<size_t>(slot) +
         head_halves_ * static_cast<size_t>(layer * n_kv_head_ + kv_head);
}

Cache KvCache::at(int slot, int layer, int kv_head) const {
  const uint16_t* k = head(slot, layer, kv_head);
  return {k, k + head_halves_ / 2};
}

void KvCache::write(int slot, int layer, int kv_head, int position, const float* k,
                    const float* v) {
  uint16_t* keys = head(slot, layer, kv_head) + (position / 16) * 16 * head_dim_ + position % 16;
  uint16_t* values = head(slot, layer, kv_head) + head_halves_ / 2 + position * head_dim_;
  for (int i = 0; i < head_dim_; ++i) {
    keys[i * 16] = float_to_half(k[i]);
    values[i] = float_to_half(v[i]);
  }
}

void KvCache::copy(int source, int target, int n) {
  const size_t k_halves = static_cast<size_t>((n + 15) / 16 * 16 * head_dim_);
  const size_t v_halves = static_cast<size_t>(n * head_dim_);
  for (int layer = 0; layer < n_layer_; ++layer) {
    for (int h = 0; h < n_kv_head_; ++h) {
      const uint16_t* from = head(source, layer, h);
      uint16_t* to = head(target, layer, h);
      std::memcpy(to, from, k_halves * 2);
      std::memcpy(to + head_halves_ / 2, from + head_halves_ / 2, v_halves * 2);
    }
  }
}

size_t KvCache::piece_bytes(int n) const {
  return size_t{4} * static_cast<size_t>(n) *
         static_cast<size_t>(n_layer_ * n_kv_head_ * head_dim_);
}

// Keys of whole blocks of 16, then values: two runs of equal length for each head.
template <typename Each>
void KvCache::each_run(int slot, int start, int n, Each&& each) const {
  const size_t first = static_cast<size_t>(start) * static_cast<size_t>(head_dim_);
  const size_t bytes = size_t{2} * static_cast<size_t>(n) * static_cast<size_t>(head_dim_);
  for (int i = 0; i < n_layer_ * n_kv_head_; ++i) {
    uint16_t* keys = head(slot, i / n_kv_head_, i % n_kv_head_);
    each(keys + first, bytes, static_cast<size_t>(2 * i));
    each(keys + head_halves_ / 2 + first, bytes, static_cast<size_t>(2 * i + 1));
  }
}

void KvCache::take(int slot, int start, int n, uint8_t* to) const {
  each_run(slot, start, n, [&](const uint16_t* run, size_t bytes, size_t i) {
    std::memcpy(to + i * bytes, run, bytes);
  });
}

void KvCache::put(int slot, int start, int n, const uint8_t* from) {
  each_run(slot, start, n, [&](uint16_t* run, size_t bytes, size_t i) {
    std::memcpy(run, from + i * bytes, bytes);
  });
}

void KvCache::release(int slot) { madvise(head(slot, 0, 0), slot_halves_ * 2, MADV_DONTNEED); }

}  // namespace qwell
