// SPDX-License-Identifier: BSD-3-Clause
// The way through a page of several connections: a table of all of them, a choice of those to show, and links.
#include <algorithm>
#include <array>

#include "tools/probe/report/page_parts.hpp"
#include "tools/probe/report/sequence.hpp"

namespace vhostx::tools::probe {
namespace {

/// A choice, and the class of the connections that it shows.
struct Choice {
  const char* name;
  const char* label;
};
constexpr std::array choices{Choice{"bad", "with violations"}, Choice{"found", "with violations or remarks"},
                             Choice{"ran", "whose rings were started"}, Choice{"open", "still open at the end"}};

bool is(const ConnectionData& connection, std::string_view name) {
  if (name == "bad") return connection.violations != 0;
  if (name == "found") return connection.violations + connection.remarks != 0;
  if (name == "ran") return fullness_of(connection.peak).running != 0;
  return !connection.closed;
}

Html problems_of(const ConnectionData& connection) {
  if (connection.violations + connection.remarks == 0) return html("<span class=\"no-mark\">none</span>");
  Html out;
  if (connection.violations != 0)
    add(out, "<b class=\"bad\">✖ {}</b>", counted(connection.violations, "violation", "violations"));
  if (connection.remarks != 0)
    add(out, "{}{}", connection.violations != 0 ? ", " : "", counted(connection.remarks, "remark", "remarks"));
  return out;
}

Html front_end_of(const ConnectionData& connection) {
  const Peer& peer = connection.peak.front_end;
  if (peer.pid == 0) return html("<span class=\"no-mark\">not known</span>");
  return html("{} ({})", shortened(peer.program, 40), peer.pid);
}

std::string duration_of(const ConnectionData& connection) { return text_of_time(connection.end - connection.begin); }

/// Columns of class "wide" are left out where the page is narrow.
constexpr const char* heading =
    "<table class=\"overview\">\n<caption>Connections</caption>\n<thead><tr><th scope=\"col\">connection</th>"
    "<th scope=\"col\" class=\"wide\">front-end</th><th scope=\"col\" class=\"number wide\">begin, s</th>"
    "<th scope=\"col\" class=\"number\">duration</th><th scope=\"col\" class=\"number\">messages</th>"
    "<th scope=\"col\" class=\"number wide\">rings started</th><th scope=\"col\">problems</th></tr></thead>\n<tbody>\n";

void add_row(Html& out, const ConnectionData& connection) {
  const std::uint32_t id = connection.id;
  add(out, "<tr class=\"c{0}\" id=\"c{1}-row\"><th scope=\"row\"><a href=\"#c{1}-facts\">Connection {1}</a></th>",
      classes_of(connection), id);
  add(out, "<td class=\"wide\">{}</td><td class=\"number wide\">{}</td><td class=\"number\">{}</td>",
      front_end_of(connection), text_of_moment(connection.begin), duration_of(connection));
  add(out, "<td class=\"number\">{}</td><td class=\"number wide\">{}</td><td>{}</td></tr>\n", connection.messages,
      fullness_of(connection.peak).running, problems_of(connection));
}

/// Without a script: the style sheet hides what is not of the chosen class.
Html filter_of(const ReportData& data) {
  Html out{"<fieldset class=\"filter\">\n<legend>Show connections</legend>\n"};
  add(out, "<label><input type=\"radio\" name=\"show\" id=\"show-all\" checked> all {}</label>\n",
      data.connections.size());
  for (const Choice& choice : choices) {
    const auto count = std::count_if(data.connections.begin(), data.connections.end(),
                                     [&choice](const ConnectionData& each) { return is(each, choice.name); });
    add(out, "<label{}><input type=\"radio\" name=\"show\" id=\"show-{}\"{}> {}: {}</label>\n",
        Html{count == 0 ? " class=\"off\"" : ""}, choice.name, Html{count == 0 ? " disabled" : ""}, choice.label,
        count);
  }
  out.text += "</fieldset>\n";
  return out;
}

Html link_to(const ConnectionData& connection, const char* text) {
  return html("<a href=\"#c{0}-facts\">{1} {0}</a>", connection.id, text);
}

}  // namespace

std::string classes_of(const ConnectionData& connection) {
  std::string classes;
  for (const Choice& choice : choices)
    if (is(connection, choice.name)) classes += std::string(" is-") + choice.name;
  return classes;
}

bool is_long(const ReportData& data) noexcept { return data.connections.size() > connections_open_max; }

Html overview_part(const ReportData& data) {
  if (data.connections.size() < 2) return {};
  Html out{
      "<section id=\"connections\" aria-labelledby=\"connections-name\">\n<h2 "
      "id=\"connections-name\">Connections</h2>\n"};
  if (is_long(data)) out += filter_of(data);
  out.text += heading;
  for (const ConnectionData& connection : data.connections) add_row(out, connection);
  out.text += "</tbody></table>\n";
  out.text += "</section>\n";
  return out;
}

Html line_of(const ConnectionData& connection) {
  Html out;
  add(out, "<span class=\"line\">{}, from {} s for {}, {}", front_end_of(connection), text_of_moment(connection.begin),
      duration_of(connection), counted(connection.messages, "message", "messages"));
  if (connection.violations + connection.remarks != 0) add(out, ", {}", problems_of(connection));
  out.text += "</span>";
  return out;
}

Html neighbours_of(const ReportData& data, std::size_t index) {
  if (data.connections.size() < 2) return {};
  Html out{"<p class=\"neighbours\">"};
  if (index > 0) add(out, "{} ", link_to(data.connections[index - 1], "‹"));
  add(out, "<a href=\"#c{}-row\">all connections</a>", data.connections[index].id);
  if (index + 1 < data.connections.size()) add(out, " {}", link_to(data.connections[index + 1], "›"));
  out.text += "</p>\n";
  return out;
}

}  // namespace vhostx::tools::probe
