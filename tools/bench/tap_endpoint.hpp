// SPDX-License-Identifier: BSD-3-Clause
// TapEndpoint: a kernel TAP interface with read() and write(), one system call for each frame, to compare vhost-user
// with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "tools/bench/endpoint.hpp"

namespace vhostx::tools::bench {

class TapEndpoint final : public Endpoint {
 public:
  /// Makes the interface `interface`, or takes over a persistent one, and sets it up.
  static Result<std::unique_ptr<TapEndpoint>> open(const std::string& interface, std::uint32_t frame_bytes_max);

  const std::string& name() const noexcept override { return name_; }
  unsigned queue_count() const noexcept override { return 1; }
  std::span<const SendSlot> send_buffers(unsigned) const noexcept override { return slots_; }
  unsigned reserve(unsigned queue, std::span<SendSlot> slots) noexcept override;
  unsigned send(unsigned queue, unsigned count, std::uint32_t frame_bytes) noexcept override;
  std::uint64_t taken(unsigned) noexcept override { return written_; }
  unsigned receive(unsigned queue, std::span<ReceivedFrame> frames) noexcept override;
  void release(unsigned) noexcept override {}
  std::uint32_t capacity(std::uint32_t frame_bytes) const noexcept override;
  std::vector<int> wait_fds() const override { return {fd_.get()}; }
  bool arm(bool) noexcept override { return false; }
  Result<void> health() override;
  Result<void> can_send(std::uint32_t frame_bytes, bool tso) const override;
  Result<void> can_receive(std::uint32_t frame_bytes, bool tso) const override;
  std::string describe() const override;

 private:
  TapEndpoint(std::string interface, UniqueFd fd, std::uint32_t frame_bytes_max);

  std::string name_;
  UniqueFd fd_;
  std::uint32_t stride_;
  int error_ = 0;  ///< errno of a read or write with a permanent error.
  std::uint64_t written_ = 0;
  std::size_t next_ = 0;  ///< The next slot to reserve.
  std::vector<std::uint8_t> send_memory_;
  std::vector<std::uint8_t> receive_memory_;
  std::vector<SendSlot> slots_;
};

}  // namespace vhostx::tools::bench
