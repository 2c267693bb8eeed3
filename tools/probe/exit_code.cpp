// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/exit_code.hpp"

#include <cstdio>

#include <fmt/format.h>

namespace vhostx::tools::probe {

int fail(const std::string& subject, const std::string& message, ExitCode code) {
  fmt::print(stderr, "vhostx-probe: {}: {}\n", subject, message);
  return static_cast<int>(code);
}

int print(const std::string& text) {
  const bool taken = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return static_cast<int>(taken ? ExitCode::good : ExitCode::failed);
}

}  // namespace vhostx::tools::probe
