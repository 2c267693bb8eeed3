// SPDX-License-Identifier: BSD-3-Clause
// Virtqueue: what the layers above may ask of a ring, whatever its kind.
#pragma once

#include <concepts>
#include <cstdint>

#include <vhostx/vring_fault.hpp>

#include "memory/guest_memory.hpp"
#include "virtqueue/chain.hpp"

namespace vhostx::virtqueue {

/// Walks one chain, piece by piece: see ChainWalker.
template <typename W>
concept Walker = requires(W walker, const W& looked_at, memory::HostSpan& piece) {
  // The next piece, the end, or a fault of the driver.
  { walker.next(piece) } -> std::same_as<typename W::Step>;
  W::Step::buffer, W::Step::end, W::Step::invalid;
  // What the driver did wrong.
  { looked_at.fault() } -> std::convertible_to<VringFault>;
  // Whether the chain is spread over more pages than a packet may be.
  { looked_at.is_scattered() } -> std::same_as<bool>;
  // The chain, with the entries that it has taken so far.
  { looked_at.chain() } -> std::same_as<Chain>;
};

/// One burst of one ring. Chains are looked at (Batch, Single), taken, and then given back, kept or put back. The
/// driver sees nothing of it before publish(). One thread at a time.
template <typename Q>
concept Virtqueue = Walker<typename Q::Walker> &&
    requires(Q queue, const Q& looked_at, Chain& chain, const ChainList& chains, const typename Q::Mark& mark,
             std::uint16_t count, std::uint32_t bytes, std::uint32_t (*written)(std::size_t),
             const memory::GuestMemory& memory, memory::GuestMemory::Hint& hint, const VringFault& fault) {
  // Entries of the ring: no chain is longer.
  { looked_at.size() } -> std::same_as<std::uint32_t>;
  // How many chains may be looked at; read from the ring once a burst.
  { queue.ready() } -> std::same_as<std::uint16_t>;
  // Takes the next chain.
  { queue.take(chain) } -> std::same_as<Take>;
  // Takes the first ones that a batch has looked at, or the one of a Single.
  queue.take(chains, count);
  queue.take(looked_at.chain(chains, count));
  // Puts back the chain that was taken last.
  queue.untake(chain);
  // Copies a chain that a batch has looked at, and walks one.
  { looked_at.chain(chains, count) } -> std::same_as<Chain>;
  { queue.walk(chain, Direction::readable, memory, hint) } -> std::same_as<typename Q::Walker>;
  // Skips a chain that can never be given back; how many there were in this burst.
  { queue.skip_bad_chain(count) } -> std::same_as<bool>;
  { looked_at.bad_chains() } -> std::same_as<std::uint16_t>;
  // Gives a chain back, or a run of a batch, with the bytes that were written.
  queue.give_back(chain, bytes);
  queue.give_back(chains, count, count, written);
  // Keeps a chain, and gives it back in any later burst.
  queue.keep(chain);
  queue.give_back_kept(chain, bytes);
  // A position, and the way back to it: what was given back since was never seen.
  { looked_at.mark() } -> std::same_as<typename Q::Mark>;
  queue.rewind(mark);
  // Shows the driver what was given back. True: needs_call() follows.
  { queue.publish() } -> std::same_as<bool>;
  // Moves the point at which the driver kicks, where chains were only kept.
  queue.publish_position();
  // Whether the driver wants a call for what was published.
  { queue.needs_call() } -> std::same_as<bool>;
  // Breaks the ring: the first fault stays.
  queue.fail(fault);
  { looked_at.broken() } -> std::same_as<bool>;
};

}  // namespace vhostx::virtqueue
