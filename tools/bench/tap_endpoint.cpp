// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/tap_endpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/error.hpp"
#include "tools/common/tap_device.hpp"

namespace vhostx::tools::bench {
namespace {

constexpr std::uint32_t queue_frames = 500;  // the kernel's txqueuelen of a TAP

}  // namespace

Result<std::unique_ptr<TapEndpoint>> TapEndpoint::open(const std::string& interface, std::uint32_t frame_bytes_max) {
  const auto named = [&](const Error& error) {
    return Error{error.code, fmt::format("tap:{}: {}", interface, error.message), error.system_errno};
  };
  auto fd = open_tap(interface, 0);
  if (!fd) return named(fd.error());
  if (auto up = set_interface_up(interface); !up) return named(up.error());
  return std::unique_ptr<TapEndpoint>(new TapEndpoint(interface, *std::move(fd), frame_bytes_max));
}

TapEndpoint::TapEndpoint(std::string interface, UniqueFd fd, std::uint32_t frame_bytes_max)
    : name_("tap:" + std::move(interface)),
      fd_(std::move(fd)),
      stride_((std::max(frame_bytes_max, 2048U) + 63) / 64 * 64),
      send_memory_(std::size_t{burst_max} * stride_),
      receive_memory_(std::size_t{burst_max} * stride_) {
  for (std::size_t i = 0; i < burst_max; ++i) slots_.push_back({nullptr, send_memory_.data() + i * stride_});
}

unsigned TapEndpoint::reserve(unsigned, std::span<SendSlot> slots) noexcept {
  for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = slots_[(next_ + i) % slots_.size()];
  return static_cast<unsigned>(slots.size());
}

unsigned TapEndpoint::send(unsigned, unsigned count, std::uint32_t frame_bytes) noexcept {
  unsigned done = 0;
  for (; done < count; ++done) {
    if (::write(fd_.get(), slots_[(next_ + done) % slots_.size()].frame, frame_bytes) < 0) {
      if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR) error_ = errno;
      break;
    }
  }
  next_ += done;
  written_ += done;
  return done;
}

unsigned TapEndpoint::receive(unsigned, std::span<ReceivedFrame> frames) noexcept {
  unsigned count = 0;
  for (; count < frames.size() && count < burst_max; ++count) {
    std::uint8_t* const buffer = receive_memory_.data() + std::size_t{count} * stride_;
    const auto length = ::read(fd_.get(), buffer, stride_);
    if (length < 0) {
      if (errno != EAGAIN && errno != EINTR) error_ = errno;
      break;
    }
    frames[count] = {buffer, static_cast<std::uint32_t>(length)};
  }
  return count;
}

std::uint32_t TapEndpoint::capacity(std::uint32_t) const noexcept { return queue_frames / 2; }

Result<void> TapEndpoint::health() {
  if (error_ == 0) return {};
  return make_system_error(error_, "{}: reading or writing a frame", name_);
}

Result<void> TapEndpoint::can_send(std::uint32_t, bool tso) const {
  if (tso) return make_error(ErrorCode::unsupported, "{} is read and written frame by frame, without TSO", name_);
  return {};
}

Result<void> TapEndpoint::can_receive(std::uint32_t frame_bytes, bool tso) const { return can_send(frame_bytes, tso); }

std::string TapEndpoint::describe() const { return fmt::format("{}: kernel TAP, read() and write()", name_); }

}  // namespace vhostx::tools::bench
