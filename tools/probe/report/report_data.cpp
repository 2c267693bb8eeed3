// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/report_data.hpp"

#include <algorithm>
#include <utility>

#include "tools/probe/report/html.hpp"

namespace vhostx::tools::probe {
namespace {

using protocol::FrontEndRequest;
using protocol::Incoming;
using Weight = Finding::Weight;

constexpr std::uint64_t folded_min = 16;

bool on_back_end_channel(Incoming way) noexcept {
  return way == Incoming::back_end_requests || way == Incoming::replies_to_back_end;
}

bool is_request(const Step& step) noexcept { return step.is_message() && !protocol::is_reply(step.way); }

// Whether there may be less of the state afterwards: then what was before is worth keeping.
bool lessens(const Event& event) noexcept {
  if (event.kind != EventKind::message || on_back_end_channel(event.way)) return false;
  switch (static_cast<FrontEndRequest>(event.header.request)) {
    case FrontEndRequest::get_vring_base:
    case FrontEndRequest::get_vring_base_skip_drain:
      return event.way == Incoming::replies_to_front_end;
    case FrontEndRequest::set_mem_table:
    case FrontEndRequest::rem_mem_reg:
    case FrontEndRequest::set_vring_enable:
    case FrontEndRequest::set_features:
    case FrontEndRequest::reset_device:
      return event.way == Incoming::front_end_requests;
    default:
      return false;
  }
}

/// The name stands beside it already.
std::string text_without_name(const Decoded& decoded, bool reply) {
  std::string_view text = decoded.text;
  const std::string name = decoded.name + (reply ? " reply" : "");
  if (!decoded.name.empty() && text.substr(0, name.size()) == name) text.remove_prefix(name.size());
  while (!text.empty() && (text.front() == ' ' || text.front() == ':')) text.remove_prefix(1);
  return shortened(text, Collector::text_bytes_max);
}

Step step_of(const Event& event, Decoded decoded) {
  Step step{event.kind, event.way, event.header.request, event.time, std::move(decoded)};
  step.decoded.text = text_without_name(step.decoded, step.is_message() && protocol::is_reply(step.way));
  auto& findings = step.decoded.findings;
  findings.resize(std::min(findings.size(), Collector::step_findings_max));
  for (Finding& finding : findings) finding.text = shortened(finding.text, Collector::text_bytes_max);
  return step;
}

std::size_t bytes_of(const Step& step) noexcept {
  std::size_t bytes = 400 + step.decoded.text.size();
  for (const Finding& finding : step.decoded.findings) bytes += 100 + finding.text.size() + finding.section.size();
  return bytes;
}

bool continues(const Run& run, const Step& step) noexcept {
  if (run.steps.empty() || !step.is_message() || !run.steps.front().is_message()) return false;
  const Step& first = run.steps.front();
  return first.request == step.request && on_back_end_channel(first.way) == on_back_end_channel(step.way);
}

void count_in(Run& run, const Step& step) noexcept {
  if (run.messages++ == 0) {
    run.first = step.number();
    run.begin = step.time;
  }
  run.requests += is_request(step) ? 1 : 0;
  run.last = step.number();
  run.end = step.time;
  for (const Finding& finding : step.decoded.findings)
    ++(finding.weight == Weight::violation ? run.violations : run.remarks);
  if (step.decoded.round_trip)
    run.slowest = std::max(run.slowest.value_or(*step.decoded.round_trip), *step.decoded.round_trip);
}

bool has_room(const Run& run, const Step& step) noexcept {
  return run.steps.size() < (step.decoded.findings.empty() ? 1 : 2) * Collector::run_steps_max;
}

void count_in(ConnectionData& connection, const Event& event) noexcept {
  if (connection.events++ == 0) connection.begin = event.time;
  connection.end = std::max(connection.end, event.time);
  if (event.kind == EventKind::closed) connection.closed = shortened(event.text, Collector::text_bytes_max);
  if (event.kind != EventKind::message) return;
  ++connection.messages;
  connection.requests += protocol::is_reply(event.way) ? 0 : 1;
  connection.back_end_messages += on_back_end_channel(event.way) ? 1 : 0;
  connection.descriptors += event.fds.size();
}

}  // namespace

bool Run::folded() const noexcept { return messages >= folded_min; }

Fullness fullness_of(const SessionState& state) noexcept {
  Fullness fullness;
  fullness.regions = state.regions.size();
  for (const auto& [index, ring] : state.rings) {
    fullness.running += !ring.stopped && ring.size && ring.addresses ? 1 : 0;
    fullness.enabled += ring.enabled ? 1 : 0;
  }
  return fullness;
}

void Collector::take(const Event& event) {
  Open* const open = find_or_open(event.connection);
  if (open == nullptr) {
    ++data_.events_of_other_connections;
    return;
  }
  ConnectionData& connection = data_.connections[open->index];
  keep_peak(*open, event);
  count_in(connection, event);
  Decoded decoded = open->session.take(event);
  keep_findings(connection, decoded);
  keep_step(connection, step_of(event, std::move(decoded)));
}

Collector::Open* Collector::find_or_open(std::uint32_t connection) {
  const auto at = open_.find(connection);
  if (at != open_.end()) return &at->second;
  if (open_.size() == connections_max) return nullptr;
  Open& open = open_[connection];
  open.index = data_.connections.size();
  data_.connections.emplace_back().id = connection;
  return &open;
}

void Collector::keep_peak(Open& open, const Event& event) {
  if (!lessens(event)) return;
  const Fullness now = fullness_of(open.session.state());
  if (now < open.fullest || (now == open.fullest && open.peaks++ >= peaks_max)) return;
  open.fullest = now;
  data_.connections[open.index].peak = open.session.state();
  data_.connections[open.index].peak_event = open.session.events();
}

void Collector::keep_step(ConnectionData& connection, Step step) {
  const bool in_runs = connection.tail.empty();
  Run* const last = in_runs && !connection.runs.empty() ? &connection.runs.back() : nullptr;
  const std::size_t bytes = bytes_of(step);
  const bool affordable = bytes_ + bytes <= bytes_max;
  if (last != nullptr && continues(*last, step)) {
    count_in(*last, step);
    if (!affordable || !has_room(*last, step)) return;
    last->steps.push_back(std::move(step));
  } else if (in_runs && affordable) {
    count_in(connection.runs.emplace_back(), step);
    connection.runs.back().steps.push_back(std::move(step));
  } else {
    connection.tail.push_back(std::move(step));
    if (connection.tail.size() <= tail_max) return;
    connection.tail.pop_front();
    ++connection.omitted;
    return;
  }
  bytes_ += bytes;
}

void Collector::keep_findings(ConnectionData& connection, const Decoded& decoded) {
  for (std::size_t i = 0; i < decoded.findings.size(); ++i) {
    const Finding& finding = decoded.findings[i];
    const bool violates = finding.weight == Weight::violation;
    ++(violates ? data_.violation_count : data_.remark_count);
    ++(violates ? connection.violations : connection.remarks);
    if (i < step_findings_max)
      keep_finding(connection.id, decoded, finding);
    else
      ++data_.findings_omitted;
  }
}

void Collector::keep_finding(std::uint32_t connection, const Decoded& decoded, const Finding& finding) {
  const bool violates = finding.weight == Weight::violation;
  auto& groups = violates ? data_.violations : data_.remarks;
  auto& places = violates ? violation_groups_ : remark_groups_;
  GroupKey key{connection, finding.text, finding.section};
  auto at = places.find(key);
  if (at == places.end()) {
    if (groups.size() == groups_max) {
      ++data_.findings_omitted;
      return;
    }
    at = places.emplace(std::move(key), groups.size()).first;
    groups.push_back({finding, connection, decoded.name, {}, 0});
    groups.back().finding.text = shortened(finding.text, text_bytes_max);
  }
  FindingGroup& group = groups[at->second];
  if (group.numbers.size() < numbers_max) group.numbers.push_back(decoded.number);
  ++group.count;
}

ReportData Collector::finish() {
  for (auto& [id, open] : open_) {
    ConnectionData& connection = data_.connections[open.index];
    connection.final_state = open.session.state();
    if (fullness_of(connection.final_state) < open.fullest) continue;
    connection.peak = connection.final_state;
    connection.peak_event = open.session.events();
  }
  return std::move(data_);
}

}  // namespace vhostx::tools::probe
