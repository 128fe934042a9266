// Keys and values of all slots, as 16-bit floats. Memory is reserved at once and becomes
// resident as it is written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels.h"

namespace qwell {

class KvCache {
 public:
  // Throws std::bad_alloc if the address space cannot be reserved.
  KvCache(const Config& config, int n_slots, int n_ctx);
  ~KvCache();
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  Cache at(int slot, int layer, int kv_head) const;
  // k, v: head_dim floats, k already rotated
  void write(int slot, int layer, int kv_head, int position, const float* k, const float* v);
  // Copies the first n positions of every layer.
  void copy(int source, int target, int n);
  // Bytes of n entries of all layers. Entries are taken out and put in from multiples of 16 on.
  size_t piece_bytes(int n) const;
  void take(int slot, int start, int n, uint8_t* to) const;
  void put(int slot, int start, int n, const uint8_t* from);
  // Gives the pages of a slot back to the system.
  void release(int slot);
  size_t bytes_per_slot() const { return slot_halves_ * 2; }

 private:
  template <typename Each>
  void each_run(int slot, int start, int n, Each&& each) const;
  uint16_t* head(int slot, int layer, int kv_head) const;

  int n_layer_, n_kv_head_, head_dim_, n_ctx_, n_slots_;
  size_t head_halves_, slot_halves_;
  uint16_t* base_;
};

}  // namespace qwell
