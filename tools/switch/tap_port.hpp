// SPDX-License-Identifier: BSD-3-Clause
// TapPort: a kernel TAP interface as a port of the switch, so that guests reach the host.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"
#include "net/packet_view.hpp"
#include "tools/switch/counter.hpp"
#include "tools/switch/frame_device.hpp"

namespace vhostx::tools {

/// The kernel speaks the virtio-net header too (IFF_VNET_HDR), so partial checksums and large TCP segments pass both
/// ways as they are, through the same conversion that guests' packets take.
class TapPort final : public FrameDevice {
 public:
  /// Makes the interface, or takes over a persistent one, and sets it up. Its address is the administrator's.
  /// Errors: system, with what was tried: no /dev/net/tun, no permission (CAP_NET_ADMIN), name in use.
  static Result<std::unique_ptr<TapPort>> open(const std::string& name);

  TapPort(UniqueFd fd, std::uint64_t features) noexcept : fd_(std::move(fd)), features_(features) {}

  std::uint16_t receive(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept override;
  std::uint16_t send(rte_mbuf* const* packets, std::uint16_t count) noexcept override;
  int fd() const noexcept override { return fd_.get(); }
  VringStats received() const noexcept override { return values(received_); }
  VringStats sent() const noexcept override { return values(sent_); }
  LinkState link() const noexcept override { return link_status().link; }
  struct alignas(8) LinkStatus {  // one word: clang asks for no library then
    LinkState link = LinkState::up;
    int error = 0;  ///< The errno that said so; 0: up.
  };
  LinkStatus link_status() const noexcept { return link_.load(std::memory_order_relaxed); }
  /// Before the first receive() or send(): called whenever link() has changed, by whoever noticed. It may not wait.
  void on_link_change(std::function<void()> notice) { link_changed_ = std::move(notice); }

 private:
  using Counters = std::array<Counter, vring_counter_count>;
  static constexpr std::size_t frame_max = 65535 + 18;  // the largest IP packet behind Ethernet and a VLAN tag

  static VringStats values(const Counters& counters) noexcept;
  static void add(Counters& counters, VringCounter id, std::uint64_t amount) noexcept {
    counters[static_cast<std::size_t>(id)].add(amount);
  }

  void set_link(LinkState link, int error) noexcept;
  void note_read_error(int error) noexcept;
  bool fill_buffer() noexcept;
  rte_mbuf* take_buffer(rte_mempool* pool) noexcept;
  enum class Written { yes, dropped, later };
  Written write_packet(const rte_mbuf* packet) noexcept;
  Written write_segments(const net::PacketView& whole) noexcept;
  Written write_view(const net::PacketView& view) noexcept;
  Written give_up(int error) noexcept;

  UniqueFd fd_;
  const std::uint64_t features_;  ///< What a guest would have negotiated that can what this kernel's TAP can.
  std::function<void()> link_changed_;
  std::atomic<LinkStatus> link_{LinkStatus{}};
  unsigned read_errors_ = 0;  ///< One after the other.
  Counters received_;
  Counters sent_;
  std::uint64_t look_again_tsc_ = 0;  ///< Reading an empty TAP costs a system call: not at every poll.
  std::size_t pending_ = 0;           ///< Bytes in buffer_ that wait for mbufs.
  std::array<std::byte, sizeof(net::VirtioNetHeader) + frame_max> buffer_;
};

}  // namespace vhostx::tools
