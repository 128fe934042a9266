#include "pack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace qwell {
namespace {

constexpr uint32_t kVersion = 6;
constexpr size_t kHeader = 192;
constexpr size_t kEntry = 96;
constexpr size_t kAlign = 4096;
constexpr size_t kHugePage = size_t{2} << 20;

[[noreturn]] void refuse(const std::string& what) { throw std::runtime_error(what); }

template <typename T>
T read_at(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

std::string shape(uint64_t rows, uint64_t cols) {
  return std::to_string(rows) + "x" + std::to_string(cols);
}

}  // namespace

size_t tensor_bytes(Kind kind, uint64_t rows, uint64_t cols) {
  constexpr uint64_t kMost = uint64_t{1} << 24;
  if (rows == 0 || cols == 0 || rows > kMost || cols > kMost) return 0;
  if (kind == Kind::f32) return rows * cols * 4;
  if (cols % kBlock != 0 || rows % kLanes != 0) return 0;
  if (kind == Kind::rows) return rows * static_cast<uint64_t>(row_bytes(static_cast<int>(cols)));
  if (cols % (kPair * kBlock) != 0) return 0;
  const uint64_t groups = rows / kLanes;
  if (kind == Kind::scan) {
    return groups * static_cast<uint64_t>(scan_group_bytes(static_cast<int>(cols)));
  }
  const auto head = static_cast<uint64_t>(head_bytes(kind));
  const auto bytes = static_cast<uint64_t>(pair_layout(kind).bytes);
  return groups * (head + cols / (kPair * kBlock) * bytes);
}

Pack::Pack(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) refuse(path + ": " + std::strerror(errno));
  struct stat info {};
  const bool known = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  size_ = known ? static_cast<size_t>(info.st_size) : 0;
  void* map = size_ < kHeader ? MAP_FAILED : mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
  const int why = errno;
  close(fd);
  if (size_ < kHeader) refuse(path + ": " + std::to_string(size_) + " bytes are no pack file");
  if (map == MAP_FAILED) refuse(path + ": cannot map: " + std::strerror(why));
  base_ = static_cast<const uint8_t*>(map);
  try {
    read_header();
  } catch (...) {
    munmap(const_cast<uint8_t*>(base_), size_);
    throw;
  }
}

Pack::~Pack() {
  munmap(const_cast<uint8_t*>(base_), size_);
  if (huge_ != nullptr) munmap(huge_, huge_size_);
}

void Pack::read_header() {
  if (std::memcmp(base_, "QWELLPK1", 8) != 0) refuse("magic is not QWELLPK1");
  const auto version = read_at<uint32_t>(base_ + 8);
  if (version != kVersion)
    refuse("pack version " + std::to_string(version) + " is not " + std::to_string(kVersion));
  const auto n_tensors = read_at<uint32_t>(base_ + 12);
  const auto size = read_at<uint64_t>(base_ + 16);
  if (size != size_) {
    refuse("header says " + std::to_string(size) + " bytes, file has " + std::to_string(size_));
  }
  if (n_tensors > (size_ - kHeader) / kEntry) refuse("tensor table is larger than the file");
  read_config();
  read_tensors(n_tensors);
}

void Pack::read_config() {
  const uint8_t* p = base_ + 64;
  const auto field = [&](int i, uint32_t most) {
    const auto value = read_at<uint32_t>(p + 4 * i);
    if (value == 0 || value > most) {
      refuse("config field " + std::to_string(i) + " = " + std::to_string(value));
    }
    return static_cast<int>(value);
  };
  config_.n_vocab = field(0, 1 << 22);
  config_.n_embd = field(1, 1 << 16);
  config_.n_layer = field(2, 1 << 10);
  config_.n_head = field(3, 1 << 10);
  config_.n_kv_head = field(4, 1 << 10);
  config_.head_dim = field(5, 256);
  config_.n_ff = field(6, 1 << 18);
  config_.n_ctx_train = field(7, 1 << 24);
  config_.tied = read_at<uint32_t>(p + 32) != 0;
  config_.n_vocab_padded = field(9, 1 << 22);
  config_.rope_theta = read_at<float>(base_ + 128);
  config_.rms_eps = read_at<float>(base_ + 132);
  if (config_.n_head % config_.n_kv_head != 0) refuse("n_head is no multiple of n_kv_head");
  if (config_.head_dim % 16 != 0) refuse("head_dim is no multiple of 16");
  constexpr int kWidth = kPair * kBlock;
  if (config_.n_embd % kWidth != 0 || config_.n_ff % kWidth != 0 ||
      config_.n_head * config_.head_dim % kWidth != 0) {
    refuse("a width is no multiple of 64");
  }
  if (config_.n_vocab_padded < config_.n_vocab || config_.n_vocab_padded % kLanes != 0) {
    refuse("n_vocab_padded does not fit n_vocab");
  }
  if (!(config_.rope_theta > 0) || !(config_.rms_eps >= 0) || !(config_.rms_eps < 1)) {
    refuse("rope_theta or rms_eps is out of range");
  }
}

void Pack::read_tensors(uint32_t n_tensors) {
  for (uint32_t i = 0; i < n_tensors; ++i) {
    const uint8_t* p = base_ + kHeader + i * kEntry;
    const auto* text = reinterpret_cast<const char*>(p);
    const std::string name(text, strnlen(text, 64));
    const auto is_text = [](char c) { return c > ' ' && c <= '~'; };  // so that it can be told
    if (!std::all_of(name.begin(), name.end(), is_text)) {
      refuse("the name of tensor " + std::to_string(i) + " is no text");
    }
    const auto kind = read_at<uint32_t>(p + 64);
    const uint64_t rows = read_at<uint32_t>(p + 68);
    const uint64_t cols = read_at<uint32_t>(p + 72);
    const auto offset = read_at<uint64_t>(p + 80);
    const auto bytes = read_at<uint64_t>(p + 88);
    if (kind > static_cast<uint32_t>(Kind::q4d)) refuse(name + ": kind " + std::to_string(kind));
    const size_t expected = tensor_bytes(static_cast<Kind>(kind), rows, cols);
    if (expected == 0 || bytes != expected) {
      refuse(name + ": " + std::to_string(bytes) + " bytes for shape " + shape(rows, cols));
    }
    if (offset % kAlign != 0 || offset > size_ || bytes > size_ - offset) {
      refuse(name + ": lies outside of the file");
    }
    const Tensor tensor{static_cast<Kind>(kind), static_cast<int>(rows), static_cast<int>(cols),
                        base_ + offset, bytes};
    if (!tensors_.emplace(name, tensor).second) refuse(name + ": occurs twice");
  }
}

const Tensor& Pack::tensor(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) refuse(name + ": missing");
  return it->second;
}

const Tensor& Pack::tensor(const std::string& name, Kind kind, int rows, int cols) const {
  const Tensor& found = tensor(name);
  if (found.kind != kind || found.rows != rows || found.cols != cols) {
    refuse(name + ": has shape " + shape(found.rows, found.cols) + ", expected " +
           shape(rows, cols));
  }
  return found;
}

const Tensor& Pack::vector(const std::string& name, int cols) const {
  return tensor(name, Kind::f32, 1, cols);
}

const Tensor& Pack::matrix(const std::string& name, int rows, int cols) const {
  const Kind kind = tensor(name).kind;
  const bool is_matrix = kind != Kind::f32 && kind != Kind::scan && kind != Kind::rows;
  if (!is_matrix) refuse(name + ": is no packed matrix");
  const int padded = static_cast<int>(round_up(static_cast<size_t>(rows), kLanes));
  return tensor(name, kind, padded, cols);
}

void Pack::release(const Tensor& tensor) const {
  madvise(const_cast<uint8_t*>(tensor.data), round_up(tensor.bytes, kAlign), MADV_DONTNEED);
}

size_t Pack::plan_huge_pages() {
  const auto is_streamed = [](const Tensor& tensor) { return tensor.kind != Kind::rows; };
  size_t total = 0;
  for (const auto& [name, tensor] : tensors_) {
    if (is_streamed(tensor)) total += round_up(tensor.bytes, kAlign);
  }
  const size_t size = round_up(total, kHugePage) + kHugePage;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
#ifdef MADV_HUGEPAGE
  if (madvise(memory, size, MADV_HUGEPAGE) != 0) {
    munmap(memory, size);
    return 0;
  }
#endif
  huge_ = static_cast<uint8_t*>(memory);
  huge_size_ = size;
  auto* at = reinterpret_cast<uint8_t*>(round_up(reinterpret_cast<uintptr_t>(huge_), kHugePage));
  for (auto& [name, tensor] : tensors_) {
    if (!is_streamed(tensor)) continue;
    // A file that is not in the cache is read from now on, not page by page in the first pass.
    madvise(const_cast<uint8_t*>(tensor.data), round_up(tensor.bytes, kAlign), MADV_WILLNEED);
    moves_.push_back({at, &tensor});
    at += round_up(tensor.bytes, kAlign);
  }
  return total;
}

bool Pack::move_some(size_t bytes) {
  if (n_moved_ == moves_.size()) return false;
  size_t end = n_moved_;
  for (size_t planned = 0; end < moves_.size() && planned < bytes; ++end) {
    planned += moves_[end].tensor->bytes;
  }
  std::atomic<size_t> next{n_moved_};
  const auto copy = [&] {
    for (size_t i; (i = next.fetch_add(1)) < end;) {
      const auto& [to, tensor] = moves_[i];
      auto* from = const_cast<uint8_t*>(tensor->data);
#ifdef MADV_POPULATE_READ
      madvise(from, round_up(tensor->bytes, kAlign), MADV_POPULATE_READ);  // not page by page
#endif
      std::memcpy(to, from, tensor->bytes);
      // The copy serves from here on; the file's pages need not stay resident.
      madvise(from, round_up(tensor->bytes, kAlign), MADV_DONTNEED);
      tensor->data = to;
    }
  };
  // Two threads: most of the time goes into the kernel's clearing of new pages.
  std::thread helper;
  try {
    helper = std::thread(copy);
  } catch (const std::system_error&) {  // of a process that may have no more threads
  }
  copy();
  if (helper.joinable()) helper.join();
  n_moved_ = end;
  return true;
}

}  // namespace qwell
