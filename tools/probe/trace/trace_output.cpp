// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/trace/trace_output.hpp"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "base/error.hpp"
#include "tools/common/paths.hpp"

namespace vhostx::tools::probe {

TraceOutput::TraceOutput(TraceOutputOptions options) : options_(std::move(options)), style_(style_of_output()) {}
TraceOutput::~TraceOutput() = default;

Result<std::unique_ptr<TraceOutput>> TraceOutput::open(TraceOutputOptions options, const RecordHeader& header) {
  std::unique_ptr<TraceOutput> output(new TraceOutput(std::move(options)));
  if (output->options_.json) output->print(line_of(header));
  if (output->options_.record.empty()) return output;
  output->record_.reset(std::fopen(output->options_.record.c_str(), "we"));
  if (const int error = errno; !output->record_)
    return Error{ErrorCode::system, "cannot be written: " + why_not(output->options_.record, error), error};
  output->write_record(line_of(header));
  if (!output->record_whole_) return make_error(ErrorCode::system, "writing {} failed", output->options_.record);
  return output;
}

void TraceOutput::take(const Event& event) {
  last_ = sessions_.take(event);
  count(event, last_);
  if (record_) write_record(line_of(event, &last_));
  if (event.kind == EventKind::closed) {  // front-ends may come and go for months
    changed_.erase(event.connection);
    sessions_.forget(event.connection);
  } else if (event.kind == EventKind::message) {
    changed_.insert(event.connection);
  }
  changed_at_ = std::chrono::steady_clock::now();
  if (options_.quiet || (options_.filter && !options_.filter->shows(event, last_))) return;
  print(options_.json ? line_of(event, &last_) : text_of(event, last_, style_));
}

void TraceOutput::count(const Event& event, const Decoded& decoded) {
  connections_ += event.kind == EventKind::opened ? 1 : 0;
  messages_ += event.kind == EventKind::message ? 1 : 0;
  for (const Finding& finding : decoded.findings)
    if (finding.weight == Finding::Weight::violation) ++violations_;
}

void TraceOutput::tick(std::chrono::steady_clock::time_point now, const NodesOf& nodes) {
  if (changed_.empty() || now - changed_at_ < options_.rest || options_.quiet || !options_.tables) return;
  for (const std::uint32_t connection : changed_) {
    const Session* const session = sessions_.find(connection);
    if (session == nullptr) continue;
    const auto& state = session->state();
    print(options_.json ? fmt::format("{{\"event\":\"state\",\"connection\":{},\"state\":{}}}\n", connection,
                                      json_of(state, nodes))
                        : fmt::format("\n  connection {}\n{}\n", connection, text_of(state, nodes, style_)));
  }
  changed_.clear();
}

void TraceOutput::show_rings(const std::string& rings) {
  if (options_.quiet) return;
  const std::string_view object = std::string_view(rings).substr(0, rings.find_last_not_of('\n') + 1);
  print(options_.json ? fmt::format("{{\"event\":\"rings\",\"rings\":{}}}\n", object) : "\n" + rings + "\n");
}

void TraceOutput::summarise() {
  if (options_.json || options_.quiet) return;
  const auto counted = [](auto count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  print(fmt::format("{} on {}, {}\n", counted(messages_, "message"), counted(connections_, "connection"),
                    counted(violations_, "violation")));
}

void TraceOutput::problem(const std::string& text) { fmt::print(stderr, "vhostx-probe: {}\n", text); }

// The connection goes on without a record: the guest's packets come first.
void TraceOutput::write_record(const std::string& line) {
  if (!record_whole_) return;
  if (std::fwrite(line.data(), 1, line.size(), record_.get()) == line.size() && std::fflush(record_.get()) == 0) return;
  record_whole_ = false;
  problem(fmt::format("{}: {}: the record ends here, and the connections continue", options_.record,
                      std::generic_category().message(errno)));
}

void TraceOutput::print(const std::string& text) {
  if (!output_works_) return;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return;
  output_works_ = false;
  problem("standard output is closed or full: nothing more is printed, and the connections continue");
}

}  // namespace vhostx::tools::probe
