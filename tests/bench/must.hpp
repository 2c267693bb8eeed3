// SPDX-License-Identifier: BSD-3-Clause
// must(): the value of a Result, or the end of the process with its message: a bench has nobody to report to.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include <vhostx/result.hpp>

namespace vhostx::bench {

template <typename T>
T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "bench: %s: %s\n", what, result.error().message.c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

}  // namespace vhostx::bench
