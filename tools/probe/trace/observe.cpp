// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/observe.hpp"

#include <ctime>
#include <map>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "tools/common/signals.hpp"
#include "tools/probe/exit_code.hpp"
#include "tools/probe/rings/memory_nodes.hpp"
#include "tools/probe/rings/published.hpp"
#include "tools/probe/rings/ring_table.hpp"
#include "tools/probe/rings/ring_watch.hpp"

namespace vhostx::tools::probe {
namespace {

using Clock = std::chrono::steady_clock;

// Rings count in 16 bits: looked at so often, ten million packets a second are counted right.
constexpr std::chrono::milliseconds looking_tick{2};
constexpr std::chrono::milliseconds idle_tick{200};
constexpr std::chrono::seconds rings_interval{1};

RecordHeader header_of(const RelayLoopOptions& options, const std::string& other) {
  RecordHeader header;
  header.begun = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  header.program = "vhostx-probe " VHOSTX_VERSION;
  header.front_end = options.reverse ? other : options.listen;
  header.back_end = options.reverse ? options.listen : other;
  return header;
}

/// Shows, watches, and publishes for `vhostx-probe rings` what the relays see.
class Observation {
 public:
  Observation(TraceOutput& output, const ShowOptions& show) : output_(output), show_(show) { publish(); }

  void take(Event&& event, std::vector<UniqueFd>&& files) {
    output_.take(event);
    if (event.kind == EventKind::closed)
      forget(event.connection);
    else if (const Session* const session = output_.session(event.connection); session != nullptr)
      watch_.take(event, output_.last(), session->state(), std::move(files));
    publish();
  }

  void tick(const std::list<Relay>& relays) {
    const auto now = Clock::now();
    output_.tick(now, [this](const RegionView& region) { return nodes_of(region); });
    if (show_.rings) {
      watch_.look(now - begun_);
      watch_.look_closely([this] { return Clock::now() - begun_; });
    }
    if (now < next_rings_) return;
    next_rings_ = now + rings_interval;
    for (const Relay& relay : relays) count(relay);
    publish();
    if (show_.rings && !relays.empty()) show_rings(now);
  }

 private:
  void forget(std::uint32_t connection) {
    watch_.forget(connection);
    std::erase_if(counted_, [connection](const auto& entry) { return entry.first.first == connection; });
  }

  void count(const Relay& relay) {
    for (const auto& [ring, counts] : relay.notifiers().counts()) {
      NotificationCounts& seen = counted_[{relay.connection(), ring}];
      watch_.count(relay.connection(), ring, counts.kicks - seen.kicks, counts.calls - seen.calls);
      seen = counts;
    }
  }

  void show_rings(Clock::time_point now) {
    const auto rows = watch_.sample(now - begun_);
    output_.show_rings(show_.output.json ? json_of_rings(rows, "trace", now - begun_, {}, watch_.logs())
                                         : text_of_rings(rows, style_of_output(), watch_.logs()));
  }

  // What cannot be published cannot be watched from elsewhere; the connection goes on. Said once.
  void publish() {
    const auto published = publisher_.publish(watch_.facts());
    if (!published && !std::exchange(publishing_failed_, true)) output_.problem(published.error().message);
  }

  std::string nodes_of(const RegionView& region) const {
    for (const auto& connection : watch_.facts())
      for (const auto& memory : connection.regions)
        if (memory.inode == region.file.inode && memory.device == region.file.device &&
            memory.region.guest_address == region.region.guest_address) {
          const auto nodes = memory_nodes({memory.fd, region.region.mmap_offset, region.region.size});
          return nodes ? text_of_nodes(*nodes) : nodes.error().message;
        }
    return {};
  }

  TraceOutput& output_;
  const ShowOptions& show_;
  RingWatch watch_;
  Publisher publisher_;
  bool publishing_failed_ = false;
  std::map<std::pair<std::uint32_t, std::uint32_t>, NotificationCounts> counted_;  ///< By connection and ring.
  Clock::time_point begun_ = Clock::now();
  Clock::time_point next_rings_ = begun_ + rings_interval;
};

}  // namespace

int observe(RelayLoopOptions options, const ShowOptions& show, const std::string& back_end) {
  const UniqueFd signals = catch_end_signals();
  const auto opened = TraceOutput::open(show.output, header_of(options, back_end));
  if (!opened) return fail(show.output.record, opened.error().message);
  TraceOutput& output = **opened;
  Observation observation(output, show);
  options.tick = show.rings ? looking_tick : idle_tick;
  RelayLoopHandlers handlers;
  handlers.on_event = [&](Event&& event, std::vector<UniqueFd>&& files) {
    observation.take(std::move(event), std::move(files));
  };
  handlers.on_tick = [&](const std::list<Relay>& relays) { observation.tick(relays); };
  handlers.on_problem = [&](const std::string& problem) { output.problem(problem); };
  if (auto ran = run_relays(options, handlers, signals.get()); !ran) return fail(options.listen, ran.error().message);
  output.summarise();
  return static_cast<int>(output.record_is_whole() ? ExitCode::good : ExitCode::failed);
}

}  // namespace vhostx::tools::probe
