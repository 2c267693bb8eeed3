// SPDX-License-Identifier: BSD-3-Clause
// The calls that lend, on a ring of whichever kind the driver has: see tests/net/any_context.hpp.
#pragma once

#include <utility>

#include "tests/net/any_context.hpp"
#include "zerocopy/borrow.hpp"
#include "zerocopy/dequeue.hpp"

namespace vhostx::zerocopy {

using net::BurstResult;

template <test::RunTimeContext C, typename... Arguments>
BurstResult dequeue(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return dequeue(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult return_transmitted(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return return_transmitted(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult take_back(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return take_back(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult borrow(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return borrow(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult commit(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return commit(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult keep_returned(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return keep_returned(one, test::passed(std::forward<Arguments>(arguments))...); });
}
template <test::RunTimeContext C, typename... Arguments>
BurstResult return_spares(const C& context, Arguments&&... arguments) {
  return context.with(
      [&](const auto& one) { return return_spares(one, test::passed(std::forward<Arguments>(arguments))...); });
}

}  // namespace vhostx::zerocopy
