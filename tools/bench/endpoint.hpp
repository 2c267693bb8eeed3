// SPDX-License-Identifier: BSD-3-Clause
// Endpoint: sends and receives frames, one call for each burst.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vhostx/result.hpp>

namespace vhostx::tools::bench {

/// A buffer to fill: the virtio-net header (null if there is none) and the frame.
struct SendSlot {
  std::uint8_t* header = nullptr;
  std::uint8_t* frame = nullptr;
};

/// A received frame, valid until release().
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

  /// Fills in as many free buffers as there are and fit. They stay free until send().
  virtual unsigned reserve(unsigned queue, std::span<SendSlot> slots) noexcept = 0;
  /// Sends the first `count` buffers just reserved, each with a frame of `frame_bytes`. Returns how many were sent.
  virtual unsigned send(unsigned queue, unsigned count, std::uint32_t frame_bytes) noexcept = 0;
  /// Packets that the other side has taken from this queue so far.
  virtual std::uint64_t taken(unsigned queue) noexcept = 0;

  virtual unsigned receive(unsigned queue, std::span<ReceivedFrame> frames) noexcept = 0;
  /// Returns the buffers of the last receive().
  virtual void release(unsigned queue) noexcept = 0;
  /// Notifies the other side, if it asked for that, of all that was sent and released since the last time.
  virtual void notify() noexcept {}
  /// How many frames of this length it can hold before receive() must be called.
  virtual std::uint32_t capacity(std::uint32_t frame_bytes) const noexcept = 0;

  /// Descriptors that become readable when there is something to receive, once arm() has been called.
  virtual std::vector<int> wait_fds() const = 0;
  /// Switches notifications on or off. True: something has arrived already.
  virtual bool arm(bool wanted) noexcept = 0;

  /// Whether the other side is connected and has not broken the protocol.
  virtual Result<void> health() = 0;
  /// Whether a frame of this length can be sent (`tso`: with segmentation offload) and received. The error says why
  /// not.
  virtual Result<void> can_send(std::uint32_t frame_bytes, bool tso) const = 0;
  virtual Result<void> can_receive(std::uint32_t frame_bytes, bool tso) const = 0;
  /// Memory and features, for the report.
  virtual std::string describe() const = 0;
};

}  // namespace vhostx::tools::bench
