// SPDX-License-Identifier: BSD-3-Clause
// The document. Reading it is a trust boundary: the process may be any. Every key is asked for by type, every list is
// bounded, and nothing throws.
#include <charconv>

#include <climits>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "tools/probe/rings/published.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* format = "vhostx-probe rings";
constexpr int version = 1;
constexpr std::size_t name_bytes_max = 256;

// ---- writing

Json memory_json(const MemoryFacts& memory) {
  return {{"guest_address", memory.region.guest_address},
          {"front_end_address", memory.region.front_end_address},
          {"size", memory.region.size},
          {"mmap_offset", memory.region.mmap_offset},
          {"fd", memory.fd},
          {"device", memory.device},
          {"inode", memory.inode}};
}

Json log_json(const LogFacts& log) {
  return {{"size", log.size}, {"offset", log.offset}, {"fd", log.fd}, {"device", log.device}, {"inode", log.inode}};
}

Json ring_json(const RingFacts& ring) {
  Json object{{"ring", ring.index}, {"enabled", ring.enabled}, {"started", ring.started}};
  if (ring.size) object["size"] = *ring.size;
  if (ring.addresses)
    object["addresses"] = {{"descriptor", ring.addresses->descriptor},
                           {"available", ring.addresses->available},
                           {"used", ring.addresses->used}};
  if (ring.logged_at) object["logged_at"] = *ring.logged_at;
  if (ring.counts) object["counts"] = {{"kicks", ring.counts->kicks}, {"calls", ring.counts->calls}};
  return object;
}

Json connection_json(const ConnectionFacts& facts) {
  Json object{{"connection", facts.connection},
              {"name", facts.name},
              {"features", facts.features.bits()},
              {"guest_addresses", facts.guest_addresses},
              {"network", facts.network},
              {"regions", Json::array()},
              {"rings", Json::array()}};
  for (const MemoryFacts& memory : facts.regions) object["regions"].push_back(memory_json(memory));
  for (const RingFacts& ring : facts.rings) object["rings"].push_back(ring_json(ring));
  if (facts.log) object["log"] = log_json(*facts.log);
  return object;
}

// ---- reading

/// Reads keys; the first error of a whole document is kept.
class Reader {
 public:
  std::uint64_t number(const Json& object, const char* key, std::uint64_t most = UINT64_MAX) {
    const Json* const value = find(object, key);
    if (value != nullptr && value->is_number_unsigned() && value->get<std::uint64_t>() <= most)
      return value->get<std::uint64_t>();
    fail(key, "number in its range");
    return 0;
  }
  bool flag(const Json& object, const char* key) {
    const Json* const value = find(object, key);
    if (value != nullptr && value->is_boolean()) return value->get<bool>();
    fail(key, "true or false");
    return false;
  }
  std::string text(const Json& object, const char* key) {
    const Json* const value = find(object, key);
    if (value != nullptr && value->is_string()) return value->get<std::string>().substr(0, name_bytes_max);
    fail(key, "string");
    return {};
  }
  const Json& list(const Json& object, const char* key, std::size_t most) {
    static const Json none = Json::array();
    const Json* const value = find(object, key);
    if (value != nullptr && value->is_array() && value->size() <= most) return *value;
    fail(key, "list, or too long");
    return none;
  }
  /// Null where it is not an object, or not there.
  const Json* object_in(const Json& object, const char* key) const {
    const Json* const value = find(object, key);
    return value != nullptr && value->is_object() ? value : nullptr;
  }
  bool has(const Json& object, const char* key) const { return find(object, key) != nullptr; }
  void fail(const char* key, const char* expected) {
    if (!error_) error_ = make_error(ErrorCode::invalid_argument, "\"{}\" is missing or no {}", key, expected);
  }
  const std::optional<Error>& error() const noexcept { return error_; }

 private:
  static const Json* find(const Json& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto at = object.find(key);
    return at == object.end() ? nullptr : &*at;
  }
  std::optional<Error> error_;
};

int fd_of(Reader& reader, const Json& object) {
  const auto at = object.is_object() ? object.find("fd") : object.end();
  if (object.is_object() && at != object.end() && *at == -1) return -1;
  return static_cast<int>(reader.number(object, "fd", INT_MAX));
}

MemoryFacts read_memory(Reader& reader, const Json& object) {
  MemoryFacts memory;
  memory.region.guest_address = reader.number(object, "guest_address");
  memory.region.front_end_address = reader.number(object, "front_end_address");
  memory.region.size = reader.number(object, "size");
  memory.region.mmap_offset = reader.number(object, "mmap_offset");
  memory.fd = fd_of(reader, object);
  memory.device = reader.number(object, "device");
  memory.inode = reader.number(object, "inode");
  return memory;
}

LogFacts read_log(Reader& reader, const Json& object) {
  return {reader.number(object, "size"), reader.number(object, "offset"), fd_of(reader, object),
          reader.number(object, "device"), reader.number(object, "inode")};
}

RingFacts read_ring(Reader& reader, const Json& object) {
  RingFacts ring;
  ring.index = static_cast<std::uint32_t>(reader.number(object, "ring", UINT32_MAX));
  ring.enabled = reader.flag(object, "enabled");
  ring.started = reader.flag(object, "started");
  if (reader.has(object, "size")) ring.size = static_cast<std::uint32_t>(reader.number(object, "size", UINT32_MAX));
  if (const Json* addresses = reader.object_in(object, "addresses"))
    ring.addresses = RingAddresses{reader.number(*addresses, "descriptor"), reader.number(*addresses, "available"),
                                   reader.number(*addresses, "used")};
  if (reader.has(object, "logged_at")) ring.logged_at = reader.number(object, "logged_at");
  if (const Json* counts = reader.object_in(object, "counts"))
    ring.counts = RingCounts{reader.number(*counts, "kicks"), reader.number(*counts, "calls")};
  return ring;
}

ConnectionFacts read_connection(Reader& reader, const Json& object) {
  ConnectionFacts facts;
  facts.connection = static_cast<std::uint32_t>(reader.number(object, "connection", UINT32_MAX));
  facts.name = reader.text(object, "name");
  facts.features = protocol::FeatureSet(reader.number(object, "features"));
  facts.guest_addresses = reader.flag(object, "guest_addresses");
  facts.network = reader.flag(object, "network");
  for (const Json& memory : reader.list(object, "regions", Session::regions_max))
    facts.regions.push_back(read_memory(reader, memory));
  for (const Json& ring : reader.list(object, "rings", Session::rings_max))
    facts.rings.push_back(read_ring(reader, ring));
  if (const Json* log = reader.object_in(object, "log")) facts.log = read_log(reader, *log);
  return facts;
}

}  // namespace

std::string document_of(const std::vector<ConnectionFacts>& connections) {
  Json object{{"format", format}, {"version", version}, {"connections", Json::array()}};
  for (const ConnectionFacts& facts : connections) object["connections"].push_back(connection_json(facts));
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

Result<std::vector<ConnectionFacts>> connections_of(const std::string& document) {
  const auto object = Json::parse(document, nullptr, false);
  Reader reader;
  if (!object.is_object() || reader.text(object, "format") != format)
    return make_error(ErrorCode::invalid_argument, "not a document of vhostx-probe's rings");
  if (const auto found = reader.number(object, "version", INT_MAX); !reader.error() && found != version)
    return make_error(ErrorCode::unsupported, "a document of version {}, expected {}", found, version);
  std::vector<ConnectionFacts> connections;
  for (const Json& connection : reader.list(object, "connections", published_connections_max))
    connections.push_back(read_connection(reader, connection));
  if (reader.error()) return *reader.error();
  return connections;
}

}  // namespace vhostx::tools::probe
