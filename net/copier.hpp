// SPDX-License-Identifier: BSD-3-Clause
// Copier: a ChainTaker that copies every packet.
#pragma once

#include <cstdint>

#include "net/dequeuer.hpp"

namespace vhostx::net {

struct Copier {
  template <typename Burst>
  [[gnu::always_inline]] std::uint16_t load(Burst& burst, std::uint16_t chains) noexcept {
    return burst.batch.load(burst.queue, burst.context.memory, chains, burst.fresh.room(), burst.context.cursor.hint);
  }

  template <typename Burst>
  [[gnu::always_inline]] std::uint16_t take_straight(Burst& burst, std::uint16_t begin, std::uint16_t end) noexcept {
    return burst.batch.one_piece() ? burst.template take_run<true>(begin, end)
                                   : burst.template take_run<false>(begin, end);
  }

  template <typename Burst>
  [[gnu::noinline]] ChainOutcome take_chain(Burst& burst, std::uint16_t i) noexcept {
    rte_mbuf* const mbuf = burst.next();
    burst.fresh.apply(mbuf, 0);
    MbufWriter writer(burst.pool, mbuf);
    auto walker = burst.walk(i);
    typename Burst::Header header;
    const ChainOutcome outcome = burst.copy_chain(walker, writer, mbuf, header);
    if (outcome != ChainOutcome::copied) writer.discard();
    return outcome;
  }
};

}  // namespace vhostx::net
