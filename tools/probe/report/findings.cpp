// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

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

/// Groups of several connections that say the same: one entry of the list.
using Alike = std::vector<const FindingGroup*>;

constexpr std::size_t connections_named_max = 8;
constexpr std::size_t numbers_of_several_max = 3;

std::vector<Alike> gather_alike(const std::vector<FindingGroup>& groups) {
  std::vector<Alike> all;
  std::map<std::pair<std::string, std::string>, std::size_t> places;
  for (const FindingGroup& group : groups) {
    const auto [at, is_new] = places.try_emplace({group.finding.text, group.finding.section}, all.size());
    if (is_new) all.emplace_back();
    all[at->second].push_back(&group);
  }
  return all;
}

void add_numbers(Html& out, const ReportData& data, const FindingGroup& group, std::size_t numbers_max) {
  const ConnectionData* const connection = find_connection(data, group.connection);
  if (data.connections.size() > 1) add(out, "connection {}, ", group.connection);
  add(out, "{} ", group.name.empty() ? "event" : group.count == 1 ? "message" : "messages");
  const std::size_t shown = std::min(group.numbers.size(), numbers_max);
  for (std::size_t i = 0; i < shown; ++i) {
    if (i != 0) out.text += ", ";
    add_number(out, connection, group.numbers[i]);
  }
  if (group.count > shown) add(out, " and {} more", group.count - shown);
}

void add_places(Html& out, const ReportData& data, const Alike& groups) {
  out.text += "<span class=\"place\">";
  if (groups.size() > 1) add(out, "{} connections: ", groups.size());
  for (std::size_t i = 0; i < groups.size() && i < connections_named_max; ++i) {
    if (i != 0) out.text += "; ";
    add_numbers(out, data, *groups[i], groups.size() == 1 ? Collector::numbers_max : numbers_of_several_max);
  }
  if (groups.size() > connections_named_max)
    add(out, "; and {} more connections", groups.size() - connections_named_max);
  const std::string& name = groups.front()->name;
  add(out, "</span>{}\n", name.empty() ? Html{} : html(" <code>{}</code>", name));
}

void add_finding(Html& out, const ReportData& data, const Alike& groups) {
  const Finding& finding = groups.front()->finding;
  const bool violates = finding.weight == Finding::Weight::violation;
  add(out, "<li class=\"finding {}\"><b>{}</b> ", violates ? "violation" : "remark",
      violates ? "✖ violation" : "● remark");
  add_places(out, data, groups);
  add(out, "<p>{}. <cite>{}</cite></p></li>\n", finding.text, finding.section);
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
  for (const Alike& groups : gather_alike(data.violations)) add_finding(list, data, groups);
  for (const Alike& groups : gather_alike(data.remarks)) add_finding(list, data, groups);
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
