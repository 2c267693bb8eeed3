// SPDX-License-Identifier: BSD-3-Clause
// Virtqueue: what the layers above may ask of a ring, whatever its kind.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <vhostx/vring_fault.hpp>

#include "memory/guest_memory.hpp"
#include "memory/writable_span.hpp"
#include "virtqueue/chain.hpp"

namespace vhostx::virtqueue {

/// Walks one chain, piece by piece: see ChainWalker.
template <typename W>
concept Walker = requires(W walker, const W& looked_at, typename W::Span& piece) {
  // The next piece, to read or to write (HostSpan, WritableSpan), the end, or a fault of the driver.
  { walker.next(piece) } -> std::same_as<typename W::Step>;
  W::Step::buffer, W::Step::end, W::Step::invalid;
  // What the driver did wrong.
  { looked_at.fault() } -> std::convertible_to<VringFault>;
  // Whether the chain is spread over more pages than a packet may be.
  { looked_at.is_scattered() } -> std::same_as<bool>;
  // Id of the chain, and the entries that it has taken so far.
  { looked_at.chain() } -> std::same_as<Chain>;
};

/// Chains that were looked at together, for the straight path. A chain is simple if it has the form of a Shape.
template <typename B, typename Q>
concept Batch = requires(B batch, const B& loaded, const Q& queue, std::uint16_t i, std::uint32_t bytes,
                         ChainList& list, const memory::GuestMemory& memory, memory::GuestMemory::Hint& hint) {
  // Looks at the next chains, with a limit for simple ones, or with a smaller one before it; how many may be used.
  { batch.load(queue, memory, i, bytes, hint) } -> std::same_as<std::uint16_t>;
  { batch.load(queue, memory, i, bytes, bytes, hint) } -> std::same_as<std::uint16_t>;
  // Whether all are simple and in one piece; and within the smaller limit.
  { loaded.one_piece() } -> std::same_as<bool>;
  { loaded.all_small() } -> std::same_as<bool>;
  // Of chain i: whether it is simple, and if so, where its header and body are, and how long the body is (or 0).
  { loaded.is_simple(i) } -> std::same_as<bool>;
  { loaded.header(i) } -> std::same_as<const std::uint8_t*>;
  { loaded.body(i) } -> std::same_as<const std::uint8_t*>;
  { loaded.template body<true>(i) } -> std::same_as<const std::uint8_t*>;
  { loaded.template body<false>(i) } -> std::same_as<const std::uint8_t*>;
  { loaded.length(i) } -> std::same_as<std::uint32_t>;
  loaded.template prefetch_body<true>(i, bytes);
  loaded.template prefetch_body<false>(i, bytes);
  // Room in it for a header and a part of a body: together, if that is one piece, or each alone.
  { loaded.room(i, bytes) } -> std::same_as<memory::WritableSpan>;
  { loaded.header_room(i) } -> std::same_as<memory::WritableSpan>;
  { loaded.body_room(i, bytes) } -> std::same_as<memory::WritableSpan>;
  // The chains, to be taken and given back, now or by a later queue.
  { loaded.chains() } -> std::same_as<const ChainList&>;
  { loaded.id(i) } -> std::same_as<std::uint16_t>;
  { loaded.simple_chain(i) } -> std::same_as<Chain>;
  loaded.copy_chains(i, list);
};

/// The next chain, if it is simple and in the memory region of the last one: for bursts of one.
template <typename S, typename Q>
concept Single = requires(S single, const S& found, const Q& queue, std::uint32_t bytes, ChainList& list,
                          const memory::GuestMemory::Hint& region) {
  { single.find(queue, region, bytes) } -> std::same_as<bool>;
  { found.header() } -> std::same_as<const std::uint8_t*>;
  { found.body() } -> std::same_as<const std::uint8_t*>;
  { found.room(bytes) } -> std::same_as<memory::WritableSpan>;
  { found.length() } -> std::same_as<std::uint32_t>;
  { found.chain() } -> std::same_as<Chain>;
  found.copy_chain(list);
};

/// One burst of one ring. Chains are looked at (Batch, Single) and taken, and given back, kept or put back: by
/// publish() each must be both, in either order. The driver sees nothing before publish(). One thread at a time.
template <typename Q>
concept Virtqueue = Walker<typename Q::template Walker<Direction::readable>> &&
    Batch<typename Q::template Batch<Shape<Direction::writable, 12, 1, 65535>>, Q> &&
    Single<typename Q::template Single<Shape<Direction::writable, 12, 1, 65535>>, Q> &&
    requires(Q queue, const Q& looked_at, Chain& chain, const ChainList& chains, const typename Q::Mark& mark,
             std::uint16_t count, std::uint32_t bytes, std::uint32_t (*written)(std::size_t),
             const memory::WritableSpan& room, void (*store)(std::uint8_t*), const memory::GuestMemory& memory,
             memory::GuestMemory::Hint& hint, const VringFault& fault) {
  // Whether there are chains that cannot be given back; then a Batch that finds fewer than there are has met one.
  { Q::has_bad_chains } -> std::convertible_to<bool>;
  // Entries of the ring: no chain is longer.
  { looked_at.size() } -> std::same_as<std::uint32_t>;
  // Whether there is no chain that may be looked at; and how many there are, or more than that. Where there are more
  // than `count`, it may say less, but not less than `count`.
  { queue.is_empty() } -> std::same_as<bool>;
  { queue.ready(count) } -> std::same_as<std::uint16_t>;
  // Whether the driver has made available all that the ring holds, and nothing was taken.
  { queue.is_full() } -> std::same_as<bool>;
  // Takes the next chain.
  { queue.take(chain) } -> std::same_as<Take>;
  // Takes the first ones that a batch has looked at, or the one of a Single.
  queue.take(chains, count);
  queue.take(looked_at.chain(chains, count));
  // Takes all and gives them back as they are; how many.
  { queue.give_back_all() } -> std::same_as<std::uint16_t>;
  // Takes the one of a Single, gives it back and publishes it: all of a burst. needs_call() follows.
  queue.use(looked_at.chain(chains, count), bytes);
  // Puts back the chain that was taken last.
  queue.untake(chain);
  // Copies a chain that a batch has looked at, and walks one.
  { looked_at.chain(chains, count) } -> std::same_as<Chain>;
  { queue.template walk<Direction::readable>(chain, memory, hint) } -> Walker;
  { queue.template walk<Direction::writable>(chain, memory, hint) } -> Walker;
  // Whether a chain that is kept may be walked again when others were given back.
  { looked_at.can_walk_later(chain) } -> std::same_as<bool>;
  // Writes into a buffer, and marks what was written.
  queue.write(room, store);
  // Marks what the application wrote into the buffers of a kept chain.
  queue.wrote(memory, memory::HostSpan());
  // Skips a chain that can never be given back; how many there were in this burst.
  { queue.skip_bad_chain(count) } -> std::same_as<bool>;
  { looked_at.bad_chains() } -> std::same_as<std::uint16_t>;
  // Gives a chain back, or a run of a batch, with the bytes that were written: into all of a run, or into none.
  queue.give_back(chain, bytes);
  queue.give_back(chains, count, count, written);
  // Keeps chains, and gives one back in any later burst.
  queue.keep(count);
  queue.give_back_kept(chain, bytes);
  // A position, and the way back to it: what was given back since was never seen. One at a time.
  { queue.mark() } -> std::same_as<typename Q::Mark>;
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
