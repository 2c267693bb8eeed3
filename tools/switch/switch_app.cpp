// SPDX-License-Identifier: BSD-3-Clause
// SwitchApp: start, wait, end.
#include "tools/switch/switch_app.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <poll.h>
#include <random>
#include <sched.h>

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_launch.h>

#include <vhostx/numa.hpp>

#include "tools/switch/activated_sockets.hpp"
#include "tools/switch/eal_setup.hpp"
#include "tools/switch/log_sink.hpp"
#include "tools/switch/metrics_text.hpp"
#include "tools/switch/start_warnings.hpp"
#include "tools/switch/switch_signals.hpp"

namespace vhostx::tools {
namespace {

constexpr double held_back_s = 0.1;  // until what came too fast is looked at again
constexpr double hand_over_s = 0.02;
constexpr double lanes_s = 1;  // between two reports of lanes that moved: guests can cause them
constexpr std::chrono::milliseconds last_words{1000};

std::uint64_t secret() {
  std::random_device source;
  return std::uint64_t{source()} << 32 | source();
}

/// A worker to be made on its own lcore, where what it writes each burst shall be.
struct WorkerOrder {
  Fabric& fabric;
  WorkerOptions options;
  std::optional<Result<std::unique_ptr<Worker>>> made;
};
int make_worker(void* order_of) {
  auto& order = *static_cast<WorkerOrder*>(order_of);
  order.made = Worker::create(order.fabric, order.options);
  return 0;
}

int run_worker(void* worker) { return static_cast<Worker*>(worker)->run() ? 0 : 1; }

/// Without the descriptor that the counting itself needs.
std::uint32_t count_open_fds() {
  std::error_code none;
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd", none);
  const auto count = std::distance(std::filesystem::begin(entries), std::filesystem::end(entries));
  return static_cast<std::uint32_t>(std::max<std::ptrdiff_t>(count - 1, 0));
}

/// This thread reports what others do: where they share a CPU, waking it does not make them wait.
void give_way() noexcept {
  const sched_param none{};
  if (sched_getscheduler(0) == SCHED_OTHER) sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace

SwitchApp::SwitchApp(const Options& options, UniqueFd signals)
    : options_(options),
      signals_(std::move(signals)),
      reporter_(options_, output_, [this] { return take_snapshot(); }) {
  if (options_.stats_s && !options_.json) reporter_.show_on(Terminal::open(STDOUT_FILENO));
}

SwitchApp::~SwitchApp() {
  control_.reset();
  metrics_.reset();
  stop_workers();
  ports_.reset();
  workers_.clear();
  tap_.reset();
  pools_.reset();
  if (eal_started_) rte_eal_cleanup();
}

Result<std::unique_ptr<SwitchApp>> SwitchApp::start(const Options& options, UniqueFd signals) {
  auto app = std::make_unique<SwitchApp>(options, std::move(signals));
  if (auto started = app->start_parts(); !started) return started.error();
  return app;
}

Result<void> SwitchApp::start_parts() {
  const auto machine = read_machine();
  const auto eal = plan_eal(options_, machine);
  memory_ = eal.memory;
  const auto lcores = start_eal(options_, eal);
  if (!lcores) return lcores.error();
  eal_started_ = true;
  const auto pool_plan = plan_pool(options_.port_count(), static_cast<unsigned>(lcores->size()));
  if (auto made = make_pools(*lcores, pool_plan); !made) {
    if (eal.otherwise.empty()) return made;
    fmt::print(stderr,
               "vhostx-switch: {}; huge pages that were free are not to be had: starts again on ordinary pages\n",
               made.error().message);
    start_again(eal.otherwise);
    return made;
  }
  for (const auto& warning : start_warnings(options_, lcores->size(), machine.cpus.size()))
    log_line(LogLevel::warning, warning);
  fabric_.events = &events_;
  fabric_.mode = options_.mode;
  fabric_.topology = options_.topology;
  fabric_.macs = std::make_unique<MacTable>(static_cast<unsigned>(options_.port_count()), secret());
  if (!options_.tap.empty()) {
    auto tap = TapPort::open(options_.tap);
    if (!tap) return tap.error();
    tap_ = *std::move(tap);
    tap_->on_link_change([this] { events_.wake(); });
  }
  if (auto made = make_workers(*lcores); !made) return made;
  auto ports = PortSet::open({options_, fabric_, events_, tap_.get(), pool_plan.backlog_segments_all});
  if (!ports) return ports.error();
  ports_ = *std::move(ports);
  for (const auto& path : idle_sockets(options_.ports))
    fmt::print(stderr, "vhostx-switch: systemd listens on '{}', which is no --port: nobody is served there\n", path);
  succeeds_ = options_.keeper_claim != KeeperClaim::if_free;
  if (auto served = serve_metrics(); !served) return served;
  launch_workers(*lcores);
  if (auto served = serve_control(); !served) return served;  // changes of ports need workers that run
  ports_->take_over();
  return {};
}

Result<void> SwitchApp::serve_metrics() {
  if (!options_.metrics) return {};
  auto server = MetricsServer::open(*options_.metrics, [this] { return metrics_text(take_snapshot()); });
  if (!server) return try_later(server.error());
  metrics_ = *std::move(server);
  return {};
}

Result<void> SwitchApp::make_pools(const std::vector<unsigned>& lcores, const PoolPlan& plan) {
  std::vector<int> nodes;
  for (const auto lcore : lcores) nodes.push_back(node_of_lcore(lcore));
  auto pools = NodePools::make(plan, nodes);
  if (!pools) return pools.error();
  pools_ = *std::move(pools);
  if (const auto problems = pools_->problems(); !problems.empty()) memory_ += "; " + problems;
  return {};
}

Result<void> SwitchApp::make_workers(const std::vector<unsigned>& lcores) {
  for (const auto lcore : lcores) {
    WorkerOrder order{fabric_, {options_.busy_poll, options_.packet_size}, {}};
    order.options.index = static_cast<std::uint16_t>(workers_.size());
    order.options.lcore = lcore;
    order.options.node = node_of_lcore(lcore);
    order.options.pool = pools_->on(order.options.node).pool;
    order.options.pool_node = pools_->on(order.options.node).node;
    if (rte_eal_remote_launch(make_worker, &order, lcore) == 0) rte_eal_wait_lcore(lcore);
    if (!order.made) return Error{ErrorCode::system, fmt::format("lcore {} runs nothing", lcore), 0};
    if (!*order.made) return order.made->error();
    workers_.push_back(**std::move(order.made));
    fabric_.workers.push_back(workers_.back().get());
  }
  return {};
}

void SwitchApp::launch_workers(const std::vector<unsigned>& lcores) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->will_run();
    if (rte_eal_remote_launch(run_worker, workers_[i].get(), lcores[i]) == 0) {
      running_.push_back(lcores[i]);
      continue;
    }
    workers_[i]->will_not_run();
    worker_failed_ = true;
  }
}

void SwitchApp::stop_workers() {
  for (auto& worker : workers_) worker->stop();
  for (const auto lcore : running_) worker_failed_ |= rte_eal_wait_lcore(lcore) != 0;
  running_.clear();
}

bool SwitchApp::run() {
  give_way();
  std::vector<std::string> sockets;
  for (const auto& port : options_.ports) sockets.push_back(port.path);
  ready_at_ = events_.seconds();
  reporter_.ready({sockets, memory_, metrics_ == nullptr ? "" : to_text(metrics_->address()), options_.control},
                  ready_at_);
  while (wait() && !duration_over() && !output_.lost() && !handed_over()) {
    succeed();
    report_events(EventQueue::Take::in_turn);
    reporter_.live(events_.seconds());
    age_stations();
  }
  control_.reset();
  stop_workers();
  report_events(EventQueue::Take::all);
  reporter_.summary();
  finish_output();
  return !worker_failed_;
}

/// Until something is to be done. False: a signal ends the switch.
bool SwitchApp::wait() {
  double until = aged_at_ + MacTable::tick_seconds;
  if (const auto due = reporter_.next_due()) until = std::min(until, *due);
  if (lanes_wait_) until = std::min(until, lanes_told_at_ + lanes_s);
  if (events_.holds_back()) until = std::min(until, events_.seconds() + held_back_s);
  if (options_.duration_s) until = std::min(until, ready_at_ + *options_.duration_s);
  if (const auto due = next_succession()) until = std::min(until, *due);
  // While ports change hands guests wait: what is told of it then comes a moment later, all at once.
  const bool later = ports_->change_hands();
  if (later) until = std::min(until, events_.seconds() + hand_over_s);
  const double wait_ms = std::clamp((until - events_.seconds()) * 1000, 0.0, 60'000.0);
  pollfd fds[]{{signals_.get(), POLLIN, 0}, {later ? -1 : events_.fd(), POLLIN, 0}};
  poll(fds, std::size(fds), static_cast<int>(std::ceil(wait_ms)));
  return fds[0].revents == 0 || !take_signals();
}

/// True: one of them ends the switch.
bool SwitchApp::take_signals() {
  for (;;) switch (next_signal(signals_)) {
      case SwitchSignal::none:
        return false;
      case SwitchSignal::end:
        return true;
      case SwitchSignal::hang_up:
        log_line(LogLevel::warning, "SIGHUP: the switch continues; it has no configuration to read again");
        break;
      case SwitchSignal::resized:
        reporter_.redraw();
        break;
      case SwitchSignal::stop:
        stop_here();
    }
}

/// As Ctrl-Z does to every program; the workers stop too.
void SwitchApp::stop_here() {
  reporter_.leave_terminal();
  output_.drain(last_words);
  std::raise(SIGSTOP);
  reporter_.redraw();
}

/// While nobody reads, events stay where the last of each kind replaces those before it.
void SwitchApp::report_events(EventQueue::Take which) {
  report_link();
  events_.hush();  // first: room that comes from here on wakes again
  if (which == EventQueue::Take::in_turn && !output_.has_room()) return;
  const auto events = events_.take(which);  // before the changes: a port's removal follows its last event
  report_in_order(events, take_port_changes());
  const double now = events_.seconds();
  lanes_wait_ = which == EventQueue::Take::in_turn && now < lanes_told_at_ + lanes_s;
  if (lanes_wait_) return;
  lanes_told_at_ = now;
  report_lanes();
}

void SwitchApp::report_in_order(const std::vector<TimedEvent>& events, const std::vector<PortChanged>& changes) {
  auto change = changes.begin();
  for (const auto& event : events) {
    for (; change != changes.end() && change->seconds <= event.seconds; ++change) reporter_.port_changed(*change);
    reporter_.events({event});
  }
  for (; change != changes.end(); ++change) reporter_.port_changed(*change);
}

void SwitchApp::report_link() {
  if (tap_ == nullptr) return;
  const auto status = tap_->link_status();
  if (status.link == link_told_) return;
  link_told_ = status.link;
  ports_->tap_changed();
  const auto problem = link_told_ == LinkState::up ? std::string{} : std::string(std::strerror(status.error));
  reporter_.link({events_.seconds(), options_.tap, link_told_, problem});
  log_line(link_told_ == LinkState::up ? LogLevel::info : LogLevel::warning,
           fmt::format("--tap {}: the interface is {}{}{}", options_.tap, to_string(link_told_),
                       problem.empty() ? "" : ": ", problem));
}

void SwitchApp::report_lanes() {
  reporter_.lanes(ports_->take_moves());
  reporter_.placement();
}

/// Whoever reads slowly gets the summary; nobody waits longer for who does not read at all.
void SwitchApp::finish_output() {
  if (const auto left = output_.drain(last_words); left != 0)
    log_line(LogLevel::warning, fmt::format("{} bytes were not written to standard output: nobody read them", left));
}

void SwitchApp::age_stations() {
  for (; events_.seconds() >= aged_at_ + MacTable::tick_seconds; aged_at_ += MacTable::tick_seconds) {
    fabric_.macs->tick();
    ports_->drop_unclaimed();
  }
}

bool SwitchApp::duration_over() const {
  return options_.duration_s && events_.seconds() >= ready_at_ + *options_.duration_s;
}

Snapshot SwitchApp::take_snapshot() const {
  Snapshot snapshot;
  snapshot.seconds = events_.seconds();
  snapshot.ports = ports_->snapshots();
  snapshot.open_fds = count_open_fds();
  snapshot.mbufs_in_use = pools_->in_use();
  snapshot.events_lost = events_.lost();
  snapshot.numa_nodes = memory_nodes().size();
  snapshot.mempools = pools_->rows();
  for (const auto& worker : workers_)
    snapshot.workers.push_back(
        {worker->options().index, worker->options().lcore, worker->options().node, worker->tid()});
  return snapshot;
}

}  // namespace vhostx::tools
