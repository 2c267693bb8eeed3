// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/traffic.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "base/error.hpp"

namespace vhostx::tools::bench {
namespace {

using namespace std::chrono_literals;

std::uint64_t nanoseconds(std::chrono::steady_clock::time_point time) noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

/// What stays the same from packet to packet.
void lay_out(const FrameTemplate& form, const SendSlot& slot) noexcept {
  // All 12 bytes, even if the header has 10: the frame is written afterwards.
  if (slot.header != nullptr) std::memcpy(slot.header, &form.header(), sizeof form.header());
  form.lay_out(slot.frame);
}

double seconds(std::chrono::steady_clock::duration time) noexcept {
  return std::chrono::duration<double>(time).count();
}

constexpr unsigned notify_turns = 4;

constexpr std::uint64_t stamp_mask = (std::uint64_t{1} << 48) - 1;

}  // namespace

Counts& Counts::operator+=(const Counts& other) noexcept {
  sent += other.sent;
  taken += other.taken;
  received += other.received;
  lost += other.lost;
  duplicated += other.duplicated;
  reordered += other.reordered;
  late += other.late;
  damaged += other.damaged;
  foreign += other.foreign;
  return *this;
}

Round& Round::operator+=(const Round& other) noexcept {
  seconds += other.seconds;
  idle_seconds += other.idle_seconds;
  packets += other.packets;
  bytes += other.bytes;
  sent += other.sent;
  longest_gap_seconds = std::max(longest_gap_seconds, other.longest_gap_seconds);
  return *this;
}

Traffic::Traffic(const std::vector<FlowSpec>& flows, std::vector<Endpoint*> receivers, const TrafficOptions& options)
    : options_(options), receivers_(std::move(receivers)), endpoints_(receivers_) {
  for (const FlowSpec& spec : flows) {
    const auto stream = static_cast<std::uint16_t>(options.first_stream + flows_.size());
    flows_.push_back(std::make_unique<Flow>(
        spec, FrameSpec{spec.destination, spec.source, options.frame_bytes, stream, options.segment_bytes}));
    for (const SendSlot& slot : spec.from->send_buffers(spec.queue)) lay_out(flows_.back()->form, slot);
    if (std::find(endpoints_.begin(), endpoints_.end(), spec.from) == endpoints_.end()) endpoints_.push_back(spec.from);
  }
  for (const Endpoint* const endpoint : endpoints_)
    for (const int fd : endpoint->wait_fds()) wait_fds_.push_back({fd, POLLIN, 0});
}

Result<void> Traffic::greet(std::chrono::milliseconds timeout) {
  const auto end = Clock::now() + timeout;
  const auto through = [](const Flow& flow) {
    return flow.spec.to != nullptr ? flow.tracker.received() != 0
                                   : flow.spec.from->taken(flow.spec.queue) != flow.taken_before;
  };
  while (true) {
    const auto now = Clock::now();
    bool done = !flows_.empty() || foreign_ + received_ != 0;
    for (const auto& flow : flows_)
      if (!through(*flow)) {
        send(*flow, 1, now);
        done = false;
      }
    notify();
    if (done) return {};
    if (now > end) break;
    const auto again = std::min(now + 20ms, end);
    while (receive_all() == 0 && Clock::now() < again)
      if (options_.interrupt) sleep(again);
  }
  if (flows_.empty()) return nothing_came(timeout);
  for (const auto& flow : flows_) {
    if (auto healthy = flow->spec.from->health(); !healthy) return healthy;
    if (through(*flow)) continue;
    if (flow->spec.to == nullptr)
      return make_error(ErrorCode::timed_out, "{}: the back-end took none of {} frames from queue pair {} in {} ms",
                        flow->spec.from->name(), flow->sent, flow->spec.queue, timeout.count());
    return make_error(ErrorCode::timed_out, "{}: none of {} frames from queue pair {} came to {} in {} ms",
                      flow->spec.from->name(), flow->sent, flow->spec.queue, flow->spec.to->name(), timeout.count());
  }
  return {};
}

Error Traffic::nothing_came(std::chrono::milliseconds timeout) const {
  std::string names;
  for (Endpoint* const endpoint : receivers_) {
    if (auto healthy = endpoint->health(); !healthy) return healthy.error();
    names += (names.empty() ? "" : ", ") + endpoint->name();
  }
  return make_error(ErrorCode::timed_out, "{}: nothing came in for {} ms", names, timeout.count());
}

Round Traffic::run(std::chrono::nanoseconds duration) {
  const auto begin = Clock::now();
  const auto end = begin + duration;
  const Moved before = moved();
  const std::uint64_t sent_before = sent_in_all();
  begin_pace(begin);
  if (options_.latency) begin_gaps(begin);
  auto now = begin;
  Clock::duration idle{};
  unsigned turns = 0;
  while (now < end) {
    const unsigned done = send_all(now) + receive_all();
    // A busy back-end is awake: a notification would cost a fence and two of its cache lines.
    if (done == 0 || options_.latency || ++turns % notify_turns == 0) notify();
    if (done == 0 && options_.interrupt) sleep(end);
    if (done == 0 && options_.watched != nullptr) std::this_thread::yield();  // for the thread that moves it
    const auto turn_begin = std::exchange(now, Clock::now());
    if (done == 0) idle += now - turn_begin;
  }
  notify();
  const Moved after = moved();
  Round round{seconds(now - begin), seconds(idle), after.packets - before.packets, after.bytes - before.bytes,
              sent_in_all() - sent_before};
  if (options_.latency)
    round.longest_gap_seconds = seconds(std::max(longest_gap_.end - longest_gap_.begin, now - last_arrival_));
  return round;
}

void Traffic::drain() {
  auto quiet_since = Clock::now();
  auto moved_last = quiet_since;
  std::uint64_t seen = moved().packets;
  while (!all([](const Flow& flow) { return flow.all_arrived(); }) && Clock::now() < moved_last + options_.give_up) {
    const unsigned came = receive_all();
    notify();
    if (came == 0 && options_.interrupt) sleep(quiet_since + options_.quiet);
    const std::uint64_t now_seen = moved().packets;
    if (now_seen != seen) quiet_since = moved_last = Clock::now();
    seen = now_seen;
    if (Clock::now() < quiet_since + options_.quiet) continue;
    if (all([](const Flow& flow) { return flow.settled(); })) break;
    quiet_since = Clock::now();
    for (const auto& flow : flows_)
      if (flow->spec.to != nullptr && !flow->settled() && flow->all_taken()) send(*flow, 1, quiet_since);
  }
}

Traffic::Moved Traffic::moved() noexcept {
  if (flows_.empty()) return {foreign_ + received_, foreign_bytes_ + received_bytes_};
  if (flows_.front()->spec.to != nullptr) return {received_, received_bytes_};
  std::uint64_t taken = 0;
  for (const auto& flow : flows_) taken += flow->spec.from->taken(flow->spec.queue) - flow->taken_before;
  return {taken, taken * options_.frame_bytes};
}

std::uint64_t Traffic::sent_in_all() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& flow : flows_) sum += flow->sent;
  return sum;
}

void Traffic::begin_pace(Clock::time_point now) noexcept {
  pace_begin_ = now;
  paced_ = 0;
}

/// How many packets the pace allows now. It does not catch up after a pause.
double Traffic::due(Clock::time_point now) noexcept {
  const double backlog_max = std::max(options_.rate_pps * 0.001, static_cast<double>(options_.burst));
  double packets = std::chrono::duration<double>(now - pace_begin_).count() * options_.rate_pps - paced_;
  if (packets > backlog_max) {
    paced_ += packets - backlog_max;
    packets = backlog_max;
  }
  return packets;
}

/// When the pace allows the next packet. One that is due and was not sent waits for room, of which a call tells.
Traffic::Clock::time_point Traffic::next_due(Clock::time_point now) noexcept {
  constexpr auto look_again = 1ms;  // it may have become due just now
  const double missing = 1 - due(now);
  if (missing <= 0) return now + look_again;
  return now + std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * missing / options_.rate_pps));
}

unsigned Traffic::send_all(Clock::time_point now) noexcept {
  unsigned done = 0;
  first_ = first_ + 1 < flows_.size() ? first_ + 1 : 0;
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    Flow& flow = *flows_[(first_ + i) % flows_.size()];
    unsigned count = room_of(flow, now);
    if (options_.rate_pps > 0) count = std::min(count, static_cast<unsigned>(std::max(due(now), 0.0)));
    if (count == 0) continue;
    const unsigned sent = send(flow, count, now);
    paced_ += sent;
    done += sent;
  }
  return done;
}

/// How many packets the flow may send now. If the limit is reached, all were taken and nothing arrives, one more finds
/// out whether the others are lost.
unsigned Traffic::room_of(Flow& flow, Clock::time_point now) const noexcept {
  if (options_.in_flight == 0 || flow.spec.to == nullptr) return options_.burst;
  if (flow.tracker.next() != flow.next_seen) {
    flow.next_seen = flow.tracker.next();
    flow.moved = now;
  }
  const std::uint64_t under_way = flow.under_way();
  if (under_way < options_.in_flight)
    return static_cast<unsigned>(std::min<std::uint64_t>(options_.burst, options_.in_flight - under_way));
  if (now - flow.moved < options_.quiet || !flow.all_taken()) return 0;
  flow.moved = now;
  return 1;
}

unsigned Traffic::send(Flow& flow, unsigned count, Clock::time_point now) noexcept {
  const unsigned room = flow.spec.from->reserve(flow.spec.queue, std::span(slots_).first(count));
  const std::uint64_t time_ns = nanoseconds(now);
  for (unsigned i = 0; i < room; ++i) {
    if (options_.rewrite) lay_out(flow.form, slots_[i]);
    flow.form.stamp(slots_[i].frame, flow.sent + i, time_ns);
  }
  const unsigned sent = room == 0 ? 0 : flow.spec.from->send(flow.spec.queue, room, options_.frame_bytes);
  flow.sent += sent;
  return sent;
}

void Traffic::notify() noexcept {
  for (Endpoint* const endpoint : endpoints_) endpoint->notify();
}

unsigned Traffic::receive_all() noexcept {
  unsigned done = 0;
  for (Endpoint* const endpoint : receivers_) {
    for (unsigned queue = 0; queue < endpoint->queue_count(); ++queue) {
      const unsigned count = endpoint->receive(queue, std::span(came_).first(options_.burst));
      const bool timed = count != 0 && (options_.latency || endpoint == options_.watched);
      const auto now = timed ? Clock::now() : Clock::time_point{};
      if (timed) note_arrival(now);
      const std::uint64_t now_ns = nanoseconds(now);
      for (unsigned i = 0; i < count; ++i) take(came_[i], now_ns);
      endpoint->release(queue);
      done += count;
    }
  }
  return done;
}

void Traffic::note_arrival(Clock::time_point now) noexcept {
  if (now - last_arrival_ > longest_gap_.end - longest_gap_.begin) longest_gap_ = {last_arrival_, now};
  last_arrival_ = now;
}

void Traffic::take(const ReceivedFrame& frame, std::uint64_t now_ns) noexcept {
  const Inspected seen = inspect(frame.bytes, frame.length, options_.check);
  if (seen.kind == Inspected::Kind::foreign) {
    ++foreign_;
    foreign_bytes_ += frame.length;
    return;
  }
  const auto index = static_cast<std::uint16_t>(seen.stream - options_.first_stream);
  if (seen.kind == Inspected::Kind::damaged) {
    ++damaged_;
    return;
  }
  if (index >= flows_.size()) return;  // of an earlier run, which has given up on it
  Flow& flow = *flows_[index];
  if (seen.number >= flow.sent || frame.length != options_.frame_bytes) {
    ++damaged_;
    return;
  }
  flow.tracker.record(seen.number);
  ++received_;
  received_bytes_ += frame.length;
  if (options_.latency) latency_.record((now_ns - seen.time_ns) & stamp_mask);
}

void Traffic::sleep(Clock::time_point until) noexcept {
  bool waiting = false;
  for (Endpoint* const endpoint : endpoints_) waiting |= endpoint->arm(true);
  auto limit = until;
  const bool held_up = std::any_of(flows_.begin(), flows_.end(), [&](const auto& flow) {
    return flow->spec.to != nullptr && options_.in_flight != 0 && flow->under_way() >= options_.in_flight;
  });
  if (options_.rate_pps > 0 && !flows_.empty() && !held_up) limit = std::min(limit, next_due(Clock::now()));
  const auto left = std::chrono::nanoseconds(std::min<std::chrono::nanoseconds>(limit - Clock::now(), 100ms)).count();
  if (!waiting && left > 0) {
    const timespec time{0, left};
    ::ppoll(wait_fds_.data(), wait_fds_.size(), &time, nullptr);
  }
  for (Endpoint* const endpoint : endpoints_) endpoint->arm(false);
}

Counts Traffic::counts() const {
  Counts sum;
  sum.damaged = damaged_;
  sum.foreign = foreign_;
  for (const auto& flow : flows_) {
    sum.sent += flow->sent;
    sum.taken += flow->spec.from->taken(flow->spec.queue) - flow->taken_before;
    if (flow->spec.to == nullptr) continue;
    sum.received += flow->tracker.received();
    sum.lost += flow->tracker.lost(flow->sent);
    sum.duplicated += flow->tracker.duplicated();
    sum.reordered += flow->tracker.reordered();
    sum.late += flow->tracker.late();
  }
  return sum;
}

}  // namespace vhostx::tools::bench
