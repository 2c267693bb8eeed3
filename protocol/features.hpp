// SPDX-License-Identifier: BSD-3-Clause
// Feature bits, virtio's and the protocol's: names, and sets of them that can be printed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include <vhostx/features.hpp>

namespace vhostx::protocol {

/// Bits of SET_FEATURES and of SET_PROTOCOL_FEATURES.
using vhostx::ProtocolFeature;
using vhostx::VirtioFeature;

/// One bit with its name and meaning.
struct FeatureName {
  unsigned bit;
  std::string_view name;     ///< As the specification has it, e.g. "VIRTIO_NET_F_CSUM".
  std::string_view meaning;  ///< One line.
};

/// Every bit with a name, ascending.
std::span<const FeatureName> virtio_feature_names() noexcept;
std::span<const FeatureName> protocol_feature_names() noexcept;

/// The specification's name, or "bit <n>" for one that this library does not know.
std::string feature_name(VirtioFeature bit);
std::string feature_name(ProtocolFeature bit);

/// A set of up to 64 bits of one kind: features, or facts about a session.
template <typename Bit>
class BitSet {
 public:
  constexpr BitSet() noexcept = default;
  constexpr explicit BitSet(std::uint64_t bits) noexcept : bits_(bits) {}
  constexpr BitSet(std::initializer_list<Bit> bits) noexcept {
    for (const Bit bit : bits) set(bit);
  }

  constexpr std::uint64_t bits() const noexcept { return bits_; }
  constexpr bool has(Bit bit) const noexcept { return (bits_ & mask(bit)) != 0; }
  constexpr bool has_all(BitSet other) const noexcept { return other.without(*this).empty(); }
  constexpr bool empty() const noexcept { return bits_ == 0; }

  constexpr BitSet& set(Bit bit, bool on = true) noexcept {
    bits_ = on ? bits_ | mask(bit) : bits_ & ~mask(bit);
    return *this;
  }
  constexpr BitSet& clear(Bit bit) noexcept { return set(bit, false); }
  constexpr BitSet without(BitSet other) const noexcept { return BitSet(bits_ & ~other.bits_); }

  friend constexpr BitSet operator&(BitSet a, BitSet b) noexcept { return BitSet(a.bits_ & b.bits_); }
  friend constexpr BitSet operator|(BitSet a, BitSet b) noexcept { return BitSet(a.bits_ | b.bits_); }
  friend constexpr bool operator==(BitSet, BitSet) noexcept = default;

 private:
  static constexpr std::uint64_t mask(Bit bit) noexcept { return std::uint64_t{1} << static_cast<unsigned>(bit); }

  std::uint64_t bits_ = 0;
};

using FeatureSet = BitSet<VirtioFeature>;
using ProtocolFeatureSet = BitSet<ProtocolFeature>;

/// Names separated by blanks, ascending; unknown bits as "bit <n>"; "none" for the empty set.
std::string to_string(FeatureSet set);
std::string to_string(ProtocolFeatureSet set);

}  // namespace vhostx::protocol
