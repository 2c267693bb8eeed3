// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/say.hpp"

#include <string>

#include <rte_log.h>

namespace vhostx::compat {
namespace {

std::uint32_t rte_level(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return RTE_LOG_DEBUG;
    case LogLevel::info:
      return RTE_LOG_INFO;
    case LogLevel::warning:
      return RTE_LOG_WARNING;
    case LogLevel::error:
      break;
  }
  return RTE_LOG_ERR;
}

std::uint32_t log_type() {
  static const int type = rte_log_register_type_and_pick_level("lib.vhost.vhostx", RTE_LOG_INFO);
  return type < 0 ? RTE_LOGTYPE_USER1 : static_cast<std::uint32_t>(type);
}

}  // namespace

void say(LogLevel level, std::string_view line) {
  rte_log(rte_level(level), log_type(), "VHOSTX: %.*s\n", static_cast<int>(line.size()), line.data());
}

bool says_all() { return rte_log_get_level(log_type()) >= static_cast<int>(RTE_LOG_DEBUG); }

int refuse(std::atomic<bool>& said, const char* function, const char* why) {
  if (!said.exchange(true, std::memory_order_relaxed))
    say(LogLevel::warning, std::string(function) + " is not served: " + why);
  return -1;
}

}  // namespace vhostx::compat
