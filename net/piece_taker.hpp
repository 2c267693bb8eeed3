// SPDX-License-Identifier: BSD-3-Clause
// PieceTaker: one packet of a PeekedBurst, put together from the pieces of a chain.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "memory/load_hook.hpp"
#include "net/offload_from_guest.hpp"
#include "net/peeked_burst.hpp"

namespace vhostx::net {

/// Copies a packet's head and notes where its rest is. More pieces than moved_pieces_max are gathered into the
/// burst's buffer for that, which holds one packet. Nothing of it counts for the burst before
/// commit().
class PieceTaker {
 public:
  enum class Appended {
    yes,
    too_large,  // larger than any packet is
    no_room,    // the burst has no room for this packet: it begins the next burst
  };

  /// `asked`: the packet asks for offloads, so all its headers must be private.
  PieceTaker(PeekedBurst& burst, bool asked) noexcept
      : burst_(burst),
        head_(asked ? burst.long_heads[burst.count].data() : burst.short_heads[burst.count].bytes),
        head_max_(asked ? parsed_bytes_max : peeked_head_bytes),
        first_piece_(burst.piece_count) {}

  Appended append(memory::HostSpan span) noexcept {
    if (span.size > packet_bytes_max - length_) return Appended::too_large;
    length_ += static_cast<std::uint32_t>(span.size);
    const std::size_t part = std::min<std::size_t>(span.size, head_max_ - std::size_t{head_length_});
    std::memcpy(head_ + head_length_, span.data, part);
    memory::loaded(span.data, part);
    head_length_ = static_cast<std::uint16_t>(head_length_ + part);
    span.data += part;
    span.size -= part;
    return span.size == 0 ? Appended::yes : append_rest(span);
  }

  /// Makes the rest private. False: another packet of the burst uses that buffer.
  bool gather() noexcept {
    if (gathering_) return true;
    if (burst_.gathered_taken) return false;
    gathering_ = true;
    for (std::uint16_t i = 0; i < pieces_; ++i) copy_to_gathered(burst_.pieces[first_piece_ + std::size_t{i}]);
    pieces_ = 0;
    return true;
  }

  const std::uint8_t* head() const noexcept { return head_; }
  std::uint16_t head_length() const noexcept { return head_length_; }
  std::uint32_t length() const noexcept { return length_; }

  /// Adds the packet to the burst.
  void commit(const GuestOffload& offload) noexcept {
    const std::size_t number = burst_.count;
    const bool one_piece = pieces_ == 1;
    const std::uint16_t kept = one_piece ? std::uint16_t{0} : pieces_;
    burst_.details[number] = {offload.ol_flags, offload.packet_type, offload.tso_segsz, first_piece_, kept};
    burst_.rests[number] = one_piece ? burst_.pieces[first_piece_].data : burst_.gathered.data();
    burst_.packets[number] = {head_, length_, head_length_};
    burst_.not_plain |= 1U << number;
    burst_.piece_count = static_cast<std::uint16_t>(first_piece_ + kept);
    burst_.gathered_taken |= gathering_;
    burst_.bytes += length_;
    ++burst_.count;
  }

 private:
  Appended append_rest(memory::HostSpan span) noexcept {
    const std::size_t at = first_piece_ + std::size_t{pieces_};
    if (!gathering_ && pieces_ < moved_pieces_max) {
      if (at == PeekedBurst::pieces_in_all) return Appended::no_room;
      burst_.pieces[at] = span;
      ++pieces_;
      return Appended::yes;
    }
    if (!gather()) return Appended::no_room;
    copy_to_gathered(span);
    return Appended::yes;
  }

  void copy_to_gathered(memory::HostSpan span) noexcept {
    std::memcpy(burst_.gathered.data() + gathered_length_, span.data, span.size);
    memory::loaded(span.data, span.size);
    gathered_length_ += static_cast<std::uint32_t>(span.size);
  }

  PeekedBurst& burst_;
  std::uint8_t* const head_;
  const std::uint16_t head_max_;
  std::uint16_t head_length_ = 0;
  std::uint32_t length_ = 0;
  std::uint32_t gathered_length_ = 0;
  const std::uint16_t first_piece_;
  std::uint16_t pieces_ = 0;
  bool gathering_ = false;
};

}  // namespace vhostx::net
