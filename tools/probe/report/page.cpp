// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/page.hpp"

#include "tools/probe/report/html.hpp"
#include "tools/probe/report/page_parts.hpp"
#include "tools/probe/report/sequence.hpp"
#include "tools/probe/report/style.hpp"

namespace vhostx::tools::probe {
namespace {

std::string name_of(const Peer& peer, const char* otherwise) {
  return peer.program.empty() ? std::string(otherwise) : shortened(peer.program, 40);
}

std::string title_of(const ReportData& data) {
  if (data.connections.empty()) return "vhost-user session";
  const SessionState& state = data.connections.front().peak;
  return fmt::format("{} and {}", name_of(state.front_end, "a front-end"), name_of(state.back_end, "a back-end"));
}

// "default-src 'none'" makes it a promise that the page asks for nothing, whatever a record might smuggle into it.
void add_head(Html& out, const ReportData& data) {
  add(out,
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<title>{} – vhost-user session</title>\n<style>{}</style>\n</head>\n<body>\n",
      title_of(data), Html{style_sheet});
}

void add_header(Html& out, const ReportData& data) {
  add(out, "<header>\n<p class=\"kind\">vhost-user session</p>\n<h1>{}</h1>\n", title_of(data));
  add(out, "<p class=\"verdict {}\">{}</p>\n", data.violation_count == 0 && !data.damage ? "good" : "bad",
      verdict_of(data));
  out.text += "</header>\n";
}

void add_contents(Html& out, const ReportData& data) {
  out.text += "<nav aria-label=\"Contents\"><ul>\n<li><a href=\"#findings\">Findings</a></li>\n";
  if (data.connections.size() > 1) out.text += "<li><a href=\"#connections\">Connections</a></li>\n";
  out.text += "<li><a href=\"#summary\">Summary</a></li>\n";
  for (const ConnectionData& connection : data.connections) {
    if (is_long(data)) break;  // the table has them
    const std::uint32_t id = connection.id;
    add(out, "<li><a href=\"#c{0}\">Connection {0}</a>", id);
    add(out,
        ": <a href=\"#c{0}-features\">features</a>, <a href=\"#c{0}-memory\">memory</a>, "
        "<a href=\"#c{0}-rings\">rings</a>, <a href=\"#c{0}-sequence\">messages</a></li>\n",
        id);
  }
  out.text += "</ul></nav>\n";
}

void add_part(Html& out, std::uint32_t connection, const char* name, const char* title, const Html& content) {
  add(out,
      "<section id=\"c{0}-{1}\" aria-labelledby=\"c{0}-{1}-name\">\n<details class=\"fold\" open><summary><h3 "
      "id=\"c{0}-{1}-name\">{2}</h3></summary>\n{3}</details></section>\n",
      connection, name, title, content);
}

void add_links(Html& out, std::uint32_t id) {
  add(out,
      "<p class=\"links\"><a href=\"#c{0}-features-name\">features</a> <a href=\"#c{0}-memory-name\">memory</a> "
      "<a href=\"#c{0}-rings-name\">rings</a> <a href=\"#c{0}-sequence-name\">messages</a></p>\n",
      id);
}

/// Links lead to what is inside, so that a browser opens it.
void add_connection(Html& out, const ReportData& data, std::size_t index) {
  const ConnectionData& connection = data.connections[index];
  const std::uint32_t id = connection.id;
  add(out, "<section class=\"connection{1}\" id=\"c{0}\" aria-labelledby=\"c{0}-name\">\n", id, classes_of(connection));
  add(out, "<details class=\"fold\"{1}><summary><h2 id=\"c{0}-name\">Connection {0}</h2> {2}</summary>\n", id,
      Html{is_long(data) ? "" : " open"}, data.connections.size() > 1 ? line_of(connection) : Html{});
  add(out, "<div id=\"c{}-facts\">\n{}", id, neighbours_of(data, index));
  out += connection_facts(connection);
  if (is_long(data)) add_links(out, id);
  out.text += "</div>\n";
  add_part(out, id, "features", "Negotiated features", features_part(connection));
  add_part(out, id, "memory", "Memory", memory_part(connection));
  add_part(out, id, "rings", "Rings", rings_part(connection));
  add_part(out, id, "sequence", "Messages", sequence_chart(connection));
  out.text += "</details></section>\n";
}

void add_footer(Html& out, const ReportData& data) {
  add(out,
      "<footer><p>Made by vhostx-probe from {}, which {} recorded. Rules: the vhost-user specification and VIRTIO 1.2. "
      "This page asks for nothing outside itself.</p></footer>\n</body>\n</html>\n",
      data.source, data.header.program.empty() ? std::string("another program") : shortened(data.header.program, 60));
}

}  // namespace

std::string html_of(const ReportData& data) {
  Html out;
  add_head(out, data);
  add_header(out, data);
  add_contents(out, data);
  out.text += "<main>\n";
  out += findings_part(data);
  out += overview_part(data);
  out += summary_part(data);
  for (std::size_t i = 0; i < data.connections.size(); ++i) add_connection(out, data, i);
  out.text += "</main>\n";
  add_footer(out, data);
  return std::move(out.text);
}

}  // namespace vhostx::tools::probe
