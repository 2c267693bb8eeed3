// SPDX-License-Identifier: BSD-3-Clause
// PortSpec: one row for each key of --port; messages and help come from the same rows.
#include "tools/switch/port_spec.hpp"

#include <algorithm>
#include <charconv>
#include <grp.h>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "tools/common/help.hpp"
#include "tools/common/nearest.hpp"
#include "tools/common/values.hpp"
#include "tools/switch/mac_table.hpp"

namespace vhostx::tools {
namespace {

Error invalid(std::string message) { return Error{ErrorCode::invalid_argument, std::move(message), 0}; }

/// One KEY=VALUE, and the whole --port for messages.
struct Item {
  std::string_view text;
  std::string_view key;
  std::string_view value;

  Error refused(std::string_view expected) const {
    return invalid(fmt::format("--port {}: {} is '{}': expected {}", text, key, value, expected));
  }
};

template <typename T>
struct Name {
  const char* name;
  T value;
};

template <typename T, std::size_t N>
Result<void> take_named(const Item& item, const Name<T> (&names)[N], const char* expected, T& out) {
  const auto* named = std::find_if(names, names + N, [&](const auto& name) { return name.name == item.value; });
  if (named == names + N) return item.refused(expected);
  out = named->value;
  return {};
}

template <typename T>
Result<void> take_number(const Item& item, T min, T max, T& out) {
  T number{};
  const char* const end = item.value.data() + item.value.size();
  const auto [stopped, error] = std::from_chars(item.value.data(), end, number);
  if (error != std::errc{} || stopped != end || number < min || number > max)
    return item.refused(fmt::format("{} to {}", min, max));
  out = number;
  return {};
}

Result<void> take_role(const Item& item, PortSpec& port) {
  static constexpr Name<Role> names[]{{"server", Role::server}, {"client", Role::client}};
  return take_named(item, names, "server or client", port.role);
}

Result<void> take_queues(const Item& item, PortSpec& port) {
  return take_number<std::uint16_t>(item, 1, 128, port.queue_pairs);
}

Result<void> take_zero_copy(const Item& item, PortSpec& port) {
  static constexpr Name<ZeroCopy> names[]{{"on", ZeroCopy::on}, {"off", ZeroCopy::off}, {"lend", ZeroCopy::lend}};
  return take_named(item, names, "on, off or lend", port.zero_copy);
}

Result<void> take_numa(const Item& item, PortSpec& port) {
  static constexpr Name<NumaPolicy> names[]{
      {"follow", NumaPolicy::follow}, {"report", NumaPolicy::report}, {"off", NumaPolicy::off}};
  return take_named(item, names, "follow, report or off", port.numa);
}

/// What a port offers beside the default, by a name that may stand after offer=.
struct Extra {
  std::uint64_t virtio = 0;
  std::uint64_t protocol = 0;
};
constexpr std::uint64_t bit(unsigned number) { return std::uint64_t{1} << number; }

Result<void> take_extra(const Item& item, PortSpec& port) {
  static constexpr Name<Extra> names[]{
      {"backend_req", {.protocol = bit(5)}},
      {"gpa_addresses", {.protocol = bit(21)}},
      {"in_order", {.virtio = bit(35)}},
      {"inband_notifications", {.protocol = bit(14) | bit(5)}},  // the one needs the other
      {"inflight_shmfd", {.protocol = bit(12)}},
      {"reset_device", {.protocol = bit(13)}},
      {"ring_reset", {.virtio = bit(40)}},
      {"uso", {.virtio = bit(54) | bit(55) | bit(56)}}};
  constexpr auto expected =
      "backend_req, gpa_addresses, in_order, inband_notifications, inflight_shmfd, reset_device, ring_reset or uso, "
      "with + between them";
  for (std::size_t begin = 0; begin <= item.value.size();) {
    const auto end = std::min(item.value.find('+', begin), item.value.size());
    Extra extra;
    const Item one{item.text, item.key, item.value.substr(begin, end - begin)};
    if (auto taken = take_named(one, names, expected, extra); !taken) return taken;
    port.features_extra |= extra.virtio;
    port.protocol_features_extra |= extra.protocol;
    begin = end + 1;
  }
  return {};
}

Result<void> take_mode(const Item& item, PortSpec& port) {
  std::uint32_t mode = 0;
  const char* const end = item.value.data() + item.value.size();
  const auto [stopped, error] = std::from_chars(item.value.data(), end, mode, 8);
  if (error != std::errc{} || stopped != end || mode > 0777)
    return item.refused("octal digits, 0 to 0777, such as 0660");
  port.mode = mode;
  return {};
}

Result<void> take_group(const Item& item, PortSpec& port) {
  if (item.value.empty()) return item.refused("a group's name or number");
  port.group = item.value;
  return {};
}

/// Six bytes of two hexadecimal digits.
std::optional<std::uint64_t> parse_mac(std::string_view text) {
  constexpr std::size_t length = 17;
  if (text.size() != length) return {};
  std::uint64_t mac = 0;
  for (unsigned byte = 0; byte < 6; ++byte) {
    const char* const digits = text.data() + 3 * byte;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits, digits + 2, value, 16);
    if (error != std::errc{} || end != digits + 2 || (byte != 5 && *end != ':')) return {};
    mac |= std::uint64_t{value} << (8 * byte);
  }
  return mac;
}

Result<void> take_mac(const Item& item, PortSpec& port) {
  const auto mac = parse_mac(item.value);
  if (!mac || *mac == 0 || is_group(*mac)) return item.refused("a station's address, such as 52:54:00:00:00:02");
  port.macs.push_back(*mac);
  return {};
}

// At least a page: 0 would be the library's own choice, which has no word here.
Result<void> take_memory(const Item& item, PortSpec& port) {
  constexpr std::string_view units = "KMGT";
  std::uint64_t number = 0;
  const char* const last = item.value.data() + item.value.size();
  const auto [end, error] = std::from_chars(item.value.data(), last, number);
  const std::size_t unit = last - end == 1 ? units.find(*end) : units.npos;
  const std::size_t shift = unit == units.npos ? 0 : 10 * (unit + 1);
  const std::uint64_t most = (std::uint64_t{1} << 63) >> shift;
  if (error != std::errc{} || (end != last && unit == units.npos) || number > most || (number << shift) < 4096)
    return item.refused("bytes, or a number with K, M, G or T, at least 4K");
  port.memory_bytes_max = number << shift;
  return {};
}

Result<void> take_state(const Item& item, PortSpec& port) {
  static constexpr Name<bool> names[]{{"move", true}, {"stay", false}};
  return take_named(item, names, "move or stay", port.state_moves);
}

struct PortKey {
  const char* key;
  const char* value;  ///< As it stands in the help.
  const char* help;
  Result<void> (*take)(const Item& item, PortSpec& port);
};

constexpr PortKey port_keys[]{
    {"role", "server|client", "who creates the socket: the switch (server, default) or the front-end (client)",
     take_role},
    {"queues", "N", "queue pairs, at most; 1 to 128 (1)", take_queues},
    {"zerocopy", "on|off|lend",
     "on: copy a packet once from guest to guest (default). off: copy it twice. lend: do not copy; for io and rxonly",
     take_zero_copy},
    {"numa", "follow|report|off",
     "follow: move the port's state to the guest's NUMA node (default). report: only report where it is. off: neither",
     take_numa},
    {"offer", "NAME[+NAME...]",
     "offer more feature bits, which few front-ends support: backend_req, gpa_addresses, in_order, "
     "inband_notifications, inflight_shmfd, "
     "reset_device, ring_reset (breaks guests of QEMU that resize a ring), uso",
     take_extra},
    {"mode", "OCTAL", "permissions of the socket file, such as 0660 (by the umask)", take_mode},
    {"group", "NAME|NUMBER", "group of the socket file (the group of the process)", take_group},
    {"mac", "ADDRESS",
     "bind this address to the port, and the port to it: no other port may use it, and the port no other. Repeat it "
     "for "
     "more addresses (any)",
     take_mac},
    {"memory", "SIZE", "guest memory, at most, with K, M, G or T (twice the machine's memory)", take_memory},
    {"state", "move|stay",
     "move: the addresses learned at the port go along when its guest migrates, with the port's counters, and when "
     "another process goes on with the connection (default). stay: they do not",
     take_state},
};

Error unknown_key(std::string_view text, std::string_view item) {
  std::vector<std::string> keys, expected;
  for (const auto& row : port_keys) {
    keys.emplace_back(row.key);
    expected.push_back(fmt::format("{}={}", row.key, row.value));
  }
  const auto best = did_you_mean(item.substr(0, item.find('=')), keys);
  return invalid(
      fmt::format("--port {}: unknown key '{}'{}", text, item, best.empty() ? ": expected " + listed(expected) : best));
}

Result<void> apply_item(std::string_view text, std::string_view item, PortSpec& port) {
  const auto equals = item.find('=');
  const auto key = item.substr(0, equals);
  const auto value = equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1);
  for (const auto& row : port_keys)
    if (row.key == key) return row.take({text, key, value}, port);
  return unknown_key(text, item);
}

}  // namespace

Result<PortSpec> parse_port(std::string_view text) {
  PortSpec port;
  auto comma = text.find(',');
  port.path = std::string(text.substr(0, comma));
  if (port.path.empty() || port.path.size() > socket_path_max)
    return invalid(
        fmt::format("--port {}: the path has {} bytes: expected 1 to {}", text, port.path.size(), socket_path_max));
  if (port.path.front() == '@')
    return invalid(fmt::format(
        "--port {}: abstract sockets are not served, as they have no mode: expected a path (a file of that name is "
        "'./{}')",
        text, port.path));
  while (comma != std::string_view::npos) {
    const auto begin = comma + 1;
    comma = text.find(',', begin);
    const auto item = text.substr(begin, comma == std::string_view::npos ? comma : comma - begin);
    if (auto applied = apply_item(text, item, port); !applied) return applied.error();
  }
  if (port.role == Role::client && (port.mode || !port.group.empty()))
    return invalid(fmt::format(
        "--port {}: mode and group are for role=server: with role=client the front-end makes the socket", text));
  return port;
}

Result<std::optional<std::uint32_t>> group_of(const PortSpec& port) {
  if (port.group.empty()) return std::optional<std::uint32_t>{};
  std::uint32_t number = 0;
  const char* const end = port.group.data() + port.group.size();
  if (const auto [stopped, error] = std::from_chars(port.group.data(), end, number);
      error == std::errc{} && stopped == end)
    return std::optional(number);
  if (const auto* const group = ::getgrnam(port.group.c_str()); group != nullptr)
    return std::optional<std::uint32_t>(group->gr_gid);
  return invalid(fmt::format("--port {}: group is '{}': there is none of that name: expected a name or a number",
                             port.path, port.group));
}

std::string mac_text(std::uint64_t mac) {
  std::string text;
  for (unsigned byte = 0; byte < 6; ++byte)
    text += fmt::format("{}{:02x}", byte == 0 ? "" : ":", (mac >> (8 * byte)) & 0xffu);
  return text;
}

std::string port_keys_help() {
  std::string help = "Keys of --port:\n";
  for (const auto& row : port_keys) help += help_row(fmt::format("{}={}", row.key, row.value), row.help) + '\n';
  return help;
}

std::optional<std::vector<std::string>> complete_port(std::string_view typed) {
  const auto comma = typed.rfind(',');
  if (comma == std::string_view::npos) return {};
  const auto before = typed.substr(0, comma + 1);
  const auto item = typed.substr(comma + 1);
  const auto equals = item.find('=');
  std::vector<std::string> words;
  for (const auto& row : port_keys)
    if (equals == std::string_view::npos)
      words.push_back(fmt::format("{}{}=", before, row.key));
    else if (item.substr(0, equals) == row.key)
      for (const auto& value : words_of_type(row.value))
        words.push_back(fmt::format("{}{}={}", before, row.key, value));
  return words;
}

}  // namespace vhostx::tools
