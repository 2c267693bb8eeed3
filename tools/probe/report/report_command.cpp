// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>
#include <fstream>
#include <iostream>
#include <system_error>

#include <CLI/CLI.hpp>
#include <sys/stat.h>

#include "base/error.hpp"
#include "tools/probe/exit_code.hpp"
#include "tools/probe/report/page.hpp"
#include "tools/probe/report/report_data.hpp"
#include "tools/probe/report/report_options.hpp"
#include "tools/probe/report/write_page.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr const char* report_help =
    "Makes one page for a browser from a record: findings, features, memory, rings, and every message";

constexpr const char* report_footer = R"(
The page is one file. It loads nothing, has no script, and can be printed.

Examples:
  vhostx-probe report session.jsonl --html session.html
  vhostx-probe report - --html - < session.jsonl > session.html

Exit codes: 0 the page was written, whatever it says; 1 it could not be written, or the record is damaged. The page of a
damaged record has what comes before the damage.)";

constexpr const char* standard = "-";

bool same_file(const std::string& a, const std::string& b) {
  struct stat of_a {};
  struct stat of_b {};
  return ::stat(a.c_str(), &of_a) == 0 && ::stat(b.c_str(), &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
         of_a.st_ino == of_b.st_ino && S_ISREG(of_a.st_mode);
}

/// Reads it to its end or to its damage. Error: it is no record at all.
Result<ReportData> read(std::istream& input, const std::string& name) {
  Collector collector(name);
  bool begun = false;
  const auto record = read_record(
      input, [&collector](Event&& event) { collector.take(event); },
      [&](const RecordHeader& header) {
        collector.begin(header);
        begun = true;
      });
  if (input.bad()) return make_error(ErrorCode::system, "cannot be read: it is a directory, or there was a disk error");
  if (!record && !begun) return record.error();
  ReportData data = collector.finish();
  if (record)
    data.cut = record->cut;
  else
    data.damage = record.error().message;
  return data;
}

Result<ReportData> read_from(const std::string& path) {
  if (path == standard) return read(std::cin, "standard input");
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_system_error(errno, "cannot be read");
  const std::size_t directory_end = path.rfind('/');
  return read(file, directory_end == std::string::npos ? path : path.substr(directory_end + 1));
}

int write(const std::string& path, const std::string& page) {
  if (path == standard) return print(page);
  const auto written = write_page(path, page);
  return written ? static_cast<int>(ExitCode::good) : fail(path, written.error().message);
}

}  // namespace

CLI::App* add_report_command(CLI::App& app, ReportOptions& options) {
  CLI::App* const report = app.add_subcommand("report", report_help);
  report->footer(report_footer);
  report->add_option("FILE", options.path, "The record, from `trace --write`; - reads standard input")->required();
  report
      ->add_option("--html", options.html, "File of the page, replaced when the page is complete; - is standard output")
      ->type_name("FILE")
      ->required();
  return report;
}

int run_report(const ReportOptions& options) {
  if (same_file(options.path, options.html))
    return fail(options.html, "is the record itself: choose another file for the page", ExitCode::usage);
  const auto data = read_from(options.path);
  if (!data) return fail(options.path, data.error().message);
  const int written = write(options.html, html_of(*data));
  if (!data->damage || written != static_cast<int>(ExitCode::good)) return written;
  return fail(options.path, *data->damage + "; the page has what comes before");
}

}  // namespace vhostx::tools::probe
