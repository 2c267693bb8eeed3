// SPDX-License-Identifier: BSD-3-Clause
// SwitchApp: what the control socket asks for.
#include <utility>

#include "tools/switch/log_level.hpp"
#include "tools/switch/switch_app.hpp"

namespace vhostx::tools {
namespace {

constexpr std::size_t changes_max = 4096;

}  // namespace

Result<void> SwitchApp::serve_control() {
  if (options_.control.empty()) return {};
  auto server =
      ControlServer::open(options_.control, [this](std::string_view line) { return answer_line(*this, line); });
  if (!server) return try_later(server.error());
  control_ = *std::move(server);
  reporter_.follow([this] { return control_ != nullptr && control_->is_followed(); },
                   [this](const std::string& event) { control_->tell(event); });
  return {};
}

Result<void> SwitchApp::add_port(const std::string& spec) {
  const auto port = parse_port(spec);
  if (!port) return port.error();
  const double before = events_.seconds();  // its first events are told after it
  if (auto added = ports_->add(*port); !added) return added;
  note_port({before, port->path, true});
  return {};
}

Result<PortSnapshot> SwitchApp::remove_port(const std::string& name) {
  auto removed = ports_->remove(name);
  if (removed) note_port({events_.seconds(), name, false});
  return removed;
}

/// The main thread reports it.
void SwitchApp::note_port(const PortChanged& change) {
  {
    const std::lock_guard guard(changes_lock_);
    if (changes_.size() == changes_max) changes_.erase(changes_.begin());  // nobody reads what is told
    changes_.push_back(change);
  }
  events_.wake();
}

std::vector<PortChanged> SwitchApp::take_port_changes() {
  const std::lock_guard guard(changes_lock_);
  return std::exchange(changes_, {});
}

LogLevel SwitchApp::log_level() { return tools::log_level(); }

void SwitchApp::set_log_level(LogLevel level) { ports_->set_log_level(level); }

}  // namespace vhostx::tools
