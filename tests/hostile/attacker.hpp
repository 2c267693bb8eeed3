// SPDX-License-Identifier: BSD-3-Clause
// Attacker: the hostile front-end, and the hostile driver of its guest, for the length of one attack. Calls throw
// Decided where the back-end does not even do what it must for the attack to be made.
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "base/event_fd.hpp"
#include "tests/hostile/attack.hpp"
#include "tests/hostile/packed_driver.hpp"
#include "tests/hostile/stage.hpp"
#include "tools/probe/check/guest.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::hostile {

using tools::probe::Guest;
using tools::probe::GuestPlan;
using tools::probe::Link;

class Attacker {
 public:
  Attacker(Stage& stage, const Attack& attack);

  const tools::probe::Subject& subject() const noexcept { return stage_.subject(port_); }
  BackEnd& back_end() noexcept { return stage_.back_end(); }
  /// Whom its frames go to, and whose frames come to it.
  HonestGuest& peer() noexcept { return stage_.peer_of(port_); }

  // ---- the connection, of which there is one
  /// Connects, negotiates, shares memory. The plan of the first call counts.
  Guest& guest(const GuestPlan& plan = {});
  /// And its rings run, with err eventfds: what it sent has been used.
  Guest& running(const GuestPlan& plan = {});
  /// The guest's; where there is none, one that has negotiated nothing.
  Link& link();
  bool connected() const noexcept { return guest_ || bare_; }
  /// As a front-end that dies.
  void leave();

  // ---- messages
  /// Sends a message that is wrong, asking for an acknowledgement where that was negotiated.
  void wrong(protocol::Message message);
  /// A header as it is, with as many bytes of payload, all of them zero.
  void raw(const protocol::Header& header, std::size_t payload_bytes);
  void bytes(const std::vector<std::byte>& bytes, const protocol::FdList& fds = {});
  /// Everything sent so far has been read and answered.
  void sync() { link().sync("an attack"); }

  // ---- the driver, on rings of either kind
  /// What show() makes available. In a packed ring it is copied into the ring then.
  virtqueue::Descriptor& descriptor(std::uint32_t vring, std::uint16_t index);
  /// The ring's own descriptors; as many as it has entries.
  virtqueue::Descriptor* table(std::uint32_t vring);
  /// The same as the entry of an indirect table: in that of a packed ring, id and flags come last.
  virtqueue::Descriptor in_table(const virtqueue::Descriptor& entry) const noexcept {
    return packed_rings_ ? virtqueue::Descriptor{entry.address, entry.length, 0xdead, entry.flags} : entry;
  }
  /// Of a split ring; in a packed one, where the event structures are.
  std::uint16_t* avail(std::uint32_t vring);
  std::uint8_t* used(std::uint32_t vring);
  bool is_packed() const noexcept { return packed_rings_; }
  /// Of a packed ring.
  PackedDriver& packed(std::uint32_t vring) { return packed_.at(vring); }
  /// What no driver does: its ring breaks as Group::lied() says.
  void lie(std::uint32_t vring);
  /// Frames of 64 bytes, as Guest's functions of these names.
  void send(unsigned count = 1, unsigned pair = 0);
  void await_sent(const char* what, unsigned pair = 0);
  /// The ring stops and starts anew: nothing is out. A packed ring at entry `index`, in its first lap.
  void restart(std::uint32_t vring, std::uint16_t index);
  void post_receive(unsigned pair = 0);
  /// The guest's address of something that lies in its memory.
  std::uint64_t guest_address(const void* at);
  /// Makes these heads available, whatever their descriptors say, and kicks.
  void show(std::uint32_t vring, std::initializer_list<std::uint16_t> heads);
  void show(std::uint32_t vring, const std::vector<std::uint16_t>& heads);
  /// The used index has come so far from where it was when the rings had started.
  void await_used(std::uint32_t vring, unsigned count);
  std::uint16_t used_index(std::uint32_t vring);
  /// All that was shown has been used.
  bool caught_up(std::uint32_t vring);
  /// The honest guest sends frames, which have to go into the ring of vring 0. In a packed ring, what was posted there
  /// is written again before, as it is described now.
  void feed(unsigned frames, bool to_all = false);

  // ---- what is known of the outcome
  const std::optional<tools::probe::Fate>& fate() const noexcept { return fate_; }
  bool error_signalled() const;
  int error_fd() const noexcept { return error_.get(); }
  bool has_error_fd() const noexcept { return static_cast<bool>(error_); }

 private:
  void start_packed();
  void show_packed(std::uint32_t vring, const std::vector<std::uint16_t>& heads);

  Stage& stage_;
  Socket port_;
  bool packed_rings_;
  std::optional<Guest> guest_;
  std::deque<PackedDriver> packed_;  // by vring
  std::uint32_t next_number_ = 1;
  std::optional<Link> bare_;
  EventFd error_;
  std::optional<tools::probe::Fate> fate_;
  std::vector<std::uint16_t> used_at_start_;
};

// The rings of the first pair.
constexpr std::uint32_t into = 0, out_of = 1;

constexpr std::uint16_t next = virtqueue::Descriptor::next_flag;
constexpr std::uint16_t writable = virtqueue::Descriptor::write_flag;
constexpr std::uint16_t indirect = virtqueue::Descriptor::indirect_flag;

}  // namespace vhostx::hostile
