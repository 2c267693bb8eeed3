// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "tools/probe/report/page_parts.hpp"
#include "tools/probe/report/sequence.hpp"

namespace vhostx::tools::probe {
namespace {

const ConnectionData* find_connection(const ReportData& data, std::uint32_t id) {
  const auto at = std::find_if(data.connections.begin(), data.connections.end(),
                               [id](const ConnectionData& connection) { return connection.id == id; });
  return at == data.connections.end() ? nullptr : &*at;
}

void add_number(Html& out, const ConnectionData* connection, std::uint64_t number) {
  const std::string anchor = connection == nullptr ? std::string() : anchor_in(*connection, number);
  if (anchor.empty())
    add(out, "{}", number);
  else
    add(out, "<a href=\"#{}\">{}</a>", anchor, number);
}

void add_place(Html& out, const ReportData& data, const FindingGroup& group) {
  const ConnectionData* const connection = find_connection(data, group.connection);
  out.text += "<span class=\"place\">";
  if (data.connections.size() > 1) add(out, "connection {}, ", group.connection);
  add(out, "{} ", group.name.empty() ? "event" : group.count == 1 ? "message" : "messages");
  for (std::size_t i = 0; i < group.numbers.size(); ++i) {
    if (i != 0) out.text += ", ";
    add_number(out, connection, group.numbers[i]);
  }
  if (group.count > group.numbers.size()) add(out, " and {} more", group.count - group.numbers.size());
  add(out, "</span>{}\n", group.name.empty() ? Html{} : html(" <code>{}</code>", group.name));
}

void add_finding(Html& out, const ReportData& data, const FindingGroup& group) {
  const bool violates = group.finding.weight == Finding::Weight::violation;
  add(out, "<li class=\"finding {}\"><b>{}</b> ", violates ? "violation" : "remark",
      violates ? "✖ violation" : "● remark");
  add_place(out, data, group);
  add(out, "<p>{}. <cite>{}</cite></p></li>\n", group.finding.text, group.finding.section);
}

void add_own_finding(Html& out, const char* weight, const char* sign, const std::string& text) {
  add(out, "<li class=\"finding own {}\"><b>{}</b>\n<p>{}</p></li>\n", weight, sign, text);
}

/// What there is to say of the record itself.
void add_findings_on_record(Html& out, const ReportData& data) {
  if (data.cut)
    add_own_finding(out, "remark", "● remark",
                    "The last line of the record has no end, and is left out where it is no event: the observer was "
                    "stopped while it wrote.");
  if (data.events_of_other_connections != 0)
    add_own_finding(
        out, "remark", "● remark",
        fmt::format("The record has more than {} connections. {} of the later ones were not looked into.",
                    Collector::connections_max, counted(data.events_of_other_connections, "event", "events")));
  if (data.findings_omitted != 0)
    add_own_finding(
        out, "remark", "● remark",
        fmt::format("{} more are counted, and not listed.", counted(data.findings_omitted, "finding", "findings")));
}

std::uint64_t messages_of(const ReportData& data) {
  std::uint64_t messages = 0;
  for (const ConnectionData& connection : data.connections) messages += connection.messages;
  return messages;
}

}  // namespace

std::string verdict_of(const ReportData& data) {
  const std::string messages = counted(messages_of(data), "message", "messages");
  const std::string damaged = data.damage ? "The record is damaged. Up to there: " : "";
  if (data.violation_count == 0 && data.remark_count == 0)
    return damaged + fmt::format("{}, and nothing found that breaks the specification.", messages);
  if (data.violation_count == 0)
    return damaged + fmt::format("{}, and nothing found that breaks the specification; {}.", messages,
                                 counted(data.remark_count, "remark", "remarks"));
  return damaged + fmt::format("✖ {} and {} in {}.", counted(data.violation_count, "violation", "violations"),
                               counted(data.remark_count, "remark", "remarks"), messages);
}

Html findings_part(const ReportData& data) {
  Html list;
  if (data.damage)
    add_own_finding(list, "violation", "✖ damaged record",
                    *data.damage + ". What follows is what was read before that.");
  for (const FindingGroup& group : data.violations) add_finding(list, data, group);
  for (const FindingGroup& group : data.remarks) add_finding(list, data, group);
  add_findings_on_record(list, data);
  Html out{"<section id=\"findings\" aria-labelledby=\"findings-name\">\n<h2 id=\"findings-name\">Findings</h2>\n"};
  if (list.text.empty())
    out.text += "<p class=\"none\">None: no message of this session breaks a rule that vhostx-probe knows.</p>\n";
  else
    add(out, "<ol class=\"findings\">\n{}</ol>\n", list);
  out.text += "</section>\n";
  return out;
}

}  // namespace vhostx::tools::probe
