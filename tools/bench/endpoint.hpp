// SPDX-License-Identifier: BSD-3-Clause
// Endpoint: where frames go in and come out. One call a burst.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

namespace vhostx::tools::bench {

/// A buffer to be filled: first the virtio-net header (null where there is none), then the frame.
struct SendSlot {
  std::uint8_t* header = nullptr;
  std::uint8_t* frame = nullptr;
};

/// A frame that came in, until release().
struct ReceivedFrame {
  const std::uint8_t* bytes = nullptr;
  std::uint32_t length = 0;
};

inline constexpr unsigned burst_max = 256;

/// One thread at a time.
class Endpoint {
 public:
  virtual ~Endpoint() = default;

  /// As it was given on the command line.
  virtual const std::string& name() const noexcept = 0;
  virtual unsigned queue_count() const noexcept = 0;
  /// Every buffer that reserve() ever gives, so that a frame's constant parts are written once.
  virtual std::span<const SendSlot> send_buffers(unsigned queue) const noexcept = 0;

  /// Free buffers, as many as there are and fit; they stay free until send().
  virtual unsigned reserve(unsigned queue, std::span<SendSlot> slots) noexcept = 0;
  /// Sends the first `count` of those just reserved, each with a frame of `frame_bytes`. Returns how many went.
  virtual unsigned send(unsigned queue, unsigned count, std::uint32_t frame_bytes) noexcept = 0;
  /// Packets that the other side has taken off this queue so far.
  virtual std::uint64_t taken(unsigned queue) noexcept = 0;

  virtual unsigned receive(unsigned queue, std::span<ReceivedFrame> frames) noexcept = 0;
  /// Gives the buffers of the last receive() back.
  virtual void release(unsigned queue) noexcept = 0;
  /// Wakes the other side, where it wants that, for all that was sent and released since the last time.
  virtual void notify() noexcept {}
  /// How many frames of this length it can hold before somebody calls receive().
  virtual std::uint32_t capacity(std::uint32_t frame_bytes) const noexcept = 0;

  /// Descriptors that become readable when there is something to receive, once arm() has been called.
  virtual std::vector<int> wait_fds() const = 0;
  /// Asks for wake-ups, or for none. True: there is something already.
  virtual bool arm(bool wanted) noexcept = 0;

  /// Whether the other side is there and has kept the rules.
  virtual Result<void> health() = 0;
  /// Whether a frame of this length may be sent (`tso`: as one to be segmented) and received; if not, why.
  virtual Result<void> can_send(std::uint32_t frame_bytes, bool tso) const = 0;
  virtual Result<void> can_receive(std::uint32_t frame_bytes, bool tso) const = 0;
  /// Memory and features, for the report.
  virtual std::string describe() const = 0;
};

}  // namespace vhostx::tools::bench
