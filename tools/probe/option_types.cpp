// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/option_types.hpp"

#include <CLI/CLI.hpp>

#include "tools/common/values.hpp"

namespace vhostx::tools::probe {

CLI::Option* add_seconds_option(CLI::App& app, const std::string& name, std::chrono::milliseconds& value,
                                const std::string& description) {
  const auto set = [&value](double seconds) {
    value = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  };
  return expect_number(app.add_option_function<double>(name, set, description)->type_name("S"), 0.01, 3600, "seconds");
}

}  // namespace vhostx::tools::probe
