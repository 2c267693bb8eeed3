// SPDX-License-Identifier: BSD-3-Clause
// Chain: a chain of buffers as the layers above virtqueue/ hold it.
#pragma once

#include <array>
#include <cstdint>

#include "virtqueue/ring.hpp"

namespace vhostx::virtqueue {

/// Which chains a ring accepts. A net transmitq has only readable buffers, a receiveq only writable ones (5.1.6), so
/// the order within a chain need not be checked.
enum class Direction { readable, writable };

/// What the layers above keep of a chain's first descriptor, and do not look into.
using FirstDescriptor = RawDescriptor;

/// A chain that the driver has made available. Layers above hand it back (give_back()), keep it for later (keep()), or
/// look into it (walk()). What its members mean is the queue's business.
struct Chain {
  std::uint16_t id = 0;       ///< The driver's name for it. It need not be an index into anything.
  std::uint16_t at = 0;       ///< In a packed ring, where it begins.
  std::uint32_t entries = 0;  ///< Ring entries that it takes; in a split ring as many as were walked.
  FirstDescriptor first{};    ///< Its first descriptor, as it was copied.
};

enum class Take {
  empty,    ///< Nothing there.
  chain,    ///< A chain that can be given back.
  invalid,  ///< The driver broke the specification: cursor.fault says how.
};

/// Chains that a burst handles together; arrays of this size live on the stack.
inline constexpr std::uint16_t batch_max = 32;

/// What it takes to give back the chains of a batch, for its queue to fill and to read.
struct ChainList {
  std::array<std::uint16_t, batch_max> ids;
  std::array<std::uint16_t, batch_max> entries;  ///< Only of a ring in which chains are given back by their size,
  bool all_single;                               ///< and unless all have one entry.

  ChainList() noexcept {}  // NOLINT: not cleared
};

/// The chains that a straight path handles: a header of fixed length and a body, in one buffer or in two.
template <Direction direction_of, std::uint16_t header, std::uint32_t body_least, std::uint32_t body_most>
struct Shape {
  static constexpr Direction direction = direction_of;
  static constexpr std::uint16_t header_bytes = header;
  static constexpr std::uint32_t body_min = body_least;  ///< Bytes; at least 1.
  static constexpr std::uint32_t body_max = body_most;
};

}  // namespace vhostx::virtqueue
