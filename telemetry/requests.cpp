// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry/requests.hpp"

#include <charconv>
#include <optional>
#include <utility>

#include "telemetry/text.hpp"
#include "telemetry/values.hpp"

namespace vhostx::telemetry {
namespace {

Error bad(std::string message) { return Error{ErrorCode::invalid_argument, std::move(message), 0}; }

Error not_named(std::string_view name) { return bad(joined({"no port is named '", name, "'"})); }

Result<std::size_t> number_of(std::string_view text, const char* what) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size())
    return bad(joined({what, " is '", text, "': expected a number"}));
  return number;
}

/// A port, and the number after its name.
struct Subject {
  std::shared_ptr<NamedPort> port;
  std::optional<std::size_t> number;
};

/// Names may contain commas, so the whole text is tried as a name first.
Result<Subject> subject_of(const Registry& registry, std::string_view parameters, const char* number_name) {
  if (parameters.empty()) return bad("no port is named: expected a NAME of /vhostx/list");
  if (auto port = registry.find(parameters)) return Subject{std::move(port), {}};
  const auto comma = parameters.rfind(',');
  auto port = comma == std::string_view::npos ? nullptr : registry.find(parameters.substr(0, comma));
  if (port == nullptr) return not_named(parameters.substr(0, comma));
  auto number = number_of(parameters.substr(comma + 1), number_name);
  if (!number) return std::move(number).error();
  return Subject{std::move(port), *number};
}

/// Calls `look` with the port and returns its result.
template <typename Look>
Result<Dict> answer_of(NamedPort& named, const Look& look) {
  std::optional<Result<Dict>> answer;
  if (!named.with_port([&](Port& port) { answer = look(port); })) return not_named(named.name());
  return *std::move(answer);
}

/// Adds rows from `first` on while there is room. The answer says where to continue.
template <typename Row>
void add_rows(Dict& out, std::size_t first, std::size_t count, const Row& row) {
  out.add("first", first);
  std::size_t bytes = out.json_bytes();
  std::size_t rows = 0;
  for (std::size_t i = first; i < count; ++i) {
    std::optional<DictEntry> entry = row(i);
    if (!entry) continue;
    bytes += json_bytes(*entry) + 1;
    if (rows++ != 0 && (rows > answer_entries_max || bytes > answer_bytes_max)) {
      out.add("next", i);
      return;
    }
    out.add(std::move(entry->name), std::move(entry->value));
  }
}

Result<Dict> memory_of(const Port& port, std::size_t first) {
  const auto regions = port.memory_placement();
  std::uint64_t bytes = 0;
  for (const auto& region : regions) bytes += region.bytes;
  Dict out;
  out.add("memory_regions", regions.size()).add("memory_bytes", bytes);
  add_rows(out, first, regions.size(), [&](std::size_t i) -> std::optional<DictEntry> {
    return DictEntry{joined({"region_", std::to_string(i)}), values_of(regions[i])};
  });
  return out;
}

Result<Dict> numa_of(Port& port, std::size_t first) {
  Dict out;
  add_rows(out, first, port.vring_count(), [&](std::size_t i) -> std::optional<DictEntry> {
    const Vring& vring = port.vring(static_cast<std::uint16_t>(i));
    if (!vring.state().started) return {};
    return DictEntry{joined({"vring_", std::to_string(i)}), values_of(vring.placement())};
  });
  return out;
}

}  // namespace

Result<Dict> list_ports(const Registry& registry, std::string_view parameters) {
  const auto names = registry.names();
  const auto first = parameters.empty() ? Result<std::size_t>(0) : number_of(parameters, "FIRST");
  if (!first) return first.error();
  Dict out;
  out.add("count", names.size()).add("first", *first);
  std::vector<std::string> ports;
  std::size_t bytes = out.json_bytes();
  for (std::size_t i = *first; i < names.size(); ++i) {
    bytes += json_bytes(names[i]) + 1;
    if (bytes > answer_bytes_max || ports.size() == 2 * answer_entries_max) {
      out.add("next", i);
      break;
    }
    ports.push_back(names[i]);
  }
  out.add("ports", std::move(ports));
  return out;
}

Result<Dict> tell_port(const Registry& registry, std::string_view parameters) {
  if (parameters.empty()) return bad("no port is named: expected a NAME of /vhostx/list");
  const auto named = registry.find(parameters);
  if (named == nullptr) return not_named(parameters);
  return answer_of(*named, [&](Port& port) -> Result<Dict> { return values_of(port); });
}

Result<Dict> tell_vring(const Registry& registry, std::string_view parameters) {
  const auto subject = subject_of(registry, parameters, "INDEX");
  if (!subject) return subject.error();
  if (!subject->number) return bad("no vring is named: expected NAME,INDEX");
  return answer_of(*subject->port, [&](Port& port) -> Result<Dict> {
    const auto index = *subject->number;
    if (index >= port.vring_count())
      return bad(
          joined({"INDEX is ", std::to_string(index), ": expected 0 to ", std::to_string(port.vring_count() - 1)}));
    return values_of(std::as_const(port.vring(static_cast<std::uint16_t>(index))));
  });
}

Result<Dict> tell_memory(const Registry& registry, std::string_view parameters) {
  const auto subject = subject_of(registry, parameters, "FIRST");
  if (!subject) return subject.error();
  return answer_of(*subject->port, [&](Port& port) { return memory_of(port, subject->number.value_or(0)); });
}

Result<Dict> tell_numa(const Registry& registry, std::string_view parameters) {
  const auto subject = subject_of(registry, parameters, "FIRST");
  if (!subject) return subject.error();
  return answer_of(*subject->port, [&](Port& port) { return numa_of(port, subject->number.value_or(0)); });
}

}  // namespace vhostx::telemetry
