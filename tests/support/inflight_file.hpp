// SPDX-License-Identifier: BSD-3-Clause
// InflightFile: the front-end's side of a record of chains in flight, read as the specification has it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <unistd.h>
#include <utility>
#include <vector>

#include <sys/mman.h>

#include "base/unique_fd.hpp"

namespace vhostx::test {

/// What the next back-end finds by vhost-user "Inflight I/O tracking": where it goes on in the avail ring, and what it
/// serves again before that, in this order.
struct Recovered {
  std::uint16_t position = 0;
  std::vector<std::uint16_t> again;
};

class InflightFile {
 public:
  static constexpr std::size_t header_bytes = 16;
  static constexpr std::size_t entry_bytes = 16;

  /// Takes a file that a back-end has made.
  InflightFile(UniqueFd file, std::size_t bytes) : file_(std::move(file)), bytes_(bytes) {
    void* const view = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (view == MAP_FAILED) std::abort();
    view_ = static_cast<std::uint8_t*>(view);
  }
  /// Makes one, whose size can change.
  explicit InflightFile(std::size_t bytes) : InflightFile(make(bytes), bytes) {}
  ~InflightFile() { ::munmap(view_, bytes_); }
  InflightFile(const InflightFile&) = delete;
  InflightFile& operator=(const InflightFile&) = delete;

  int fd() const { return file_.get(); }
  std::size_t bytes() const { return bytes_; }
  std::span<std::uint8_t> part(std::size_t at, std::size_t bytes) { return {view_ + at, bytes}; }
  std::vector<std::uint8_t> copy() const { return {view_, view_ + bytes_}; }
  void restore(const std::vector<std::uint8_t>& copied) { std::memcpy(view_, copied.data(), bytes_); }

  template <typename T>
  T get(std::size_t at) const {
    T value;
    std::memcpy(&value, view_ + at, sizeof value);
    return value;
  }
  template <typename T>
  void set(std::size_t at, T value) {
    std::memcpy(view_ + at, &value, sizeof value);
  }
  static std::size_t entry(std::size_t head, std::size_t region = 0) {
    return region + header_bytes + head * entry_bytes;
  }
  void set_entry(std::size_t head, std::uint8_t in_flight, std::uint16_t next, std::uint64_t counter,
                 std::size_t region = 0) {
    set(entry(head, region), in_flight);
    set(entry(head, region) + 6, next);
    set(entry(head, region) + 8, counter);
  }
  void set_header(std::uint16_t version, std::uint16_t desc_num, std::uint16_t last_batch_head, std::uint16_t used_idx,
                  std::size_t region = 0) {
    set(region + 8, version);
    set(region + 10, desc_num);
    set(region + 12, last_batch_head);
    set(region + 14, used_idx);
  }

  /// Changes nothing.
  Recovered recover(std::uint16_t used_index, std::size_t region = 0) const {
    std::vector<std::pair<std::uint64_t, std::uint16_t>> found;
    std::vector<bool> cleared(get<std::uint16_t>(region + 10));
    std::uint16_t at = get<std::uint16_t>(region + 12);
    for (std::uint16_t i = get<std::uint16_t>(region + 14); i != used_index; ++i) {
      cleared.at(at) = true;
      at = get<std::uint16_t>(entry(at, region) + 6);
    }
    for (std::uint16_t head = 0; head < cleared.size(); ++head)
      if (get<std::uint8_t>(entry(head, region)) == 1 && !cleared[head])
        found.emplace_back(get<std::uint64_t>(entry(head, region) + 8), head);
    std::sort(found.begin(), found.end());
    Recovered recovered{static_cast<std::uint16_t>(used_index + found.size()), {}};
    for (const auto& [counter, head] : found) recovered.again.push_back(head);
    return recovered;
  }

 private:
  static UniqueFd make(std::size_t bytes) {
    UniqueFd file(::memfd_create("test-inflight", MFD_CLOEXEC));
    if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) std::abort();
    return file;
  }

  UniqueFd file_;
  std::size_t bytes_;
  std::uint8_t* view_;
};

}  // namespace vhostx::test
