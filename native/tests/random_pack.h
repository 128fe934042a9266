// A small random model as the bytes of a pack file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "../half.h"
#include "../kernels.h"
#include "../pack.h"

namespace qwell {

using Random = std::mt19937;

inline int below(Random& random, int n) {
  return static_cast<int>(random() % static_cast<unsigned>(n));
}

// Random codes and scales of a size that keeps sums near one.
inline std::vector<uint8_t> random_tensor(Random& random, Kind kind, int rows, int cols) {
  std::vector<uint8_t> data(
      tensor_bytes(kind, static_cast<uint64_t>(rows), static_cast<uint64_t>(cols)));
  for (auto& byte : data) byte = static_cast<uint8_t>(random());
  const auto put = [&](size_t at, float value) {
    const uint16_t half = float_to_half(value);
    std::memcpy(&data[at], &half, 2);
  };
  const float size = 0.1f / std::sqrt(static_cast<float>(cols));
  const auto scale = [&] { return size * (0.5f + static_cast<float>(random() % 1000) / 1000.0f); };
  if (kind == Kind::f32) {
    for (size_t i = 0; i < data.size(); i += 4) {
      const float value = 0.8f + static_cast<float>(random() % 1000) / 2500.0f;
      std::memcpy(&data[i], &value, 4);
    }
  } else if (kind == Kind::scan) {
    for (size_t at = 0; at < data.size(); at += static_cast<size_t>(scan_group_bytes(cols))) {
      for (size_t row = 0; row < kLanes; ++row) {
        const float d = scale();
        std::memcpy(&data[at + row * 4], &d, 4);
      }
    }
  } else if (kind == Kind::rows) {
    const auto row = static_cast<size_t>(row_bytes(cols));
    for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
      for (size_t b = 0; b < static_cast<size_t>(cols / kBlock); ++b) {
        put(r * row + static_cast<size_t>(cols) + 2 * b, scale() / 16);
      }
    }
  } else {
    const PairLayout layout = pair_layout(kind);
    const float unit = kind == Kind::q8 ? 1.0f / 16 : 1.0f;
    const int pairs = cols / kBlock / kPair;
    const auto group_size = static_cast<size_t>(head_bytes(kind) + pairs * layout.bytes);
    for (size_t group = 0; kind == Kind::q4d && group < data.size(); group += group_size) {
      for (size_t row = 0; row < kLanes; ++row) {  // bytes of scales and zero points stay random
        const float step = scale() / 128;
        std::memcpy(&data[group + row * 4], &step, 4);
      }
    }
    if (kind == Kind::q4d) return data;
    for (size_t pair = 0; pair < data.size(); pair += static_cast<size_t>(layout.bytes)) {
      for (int i = 0; i < layout.quants; i += 2) {
        const bool is_minimum = kind == Kind::q4 && i >= layout.minima;
        put(pair + static_cast<size_t>(i), is_minimum ? -8 * scale() : unit * scale());
      }
    }
  }
  return data;
}

class PackWriter {
 public:
  explicit PackWriter(const Config& config) : config_(config) {}

  void add(const std::string& name, Kind kind, int rows, int cols, std::vector<uint8_t> data) {
    entries_.push_back({name, kind, rows, cols, std::move(data)});
  }

  std::vector<uint8_t> bytes() const {
    size_t size = round_up(192 + entries_.size() * 96);
    for (const auto& entry : entries_) size += round_up(entry.data.size());
    std::vector<uint8_t> file(size);
    std::memcpy(&file[0], "QWELLPK1", 8);
    put<uint32_t>(file, 8, 6);
    put<uint32_t>(file, 12, static_cast<uint32_t>(entries_.size()));
    put<uint64_t>(file, 16, size);
    const int fields[] = {config_.n_vocab,       config_.n_embd,      config_.n_layer,
                          config_.n_head,        config_.n_kv_head,   config_.head_dim,
                          config_.n_ff,          config_.n_ctx_train, config_.tied ? 1 : 0,
                          config_.n_vocab_padded};
    for (size_t i = 0; i < 10; ++i) put<int32_t>(file, 64 + 4 * i, fields[i]);
    put<float>(file, 128, config_.rope_theta);
    put<float>(file, 132, config_.rms_eps);
    size_t offset = round_up(192 + entries_.size() * 96);
    for (size_t i = 0; i < entries_.size(); ++i) {
      const Entry& entry = entries_[i];
      const size_t at = 192 + i * 96;
      std::memcpy(&file[at], entry.name.data(), entry.name.size());
      put<uint32_t>(file, at + 64, static_cast<uint32_t>(entry.kind));
      put<int32_t>(file, at + 68, entry.rows);
      put<int32_t>(file, at + 72, entry.cols);
      put<uint64_t>(file, at + 80, offset);
      put<uint64_t>(file, at + 88, entry.data.size());
      std::memcpy(&file[offset], entry.data.data(), entry.data.size());
      offset += round_up(entry.data.size());
    }
    return file;
  }

 private:
  struct Entry {
    std::string name;
    Kind kind;
    int rows, cols;
    std::vector<uint8_t> data;
  };
  static size_t round_up(size_t n) { return (n + 4095) / 4096 * 4096; }
  template <typename T>
  static void put(std::vector<uint8_t>& file, size_t at, T value) {
    std::memcpy(&file[at], &value, sizeof value);
  }

  Config config_;
  std::vector<Entry> entries_;
};

inline Config small_config() {
  Config c{};
  c.n_embd = 64;
  c.n_layer = 2;
  c.n_head = 6;
  c.n_kv_head = 2;
  c.head_dim = 32;
  c.n_ff = 128;
  c.n_ctx_train = 512;
  c.tied = true;
  c.rope_theta = 10000;
  c.rms_eps = 1e-6f;
  return c;
}

// Rows less `mean` at every column in four bits each, of fewer than 512 columns.
inline std::vector<uint8_t> scan_of(const std::vector<uint8_t>& rows, int n_rows, int cols,
                                    float mean) {
  std::vector<uint8_t> scan(
      tensor_bytes(Kind::scan, static_cast<uint64_t>(n_rows), static_cast<uint64_t>(cols)));
  for (int row = 0; row < n_rows; ++row) {
    const uint8_t* q = &rows[static_cast<size_t>(row) * static_cast<size_t>(row_bytes(cols))];
    std::vector<float> values;
    for (int col = 0; col < cols; ++col) {
      uint16_t d;
      std::memcpy(&d, q + cols + col / kBlock * 2, 2);
      values.push_back(half_to_float(d) * static_cast<float>(static_cast<int8_t>(q[col])) - mean);
    }
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    const float step = std::max(-*least, *most) / 8;
    uint8_t* group = &scan[static_cast<size_t>(row / kLanes * scan_group_bytes(cols))];
    std::memcpy(group + row % kLanes * 4, &step, 4);
    for (int col = 0; col < cols; ++col) {
      const int quad = col % kBlock / 4;
      const int u = std::clamp(
          static_cast<int>(std::floor(values[static_cast<size_t>(col)] / step)) + 8, 0, 15);
      group[(1 + col / kBlock * 4 + quad % 4) * kVector + row % kLanes * 4 + col % 4] |=
          static_cast<uint8_t>(u << quad / 4 * 4);
    }
  }
  return scan;
}

template <typename Value>
std::vector<uint8_t> floats(int n, Value&& value) {
  std::vector<uint8_t> data(static_cast<size_t>(n) * 4);
  for (int i = 0; i < n; ++i) {
    const float x = value(i);
    std::memcpy(&data[static_cast<size_t>(i) * 4], &x, 4);
  }
  return data;
}

// turned: with a basis for the head's scan, though no other than its own. sharpness: how far behind
// the best most tokens are.
inline std::vector<uint8_t> random_pack(unsigned seed, bool turned = false, int n_vocab = 301,
                                        float sharpness = 30) {
  Random random(seed);
  Config c = small_config();
  c.n_vocab = n_vocab;
  c.n_vocab_padded = (n_vocab + kLanes - 1) / kLanes * kLanes;
  PackWriter writer(c);
  const int q = c.n_head * c.head_dim, kv = c.n_kv_head * c.head_dim;
  const auto add = [&](const std::string& name, Kind kind, int rows, int cols) {
    writer.add(name, kind, rows, cols, random_tensor(random, kind, rows, cols));
  };
  const auto rows = random_tensor(random, Kind::rows, c.n_vocab_padded, c.n_embd);
  const float mean = turned ? 0.004f : 0.0f;
  writer.add("embd", Kind::rows, c.n_vocab_padded, c.n_embd, rows);
  writer.add("head.scan", Kind::scan, c.n_vocab_padded, c.n_embd,
             scan_of(rows, c.n_vocab_padded, c.n_embd, mean));
  if (turned) {
    writer.add("head.turn", Kind::f32, c.n_embd, c.n_embd, floats(c.n_embd * c.n_embd, [&](int i) {
                 return i % (c.n_embd + 1) == 0 ? 1.0f : 0.0f;  // the identity
               }));
    writer.add("head.mean", Kind::f32, 1, c.n_embd, floats(c.n_embd, [&](int) { return mean; }));
  }
  writer.add("out_norm", Kind::f32, 1, c.n_embd, floats(c.n_embd, [&](int i) {
               return sharpness + static_cast<float>(i % 7);
             }));
  for (int i = 0; i < c.n_layer; ++i) {
    const std::string at = "L" + std::to_string(i) + ".";
    add(at + "attn_norm", Kind::f32, 1, c.n_embd);
    add(at + "ffn_norm", Kind::f32, 1, c.n_embd);
    add(at + "q_bias", Kind::f32, 1, q);
    add(at + "k_bias", Kind::f32, 1, kv);
    add(at + "v_bias", Kind::f32, 1, kv);
    add(at + "q", Kind::q5, q, c.n_embd);
    add(at + "k", Kind::q5, kv, c.n_embd);
    add(at + "v", Kind::q8, kv, c.n_embd);
    add(at + "o", Kind::q5, c.n_embd, q);
    add(at + "gate", Kind::q5, c.n_ff, c.n_embd);
    add(at + "up", Kind::q6, c.n_ff, c.n_embd);
    add(at + "down", i == 0 ? Kind::q4d : Kind::q4, c.n_embd, c.n_ff);
  }
  return writer.bytes();
}

// A file that is gone when the test ends.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::vector<uint8_t>& bytes) {
    path_ = "/tmp/qwell-native-test-XXXXXX";
    const int fd = mkstemp(path_.data());
    if (fd < 0) throw std::runtime_error("no temporary file");
    FILE* file = fdopen(fd, "wb");
    if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) {
      throw std::runtime_error("temporary file not written");
    }
    std::fclose(file);
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace qwell
