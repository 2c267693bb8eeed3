// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/session/ring_kind.hpp"

#include <fmt/format.h>

#include "protocol/payloads.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

bool is_packed(const SessionState& state) noexcept {
  return state.features && state.features->has(VirtioFeature::ring_packed);
}

std::array<AreaKind, 3> area_kinds(bool packed, std::uint32_t size) noexcept {
  if (packed) return {{{"descriptor ring", 16ULL * size, 16}, {"driver event", 4, 4}, {"device event", 4, 4}}};
  return {{{"descriptor table", 16ULL * size, 16},
           {"available ring", 6 + 2ULL * size, 2},
           {"used ring", 6 + 8ULL * size, 4}}};
}

std::string text_of_base(bool packed, std::uint32_t base) {
  if (!packed) return fmt::format("{}", base);
  const PackedBase both{base};
  const auto available = fmt::format("available {} wrap {}", both.available(), both.available_wrap() ? 1 : 0);
  if (!both.has_used()) return available + ", used not given";
  return fmt::format("{}, used {} wrap {}", available, both.used(), both.used_wrap() ? 1 : 0);
}

std::string meaning_with_packed_rings(Incoming way, const Message& message) {
  if (is_of_back_end(way)) return {};
  const auto id = message.front_end_request();
  if (id == Request::set_vring_addr && !is_reply(way))
    return " (packed: used is the device event, available the driver event)";
  const bool answers = id == Request::get_vring_base || id == Request::get_vring_base_skip_drain;
  if (is_reply(way) ? !answers : id != Request::set_vring_base) return {};
  return fmt::format(" ({})", text_of_base(true, message.payload_padded_as<VringState>().num));
}

void judge_base(const SessionState& state, std::uint32_t index, const RingView& ring, Findings& findings) {
  if (!is_packed(state) || !ring.base || !ring.size) return;
  const PackedBase both{*ring.base};
  if (both.available() < *ring.size && (!both.has_used() || both.used() < *ring.size)) return;
  violation(findings,
            fmt::format("the base of vring {} is {}, expected places below its {} descriptors", index,
                        text_of_base(true, *ring.base), *ring.size),
            "Vring descriptor indices for packed virtqueues");
}

}  // namespace vhostx::tools::probe
