// SPDX-License-Identifier: BSD-3-Clause
// SwitchApp: one process after the other on the same ports: --take-over and --standby, and the process before.
#include <algorithm>

#include "tools/switch/log_sink.hpp"
#include "tools/switch/switch_app.hpp"

namespace vhostx::tools {
namespace {

// So long the process before waits to go on: one that fails with its first packets has failed until then.
constexpr double probation_s = 1;
// Between two tries to listen where the process before listens.
constexpr double servers_s = 0.1;

// A pause that lasts is looked at each second.
double seconds_until(std::chrono::steady_clock::time_point when) {
  const double left = std::chrono::duration<double>(when - std::chrono::steady_clock::now()).count();
  return left > 0 ? left : 1;
}

}  // namespace

/// Another process serves all that this one did: it ends as by Ctrl-C.
bool SwitchApp::handed_over() const {
  const auto all = ports_->ownership();
  return all.handed_over != 0 && all.handed_over == all.sockets;
}

/// Ports that another process served are this one's for good, once it has served all of them for a while.
void SwitchApp::succeed() {
  const double now = events_.seconds();
  ports_->end_pause();
  if (servers_wait_ && now >= *servers_tried_at_ + servers_s) open_late_servers();
  if (!succeeds_) return;
  const auto all = ports_->ownership();
  if (all.sockets == 0 || all.standing_by + all.handed_over != 0) return served_since_.reset();
  if (!served_since_) served_since_ = now;
  if (now < *served_since_ + probation_s) return;
  succeeds_ = false;
  ports_->confirm_take_over();
}

/// Where --control and --metrics listen, the process before does until it ends.
Result<void> SwitchApp::try_later(const Error& error) {
  if (options_.keeper_claim == KeeperClaim::if_free) return error;
  if (!servers_tried_at_) log_line(LogLevel::info, error.message + "; trying again until the process before has ended");
  servers_tried_at_ = events_.seconds();
  servers_wait_ = true;
  return {};
}

void SwitchApp::open_late_servers() {
  servers_wait_ = false;
  if (metrics_ == nullptr) static_cast<void>(serve_metrics());
  if (control_ == nullptr) static_cast<void>(serve_control());
  if (!servers_wait_) log_line(LogLevel::info, "--control and --metrics are served here now");
}

std::optional<double> SwitchApp::next_succession() const {
  std::optional<double> due;
  if (succeeds_ && served_since_) due = *served_since_ + probation_s;
  if (const auto ends = ports_->pause_ends())
    due = std::min(due.value_or(1e18), events_.seconds() + seconds_until(*ends));
  if (servers_wait_) due = std::min(due.value_or(1e18), *servers_tried_at_ + servers_s);
  return due;
}

}  // namespace vhostx::tools
