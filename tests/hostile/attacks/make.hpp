// SPDX-License-Identifier: BSD-3-Clause
// What attacks are made of: messages with payloads and descriptors that no front-end would send, and how an attack is
// put on the list.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "protocol/codec.hpp"
#include "tests/hostile/attacker.hpp"

namespace vhostx::hostile {

using protocol::FeatureSet;
using Request = protocol::FrontEndRequest;
using V = protocol::VirtioFeature;
using P = protocol::ProtocolFeature;

constexpr std::uint32_t id_of(Request request) noexcept { return static_cast<std::uint32_t>(request); }

using virtqueue::RingKind;
/// For groups that attack by rings of either kind.
inline constexpr std::initializer_list<RingKind> both_kinds{RingKind::split, RingKind::packed};

/// Puts the attacks of one group on the list.
class Group {
 public:
  /// The name begins with "packed-" where the attacker has packed rings.
  Group(Attacks& attacks, const std::string& name, RingKind kind = RingKind::split)
      : attacks_(attacks), name_((kind == RingKind::packed ? "packed-" : "") + name), kind_(kind) {}

  using Run = std::function<void(Attacker&)>;
  void add(const char* name, Expected expected, Run run, const char* cve = "", Socket port = Socket::attacked) {
    attacks_.push_back({name_ + "." + name, cve, std::move(expected), std::move(run), port, kind_});
  }
  bool is_packed() const noexcept { return kind_ == RingKind::packed; }
  /// What Attacker::lie() comes to.
  Expected lied() const { return broken(is_packed() ? "chain_too_long" : "avail_index_jump"); }

 private:
  Attacks& attacks_;
  std::string name_;
  RingKind kind_;
};

/// A request with so many bytes of payload, all zero.
protocol::Message of_length(Request request, std::size_t bytes);
protocol::Message unknown_request(std::uint32_t number);
protocol::Message number(Request request, std::uint64_t value);
protocol::Message ring_state(Request request, std::uint32_t index, std::uint32_t value);
protocol::Message with_fd(protocol::Message message, UniqueFd fd);

/// SET_VRING_KICK of ring 0, whose addresses were changed; `change` is told of the memory.
Group::Run laid_out(std::function<void(protocol::VringAddress&, const protocol::MemoryRegion&)> change);

// ---- descriptors; each throws Decided where the machine has no such thing
UniqueFd event_fd(unsigned value = 0, int flags = 0);
UniqueFd memory_file(std::size_t bytes, unsigned flags = 0);
/// The end to write to, whose reader is gone.
UniqueFd broken_pipe();
UniqueFd socket_end();
UniqueFd opened(const char* path, int flags);
UniqueFd timer_fd();
UniqueFd epoll_fd();

}  // namespace vhostx::hostile
