// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <bit>

#include "protocol/describe.hpp"
#include "tools/probe/report/page_parts.hpp"
#include "tools/probe/report/sequence.hpp"

namespace vhostx::tools::probe {
namespace {

using std::chrono::nanoseconds;

class Facts {
 public:
  void add_fact(const char* name, const std::string& value) {
    add(out_, "<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
  }
  Html html() const { return Html{"<dl class=\"summary\">\n" + out_.text + "</dl>\n"}; }

 private:
  Html out_;
};

std::string text_of(const Peer& peer) {
  if (peer.pid == 0) return "not known";
  return fmt::format("{}, process {}", shortened(peer.program, 100), peer.pid);
}

std::string messages_of(const ConnectionData& connection) {
  std::string text = fmt::format("{}: {}, {}", connection.messages, counted(connection.requests, "request", "requests"),
                                 counted(connection.messages - connection.requests, "reply", "replies"));
  if (connection.back_end_messages != 0)
    text += fmt::format("; {} on the back-end's channel", connection.back_end_messages);
  if (connection.descriptors != 0) text += "; with " + counted(connection.descriptors, "descriptor", "descriptors");
  return text;
}

std::string bits_of(std::uint64_t chosen, std::optional<std::uint64_t> offered, const char* what) {
  if (!offered) return fmt::format("{} {}", std::popcount(chosen), what);
  return fmt::format("{} of {} {}", std::popcount(chosen), std::popcount(*offered), what);
}

template <typename Set>
std::optional<std::uint64_t> bits_of(const std::optional<Set>& set) {
  return set ? std::optional(set->bits()) : std::nullopt;
}

std::string negotiation_of(const SessionState& state) {
  if (!state.features) return state.features_offered ? "no: features were asked for, and none chosen" : "no";
  std::string text = "yes: " + bits_of(state.features->bits(), bits_of(state.features_offered), "features");
  if (state.protocol_features)
    text +=
        ", " + bits_of(state.protocol_features->bits(), bits_of(state.protocol_features_offered), "protocol features");
  return text;
}

std::string memory_of(const SessionState& state) {
  std::uint64_t bytes = 0;
  for (const RegionView& view : state.regions) bytes += view.region.size;
  return fmt::format("{}, {}", counted(state.regions.size(), "region", "regions"), text_of_about(bytes));
}

std::string rings_of(const SessionState& state) {
  const Fullness fullness = fullness_of(state);
  return fmt::format("{}, {} started, {} enabled", counted(state.rings.size(), "ring", "rings"), fullness.running,
                     fullness.enabled);
}

nanoseconds duration_of(const ReportData& data) {
  nanoseconds end{};
  nanoseconds begin = nanoseconds::max();
  for (const ConnectionData& connection : data.connections) {
    begin = std::min(begin, connection.begin);
    end = std::max(end, connection.end);
  }
  return std::max(end - std::min(begin, end), nanoseconds{});
}

void add_totals(Facts& facts, const ReportData& data) {
  std::uint64_t messages = 0;
  std::size_t negotiated = 0;
  std::size_t rings = 0;
  for (const ConnectionData& connection : data.connections) {
    messages += connection.messages;
    negotiated += connection.peak.features ? 1 : 0;
    rings = std::max(rings, connection.peak.rings.size());
  }
  facts.add_fact("Duration", text_of_time(duration_of(data)));
  facts.add_fact("Messages", fmt::format("{}", messages));
  facts.add_fact("Connections", fmt::format("{}", data.connections.size()));
  facts.add_fact("Negotiated", data.connections.size() == 1
                                   ? (negotiated == 1 ? "yes" : "no")
                                   : fmt::format("{} of {} connections", negotiated, data.connections.size()));
  facts.add_fact("Rings", fmt::format("{}", rings));
}

}  // namespace

Html summary_part(const ReportData& data) {
  Facts facts;
  const SessionState none;
  const SessionState& state = data.connections.empty() ? none : data.connections.front().peak;
  facts.add_fact("Front-end", text_of(state.front_end));
  facts.add_fact("Back-end", text_of(state.back_end));
  add_totals(facts, data);
  if (!data.header.begun.empty()) facts.add_fact("Begun", data.header.begun);
  if (!data.header.front_end.empty()) facts.add_fact("Front-end's socket", data.header.front_end);
  if (!data.header.back_end.empty()) facts.add_fact("Back-end's socket", data.header.back_end);
  Html out{"<section id=\"summary\" aria-labelledby=\"summary-name\">\n<h2 id=\"summary-name\">Summary</h2>\n"};
  out += facts.html();
  out.text += "</section>\n";
  return out;
}

Html connection_facts(const ConnectionData& connection) {
  const SessionState& state = connection.peak;
  Facts facts;
  facts.add_fact("Front-end", text_of(state.front_end));
  facts.add_fact("Back-end", text_of(state.back_end));
  facts.add_fact("From, to",
                 fmt::format("{} s, {} s", text_of_moment(connection.begin), text_of_moment(connection.end)));
  facts.add_fact("Ended", connection.closed ? *connection.closed : std::string("not before the record did"));
  facts.add_fact("Messages", messages_of(connection));
  facts.add_fact("Negotiated", negotiation_of(state));
  facts.add_fact("Memory", memory_of(state));
  facts.add_fact("Rings", rings_of(state));
  if (state.status)
    facts.add_fact("Device status", fmt::format("{:#x} ({})", *state.status, protocol::describe_status(*state.status)));
  if (is_logging(state) || state.log) facts.add_fact("Dirty log", text_of_log(state));
  if (const auto& moved = connection.final_state.device_state)
    facts.add_fact("Device state", tools::probe::text_of(*moved));
  if (state.queue_pairs) facts.add_fact("Queue pairs offered", fmt::format("{}", *state.queue_pairs));
  if (state.memory_slots) facts.add_fact("Memory slots offered", fmt::format("{}", *state.memory_slots));
  return facts.html();
}

}  // namespace vhostx::tools::probe
