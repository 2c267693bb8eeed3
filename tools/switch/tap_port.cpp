// SPDX-License-Identifier: BSD-3-Clause
// TapPort: opening, reading and writing.
#include "tools/switch/tap_port.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <net/if.h>
#include <unistd.h>

#include <fmt/format.h>
#include <linux/if_tun.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "base/error.hpp"
#include "net/mbuf_pieces.hpp"
#include "net/offload_from_guest.hpp"
#include "net/offload_to_guest.hpp"
#include "net/segmenter.hpp"
#include "tools/common/tap_device.hpp"
#include "tools/switch/packet_template.hpp"

namespace vhostx::tools {
namespace {

constexpr unsigned tun_uso = 0x20 | 0x40;  // TUN_F_USO4 and 6: Linux 6.2, newer than Debian 12's headers
constexpr std::uint64_t features_plain = net::feature_version_1 | net::feature_mrg_rxbuf | net::feature_csum |
                                         net::feature_guest_csum | net::feature_guest_tso4 | net::feature_guest_tso6 |
                                         net::feature_guest_ecn | net::feature_host_tso4 | net::feature_host_tso6 |
                                         net::feature_host_ecn;
constexpr std::uint64_t features_uso = net::feature_guest_uso4 | net::feature_guest_uso6 | net::feature_host_uso;
constexpr std::uint64_t look_again_us = 20;
constexpr std::size_t iovecs_max = 128;
constexpr unsigned read_errors_max = 16;  // then an error that is not known to pass does not pass

/// What the kernel says of an interface that was deleted (EBADFD), or of a descriptor that is none of ours any more.
bool is_end(int error) noexcept { return error == EBADFD || error == EBADF || error == ENODEV || error == ENXIO; }

Error named(const std::string& name, const Error& error) {
  return Error{error.code, fmt::format("--tap {}: {}", name, error.message), error.system_errno};
}

Error failed(const std::string& name, const char* step) { return named(name, make_system_error(errno, "{}", step)); }

Result<std::uint64_t> set_offloads(int fd, const std::string& name) {
  int header_bytes = sizeof(net::VirtioNetHeader);
  if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) != 0) return failed(name, "TUNSETVNETHDRSZ");
  constexpr unsigned plain = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (ioctl(fd, TUNSETOFFLOAD, plain | tun_uso) == 0) return features_plain | features_uso;
  if (ioctl(fd, TUNSETOFFLOAD, plain) == 0) return features_plain;
  return failed(name, "TUNSETOFFLOAD");
}

/// Gathers the pieces of one packet for writev.
struct Pieces {
  std::array<iovec, iovecs_max> vector;
  int count = 0;
  bool fits = true;

  void add(const void* bytes, std::size_t size) noexcept {
    if (size == 0) return;
    fits = fits && static_cast<std::size_t>(count) < vector.size();
    if (fits) vector[static_cast<std::size_t>(count++)] = {const_cast<void*>(bytes), size};
  }
};

}  // namespace

Result<std::unique_ptr<TapPort>> TapPort::open(const std::string& name) {
  auto fd = open_tap(name, IFF_VNET_HDR);
  if (!fd) return named(name, fd.error());
  const auto features = set_offloads(fd->get(), name);
  if (!features) return features.error();
  if (auto up = set_interface_up(name); !up) return named(name, up.error());
  return std::make_unique<TapPort>(*std::move(fd), *features);
}

VringStats TapPort::values(const Counters& counters) noexcept {
  VringStats stats;
  for (std::size_t i = 0; i < counters.size(); ++i) stats.values[i] = counters[i].value();
  return stats;
}

std::uint16_t TapPort::receive(rte_mempool* pool, rte_mbuf** packets, std::uint16_t count) noexcept {
  if (link() == LinkState::gone) return 0;
  if (pending_ == 0 && look_again_tsc_ != 0 && rte_get_tsc_cycles() < look_again_tsc_) return 0;
  std::uint16_t done = 0;
  while (done < count && fill_buffer()) {
    rte_mbuf* const packet = take_buffer(pool);
    if (packet != nullptr) {
      add(received_, VringCounter::bytes, packet->pkt_len);
      packets[done++] = packet;
    } else if (pending_ != 0) {
      add(received_, VringCounter::stall_no_mbuf, 1);
      break;
    }
  }
  add(received_, VringCounter::packets, done);
  add(received_, VringCounter::bursts, done != 0 ? 1 : 0);
  look_again_tsc_ = done != 0 ? 0 : rte_get_tsc_cycles() + rte_get_tsc_hz() / 1'000'000 * look_again_us;
  return done;
}

/// One frame with its header, unless one waits already.
bool TapPort::fill_buffer() noexcept {
  if (pending_ != 0) return true;
  const auto length = read(fd_.get(), buffer_.data(), buffer_.size());
  if (length < 0) note_read_error(errno);
  if (length <= 0) return false;
  read_errors_ = 0;
  if (link() != LinkState::up) set_link(LinkState::up, 0);
  pending_ = static_cast<std::size_t>(length);
  return true;
}

/// Both directions may notice at the same time; what is gone stays gone.
void TapPort::set_link(LinkState link, int error) noexcept {
  auto before = link_status();
  do {
    if (before.link == link || before.link == LinkState::gone) return;
  } while (!link_.compare_exchange_weak(before, {link, error}, std::memory_order_relaxed));
  if (link_changed_) link_changed_();
}

void TapPort::note_read_error(int error) noexcept {
  if (error == EAGAIN || error == EINTR || error == ENOMEM || error == ENOBUFS) return;
  if (is_end(error) || ++read_errors_ >= read_errors_max) return set_link(LinkState::gone, error);
  if (error == EIO) set_link(LinkState::down, error);
}

/// The frame in the buffer as an mbuf. Null with pending_ still set: the pool is empty. Null without: it was dropped.
rte_mbuf* TapPort::take_buffer(rte_mempool* pool) noexcept {
  constexpr std::size_t ethernet_header_length = 14;
  net::VirtioNetHeader header;
  if (pending_ < sizeof header + ethernet_header_length) {
    pending_ = 0;
    add(received_, VringCounter::drop_short_chain, 1);
    return nullptr;
  }
  std::memcpy(&header, buffer_.data(), sizeof header);
  const std::span<const std::byte> whole(buffer_.data(), pending_);
  rte_mbuf* const packet = mbuf_from_bytes(pool, whole.subspan(sizeof header));
  if (packet == nullptr) return nullptr;
  pending_ = 0;
  if (!net::asks_offload(header) || net::apply_guest_offload(header, features_, packet)) return packet;
  rte_pktmbuf_free(packet);
  add(received_, VringCounter::drop_bad_header, 1);
  return nullptr;
}

std::uint16_t TapPort::send(rte_mbuf* const* packets, std::uint16_t count) noexcept {
  std::uint16_t done = 0;
  std::uint64_t delivered = 0;
  if (link() == LinkState::gone) {
    add(sent_, VringCounter::drop_disabled, count);
    return count;
  }
  for (; done < count; ++done) {
    const auto written = write_packet(packets[done]);
    if (written == Written::later) break;
    if (written == Written::dropped) continue;
    ++delivered;
    add(sent_, VringCounter::bytes, packets[done]->pkt_len);
  }
  add(sent_, VringCounter::packets, delivered);
  add(sent_, VringCounter::bursts, delivered != 0 ? 1 : 0);
  return done;
}

TapPort::Written TapPort::write_packet(const rte_mbuf* packet) noexcept {
  net::PacketView view;
  switch (net::prepare_for_guest(packet, features_, view)) {
    case net::OffloadVerdict::ready_checksummed:
      add(sent_, VringCounter::checksummed, 1);
      return write_view(view);
    case net::OffloadVerdict::ready:
      return write_view(view);
    case net::OffloadVerdict::segment:
      add(sent_, VringCounter::segmented, 1);
      return write_segments(view);
    case net::OffloadVerdict::bad_offload:
      break;
  }
  add(sent_, VringCounter::drop_bad_offload, 1);
  return Written::dropped;
}

/// A segment that the kernel does not take now is lost, as on any wire: the ones before it are on their way.
TapPort::Written TapPort::write_segments(const net::PacketView& whole) noexcept {
  net::Segmenter segmenter(whole, features_);
  auto all = Written::yes;
  for (net::PacketView segment; segmenter.next(segment);)
    if (write_view(segment) != Written::yes) all = Written::dropped;
  return all;
}

TapPort::Written TapPort::write_view(const net::PacketView& view) noexcept {
  Pieces pieces;
  pieces.add(&view.header, sizeof view.header);
  pieces.add(view.prefix, view.prefix_length);
  net::for_each_piece(view.mbuf, view.offset, view.length,
                      [&pieces](const std::uint8_t* bytes, std::uint32_t size) { pieces.add(bytes, size); });
  if (!pieces.fits) {
    add(sent_, VringCounter::drop_too_large, 1);
    return Written::dropped;
  }
  if (writev(fd_.get(), pieces.vector.data(), pieces.count) >= 0) {
    if (link() == LinkState::down) set_link(LinkState::up, 0);
    return Written::yes;
  }
  if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) {
    add(sent_, VringCounter::stall_no_buffer, 1);
    return Written::later;
  }
  return give_up(errno);
}

TapPort::Written TapPort::give_up(int error) noexcept {
  if (is_end(error)) set_link(LinkState::gone, error);
  if (error == EIO) set_link(LinkState::down, error);
  // Any other error: the kernel takes no such packet.
  const bool no_interface = is_end(error) || error == EIO;
  add(sent_, no_interface ? VringCounter::drop_disabled : VringCounter::drop_bad_offload, 1);
  return Written::dropped;
}

}  // namespace vhostx::tools
