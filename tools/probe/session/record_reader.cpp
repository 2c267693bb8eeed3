// SPDX-License-Identifier: BSD-3-Clause
// Reading is a trust boundary: a record may come from anywhere. Every key is asked for by type, and nothing throws.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "protocol/socket_io.hpp"
#include "tools/probe/session/record.hpp"

namespace vhostx::tools::probe {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t text_bytes_max = 4096;

Error wrong(const char* key, const char* expected) {
  return make_error(ErrorCode::invalid_argument, "\"{}\" is missing or no {}", key, expected);
}

/// Reads keys of one object; after the first error nothing more is read.
class Reader {
 public:
  explicit Reader(const Json& object) : object_(object) {}

  template <typename T>
  T number(const char* key, std::uint64_t most) {
    const Json* const value = find(key);
    // The parser makes every whole number without a sign an unsigned one.
    if (value != nullptr && value->is_number_unsigned() && value->template get<std::uint64_t>() <= most)
      return static_cast<T>(value->template get<std::uint64_t>());
    fail(wrong(key, "number in its range"));
    return {};
  }
  std::string text(const char* key) {
    const Json* const value = string(key);
    return value == nullptr ? std::string() : value->get<std::string>().substr(0, text_bytes_max);
  }
  /// Null, and an error, where it is not there.
  const Json* array(const char* key, std::size_t most) {
    const Json* const value = find(key);
    if (value != nullptr && value->is_array() && value->size() <= most) return value;
    fail(wrong(key, "list, or too long"));
    return nullptr;
  }
  const Json* string(const char* key) {
    const Json* const value = find(key);
    if (value != nullptr && value->is_string()) return value;
    fail(wrong(key, "string"));
    return nullptr;
  }
  const Json* object(const char* key) {
    const Json* const value = find(key);
    if (value != nullptr && value->is_object()) return value;
    fail(wrong(key, "object"));
    return nullptr;
  }
  bool flag(const char* key) {
    const auto at = object_.find(key);
    return at != object_.end() && at->is_boolean() && at->get<bool>();
  }
  void fail(Error error) {
    if (!error_) error_ = std::move(error);
  }
  const std::optional<Error>& error() const noexcept { return error_; }

 private:
  const Json* find(const char* key) const {
    const auto at = object_.find(key);
    return at == object_.end() ? nullptr : &*at;
  }

  const Json& object_;
  std::optional<Error> error_;
};

std::optional<std::vector<std::byte>> bytes_of(const std::string& hex) {
  if (hex.size() % 2 != 0 || hex.size() > 2 * protocol::payload_bytes_max) return std::nullopt;
  std::vector<std::byte> bytes(hex.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::uint8_t value = 0;
    const char* const begin = hex.data() + 2 * i;
    if (const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
        error != std::errc() || end != begin + 2)
      return std::nullopt;
    bytes[i] = std::byte{value};
  }
  return bytes;
}

FdFacts read_fd(const Json& object, Reader& errors) {
  FdFacts facts;
  if (!object.is_object()) {
    errors.fail(wrong("fds", "list of objects"));
    return facts;
  }
  Reader reader(object);
  facts.kind = reader.text("kind");
  facts.name = reader.text("name");
  facts.bytes = reader.number<std::uint64_t>("bytes", UINT64_MAX);
  facts.page_bytes = reader.number<std::uint64_t>("page_bytes", UINT64_MAX);
  facts.device = reader.number<std::uint64_t>("device", UINT64_MAX);
  facts.inode = reader.number<std::uint64_t>("inode", UINT64_MAX);
  if (const Json* seals = reader.array("seals", 16))
    for (const Json& seal : *seals)
      if (seal.is_string()) facts.seals.push_back(seal.get<std::string>().substr(0, 32));
  if (reader.error()) errors.fail(*reader.error());
  return facts;
}

void read_message(Reader& reader, Event& event) {
  if (const auto way = way_named(reader.text("way")))
    event.way = *way;
  else
    reader.fail(wrong("way", "way of a message"));
  event.header.request = reader.number<std::uint32_t>("request", UINT32_MAX);
  event.header.flags = reader.number<std::uint32_t>("flags", UINT32_MAX);
  event.header.size = reader.number<std::uint32_t>("size", UINT32_MAX);
  event.cut_off = reader.flag("cut_off");
  const Json* const payload = reader.string("payload");
  if (payload != nullptr) {
    auto bytes = bytes_of(payload->get_ref<const std::string&>());
    if (bytes && bytes->size() <= event.header.size)
      event.payload = *std::move(bytes);
    else
      reader.fail(wrong("payload", "hexadecimal string of at most `size` bytes"));
  }
  const std::size_t expected = std::min<std::size_t>(event.header.size, protocol::payload_bytes_max);
  if (!event.cut_off && event.payload.size() != expected)
    reader.fail(make_error(ErrorCode::invalid_argument, "\"payload\" has {} bytes, expected {}", event.payload.size(),
                           expected));
  if (const Json* fds = reader.array("fds", protocol::fds_of_a_message_max))
    for (const Json& fd : *fds) event.fds.push_back(read_fd(fd, reader));
}

Peer read_peer(Reader& reader, const char* key) {
  Peer peer;
  const Json* const object = reader.object(key);
  if (object == nullptr) return peer;
  Reader inner(*object);
  peer.pid = inner.number<int>("pid", INT_MAX);
  peer.program = inner.text("program");
  if (inner.error()) reader.fail(*inner.error());
  return peer;
}

Result<Json> object_in(const std::string& line) {
  auto object = Json::parse(line, nullptr, false);
  if (object.is_object()) return object;
  return make_error(ErrorCode::invalid_argument, "not a JSON object: '{}'", line.substr(0, 40));
}

}  // namespace

Result<RecordHeader> header_of(const std::string& line) {
  const auto object = object_in(line);
  const bool ours = object && object->value("format", Json()) == RecordHeader::format;
  if (!ours)
    return make_error(ErrorCode::invalid_argument,
                      "not a record of vhostx-probe: the first line is not a record's header");
  Reader reader(*object);
  const int version = reader.number<int>("version", INT_MAX);
  if (!reader.error() && version != RecordHeader::version)
    return make_error(ErrorCode::unsupported, "a record of version {}, expected {}", version, RecordHeader::version);
  RecordHeader header{reader.text("begun"), reader.text("program"), reader.text("front_end"), reader.text("back_end")};
  if (reader.error()) return *reader.error();
  return header;
}

namespace {

/// None: a line that trace --json has and a record has not, which says only what can be concluded.
Result<std::optional<Event>> event_in(const std::string& line) {
  const auto object = object_in(line);
  if (!object) return object.error();
  Reader reader(*object);
  const std::string name = reader.text("event");
  if (name == "state" || name == "rings") return std::optional<Event>();
  Event event;
  const auto kind = kind_named(name);
  if (!kind) return wrong("event", "kind of event");
  event.kind = *kind;
  event.time = std::chrono::nanoseconds(reader.number<std::int64_t>("time_ns", INT64_MAX));
  event.connection = reader.number<std::uint32_t>("connection", UINT32_MAX);
  if (event.kind == EventKind::message) read_message(reader, event);
  if (event.kind == EventKind::opened) {
    event.front_end = read_peer(reader, "front_end");
    event.back_end = read_peer(reader, "back_end");
  }
  if (event.kind == EventKind::closed || event.kind == EventKind::note) event.text = reader.text("text");
  if (reader.error()) return *reader.error();
  return std::optional<Event>(std::move(event));
}

}  // namespace

Result<Event> event_of(const std::string& line) {
  auto event = event_in(line);
  if (!event) return event.error();
  if (!*event) return wrong("event", "kind of event that records have");
  return **std::move(event);
}

namespace {

enum class Line { whole, cut, none, too_long };

Line next_line(std::istream& input, std::string& line) {
  line.clear();
  for (int byte = input.get(); byte != EOF; byte = input.get()) {
    if (byte == '\n') return Line::whole;
    if (line.size() == record_line_bytes_max) return Line::too_long;
    line.push_back(static_cast<char>(byte));
  }
  return line.empty() ? Line::none : Line::cut;
}

Error at_line(std::size_t number, const std::string& message) {
  return make_error(ErrorCode::invalid_argument, "line {}: {}", number, message);
}

}  // namespace

Result<ReadRecord> read_record(std::istream& input, const std::function<void(Event&&)>& take,
                               const std::function<void(const RecordHeader&)>& begin) {
  ReadRecord record;
  std::string text;
  std::size_t number = 1;
  for (Line line = next_line(input, text); line != Line::none; line = next_line(input, text), ++number) {
    if (line == Line::too_long) return at_line(number, fmt::format("longer than {} bytes", record_line_bytes_max));
    record.cut = line == Line::cut;
    if (number == 1) {
      auto header = header_of(text);
      if (!header) return header.error();
      record.header = *std::move(header);
      if (begin) begin(record.header);
      continue;
    }
    auto event = event_in(text);
    if (!event && record.cut) return record;
    if (!event) return at_line(number, event.error().message);
    if (!*event) continue;
    take(**std::move(event));
    ++record.events;
  }
  if (number == 1) return make_error(ErrorCode::invalid_argument, "an empty file, expected a record of vhostx-probe");
  return record;
}

}  // namespace vhostx::tools::probe
