// SPDX-License-Identifier: BSD-3-Clause
// Functions in C that save and load an application's state, as C++ calls them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <vhostx/c/state.h>
#include <vhostx/result.hpp>

#include "base/error.hpp"

namespace vhostx::c {

struct SaveInC {
  vhostx_save_state call;
  void* user;
  std::uint32_t bytes_max;

  std::vector<std::byte> operator()() const {
    std::vector<std::byte> state(bytes_max);
    const std::size_t count = call(user, state.data(), state.size());
    if (count > state.size()) throw std::runtime_error("it returned " + std::to_string(count));
    state.resize(count);
    return state;
  }
};

struct LoadInC {
  vhostx_load_state call;
  void* user;

  Result<void> operator()(std::span<const std::byte> state) const {
    if (call(user, state.data(), state.size())) return {};
    return make_error(ErrorCode::invalid_argument, "load_state returned false");
  }
};

}  // namespace vhostx::c
