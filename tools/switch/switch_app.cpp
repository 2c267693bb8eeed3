// SPDX-License-Identifier: BSD-3-Clause
// SwitchApp: start, wait, end.
#include "tools/switch/switch_app.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <poll.h>
#include <random>

#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_mempool.h>

#include "tools/switch/eal_setup.hpp"

namespace vhostx::tools {
namespace {

std::uint64_t secret() {
  std::random_device source;
  return std::uint64_t{source()} << 32 | source();
}

int run_worker(void* worker) { return static_cast<Worker*>(worker)->run() ? 0 : 1; }

/// Without the descriptor that the counting itself needs.
std::uint32_t count_open_fds() {
  std::error_code none;
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd", none);
  const auto count = std::distance(std::filesystem::begin(entries), std::filesystem::end(entries));
  return static_cast<std::uint32_t>(std::max<std::ptrdiff_t>(count - 1, 0));
}

}  // namespace

SwitchApp::SwitchApp(const Options& options, UniqueFd end_signals)
    : options_(options),
      end_signals_(std::move(end_signals)),
      reporter_(options_, [this] { return take_snapshot(); }) {}

SwitchApp::~SwitchApp() {
  stop_workers();
  ports_.reset();
  workers_.clear();
  tap_.reset();
  rte_mempool_free(fabric_.pool);  // null is allowed
  if (eal_started_) rte_eal_cleanup();
}

Result<std::unique_ptr<SwitchApp>> SwitchApp::start(const Options& options, UniqueFd end_signals) {
  auto app = std::make_unique<SwitchApp>(options, std::move(end_signals));
  if (auto started = app->start_parts(); !started) return started.error();
  return app;
}

Result<void> SwitchApp::start_parts() {
  const auto eal = plan_eal(options_, read_machine());
  memory_ = eal.memory;
  const auto lcores = start_eal(options_, eal);
  if (!lcores) return lcores.error();
  eal_started_ = true;
  const auto pool_plan = plan_pool(options_.port_count(), static_cast<unsigned>(lcores->size()));
  const auto pool = make_pool(pool_plan);
  if (!pool) return pool.error();
  fabric_.pool = *pool;
  fabric_.mode = options_.mode;
  fabric_.topology = options_.topology;
  fabric_.macs = std::make_unique<MacTable>(static_cast<unsigned>(options_.port_count()), secret());
  if (!options_.tap.empty()) {
    auto tap = TapPort::open(options_.tap);
    if (!tap) return tap.error();
    tap_ = *std::move(tap);
  }
  for (std::uint16_t id = 0; id < options_.port_count(); ++id) {
    fabric_.ports.push_back(std::make_unique<SwitchPort>());
    fabric_.ports.back()->id = id;
  }
  if (auto made = make_workers(lcores->size()); !made) return made;
  auto ports = PortSet::open({options_, fabric_, workers_, events_, tap_.get(), pool_plan.backlog_segments});
  if (!ports) return ports.error();
  ports_ = *std::move(ports);
  launch_workers(*lcores);
  return {};
}

Result<void> SwitchApp::make_workers(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto worker = Worker::create(fabric_, {options_.busy_poll, options_.packet_size});
    if (!worker) return worker.error();
    workers_.push_back(*std::move(worker));
  }
  return {};
}

void SwitchApp::launch_workers(const std::vector<unsigned>& lcores) {
  for (std::size_t i = 0; i < workers_.size(); ++i)
    if (rte_eal_remote_launch(run_worker, workers_[i].get(), lcores[i]) == 0)
      running_.push_back(lcores[i]);
    else
      worker_failed_ = true;
}

void SwitchApp::stop_workers() {
  for (auto& worker : workers_) worker->stop();
  for (const auto lcore : running_) worker_failed_ |= rte_eal_wait_lcore(lcore) != 0;
  running_.clear();
}

bool SwitchApp::run() {
  std::vector<std::string> sockets;
  for (const auto& port : options_.ports) sockets.push_back(port.path);
  ready_at_ = events_.seconds();
  reporter_.ready(sockets, memory_, ready_at_);
  while (wait() && !duration_over() && !reporter_.output_lost()) {
    reporter_.events(events_.take());
    reporter_.live(events_.seconds());
    age_stations();
  }
  stop_workers();
  reporter_.events(events_.take());
  reporter_.summary();
  return !worker_failed_;
}

/// Until something is to be done. False: a signal came.
bool SwitchApp::wait() {
  double until = aged_at_ + MacTable::tick_seconds;
  if (const auto due = reporter_.next_due()) until = std::min(until, *due);
  if (options_.duration_s) until = std::min(until, ready_at_ + *options_.duration_s);
  const double wait_ms = std::clamp((until - events_.seconds()) * 1000, 0.0, 60'000.0);
  pollfd fds[]{{end_signals_.get(), POLLIN, 0}, {events_.fd(), POLLIN, 0}};
  poll(fds, std::size(fds), static_cast<int>(std::ceil(wait_ms)));
  return fds[0].revents == 0;
}

void SwitchApp::age_stations() {
  for (; events_.seconds() >= aged_at_ + MacTable::tick_seconds; aged_at_ += MacTable::tick_seconds)
    fabric_.macs->tick();
}

bool SwitchApp::duration_over() const {
  return options_.duration_s && events_.seconds() >= ready_at_ + *options_.duration_s;
}

Snapshot SwitchApp::take_snapshot() const {
  Snapshot snapshot;
  snapshot.seconds = events_.seconds();
  snapshot.ports = ports_->snapshots();
  snapshot.open_fds = count_open_fds();
  snapshot.mbufs_in_use = rte_mempool_in_use_count(fabric_.pool);
  snapshot.events_lost = events_.lost();
  return snapshot;
}

}  // namespace vhostx::tools
