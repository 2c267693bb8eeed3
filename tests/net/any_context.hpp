// SPDX-License-Identifier: BSD-3-Clause
// A burst's context on a ring of whichever kind the driver has, and the data path's calls on it: tests do not choose.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "net/dequeue.hpp"
#include "net/enqueue.hpp"
#include "net/move.hpp"
#include "net/peek.hpp"
#include "virtqueue/any_layout.hpp"

namespace vhostx::test {

struct AnyContext {
  const virtqueue::AnyLayout& layout;
  const memory::GuestMemory& memory;
  virtqueue::VringCursor& cursor;
  net::RingCounters& counters;
  std::uint64_t features;
  std::uint32_t frame_max;

  template <typename Use>
  auto with(Use use) const {
    if (layout.kind == virtqueue::RingKind::split)
      return use(net::SplitContext{layout.split, memory, cursor, counters, features, frame_max});
    return use(net::PackedContext{layout.packed, memory, cursor, counters, features, frame_max});
  }
  operator net::RingContext() const { return {memory, cursor, counters, features, frame_max}; }
};

/// The same for a guest that is logged.
struct AnyLogged {
  AnyContext context;
  virtqueue::LogMarks marks;

  template <typename Use>
  auto with(Use use) const {
    return context.with([&]<typename Base>(const Base& base) { return use(net::Logged<Base>{base, marks}); });
  }
};

/// An argument as a call has it: numbers are of packets.
template <typename T>
decltype(auto) passed(T&& argument) {
  if constexpr (std::integral<std::remove_cvref_t<T>>)
    return static_cast<std::uint16_t>(argument);
  else
    return std::forward<T>(argument);
}

template <typename C>
concept RunTimeContext = std::same_as<C, AnyContext> || std::same_as<C, AnyLogged>;

}  // namespace vhostx::test

namespace vhostx::net {

template <test::RunTimeContext C, typename... Arguments>
BurstResult dequeue(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return dequeue(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult drop_available(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return drop_available(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult enqueue(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return enqueue(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult move(const C& context, Arguments&&... arguments) {
  return context.with([&](const auto& one) { return move(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult peek(const C& context, Arguments&&... arguments) {
  return context.with([&](const auto& one) { return peek(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult give_back(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return give_back(one, test::passed(std::forward<Arguments>(arguments))...); });
}

}  // namespace vhostx::net
