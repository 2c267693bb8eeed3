// SPDX-License-Identifier: BSD-3-Clause
// Each message lists its fields once, in visit_fields(): a Writer and a Reader go through the same list.
#include "continuity/keeper_protocol.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/error.hpp"

namespace vhostx::continuity {
namespace {

constexpr std::size_t header_bytes = 8;  // u16 type, u16 zero, u32 tag

class Writer {
 public:
  template <typename T>
  void number(T value) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
  }
  template <typename E>
  void choice(E value, std::uint32_t) {
    number(static_cast<std::uint32_t>(value));
  }
  void flag(bool value) { number<std::uint32_t>(value ? 1 : 0); }
  void text(const std::string& text, std::size_t min, std::size_t max) {
    assert(text.size() >= min && text.size() <= max);
    static_cast<void>(min), static_cast<void>(max);
    number(static_cast<std::uint16_t>(text.size()));
    const auto* const bytes = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), bytes, bytes + text.size());
  }
  void slots(const std::vector<std::uint32_t>& slots, std::size_t max) {
    assert(slots.size() <= max);
    static_cast<void>(max);
    number(static_cast<std::uint32_t>(slots.size()));
    for (const auto slot : slots) number(slot);
  }
  void bytes(const std::vector<std::byte>& bytes, std::size_t max) {
    assert(bytes.size() <= max);
    static_cast<void>(max);
    number(static_cast<std::uint32_t>(bytes.size()));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  std::vector<std::byte> take() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// After the first fault everything that is read is 0 or empty, and the fault stays.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

  const char* fault() const noexcept { return fault_; }
  std::size_t rest() const noexcept { return rest_.size(); }

  template <typename T>
  void number(T& value) {
    value = 0;
    if (const auto bytes = take(sizeof value); !bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
  }
  template <typename E>
  void choice(E& value, std::uint32_t last) {
    std::uint32_t number_of = 0;
    number(number_of);
    if (number_of > last) return fail("a choice is unknown");
    value = static_cast<E>(number_of);
  }
  void flag(bool& value) {
    std::uint32_t number_of = 0;
    number(number_of);
    if (number_of > 1) return fail("a flag is neither 0 nor 1");
    value = number_of == 1;
  }
  void text(std::string& text, std::size_t min, std::size_t max) {
    std::uint16_t length = 0;
    number(length);
    if (fault_ != nullptr) return;
    if (length < min || length > max) return fail("a text is too short or too long");
    const auto bytes = take(length);
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.find('\0') != std::string::npos) fail("a text has a zero byte");
  }
  void slots(std::vector<std::uint32_t>& slots, std::size_t max) {
    std::uint32_t count = 0;
    number(count);
    if (count > max) return fail("a list of slots is too long");
    for (; count != 0 && fault_ == nullptr; --count) {
      std::uint32_t slot = 0;
      number(slot);
      if (!slots.empty() && slot <= slots.back()) return fail("slots are not in ascending order");
      slots.push_back(slot);
    }
  }
  void bytes(std::vector<std::byte>& bytes, std::size_t max) {
    std::uint32_t count = 0;
    number(count);
    if (count > max) return fail("a row of bytes is too long");
    const auto taken = take(count);
    bytes.assign(taken.begin(), taken.end());
  }

 private:
  void fail(const char* fault) noexcept {
    if (fault_ == nullptr) fault_ = fault;
    rest_ = {};
  }
  std::span<const std::byte> take(std::size_t count) noexcept {
    if (count > rest_.size()) {
      fail("it ends too early");
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  std::span<const std::byte> rest_;
  const char* fault_ = nullptr;
};

template <typename Coder, typename Name>
void visit_name(Coder& coder, Name& name) {
  coder.text(name, 1, name_bytes_max);
}

// `Self` is the message, constant for a Writer.
template <typename Coder, typename Self>
void visit_fields(Coder& coder, Self& self) {
  using T = std::remove_const_t<Self>;
  if constexpr (requires { self.name; } && !std::is_same_v<T, Failed>) visit_name(coder, self.name);
  if constexpr (requires { self.version; }) coder.number(self.version);
  if constexpr (requires { self.how; }) coder.choice(self.how, static_cast<std::uint32_t>(ClaimHow::hand_over));
  if constexpr (requires { self.slot; }) coder.number(self.slot);
  if constexpr (std::is_same_v<T, Look>) coder.number(self.offset);
  if constexpr (std::is_same_v<T, Shown>) coder.bytes(self.bytes, shown_bytes_max);
  if constexpr (std::is_same_v<T, Park>) coder.number(self.grace_ms);
  if constexpr (std::is_base_of_v<Granted, T>) {
    coder.number(self.total);
    coder.number(self.first);
    coder.slots(self.slots, granted_fds_max);
  }
  if constexpr (std::is_same_v<T, Refused> || std::is_same_v<T, Settled>) coder.number(self.owner_pid);
  if constexpr (std::is_same_v<T, YieldAsked>) coder.number(self.asker_pid);
  if constexpr (std::is_same_v<T, ListEnd>) coder.number(self.bundles);
  if constexpr (std::is_same_v<T, Listed>) {
    auto& bundle = self.bundle;
    visit_name(coder, bundle.name);
    coder.slots(bundle.slots, slots_max);
    coder.flag(bundle.owned);
    coder.number(bundle.owner_pid);
    coder.number(bundle.front_end_pid);
    coder.number(bundle.front_end_ms);
    coder.number(bundle.owner_ms);
    coder.number(bundle.grace_ms);
  }
  if constexpr (std::is_same_v<T, Failed>) {
    coder.choice(self.request, static_cast<std::uint32_t>(PacketType::prepare));
    coder.choice(self.code, static_cast<std::uint32_t>(ErrorCode::timed_out));
    coder.text(self.name, 0, name_bytes_max);
    coder.text(self.text, 0, text_bytes_max);
  }
}

template <typename Body>
std::vector<std::byte> encode_any(const Tagged<Body>& message) {
  Writer writer;
  std::visit(
      [&](const auto& body) {
        writer.number(static_cast<std::uint16_t>(body.type));
        writer.number(std::uint16_t{0});
        writer.number(message.tag);
        visit_fields(writer, body);
      },
      message.body);
  auto bytes = std::move(writer).take();
  assert(bytes.size() <= packet_bytes_max);
  return bytes;
}

/// Makes `body` the alternative of this type; false: there is none.
template <typename Body, std::size_t... I>
bool choose(Body& body, std::uint16_t type, std::index_sequence<I...>) {
  const auto is = [&]<typename T>(std::in_place_type_t<T>) {
    if (type != static_cast<std::uint16_t>(T::type)) return false;
    body.template emplace<T>();
    return true;
  };
  return (is(std::in_place_type<std::variant_alternative_t<I, Body>>) || ...);
}

template <typename Body>
Result<Tagged<Body>> decode_any(std::span<const std::byte> packet, std::size_t fds) {
  if (packet.size() < header_bytes || packet.size() > packet_bytes_max)
    return protocol_violation("a packet has {} bytes, expected {} to {}", packet.size(), header_bytes,
                              packet_bytes_max);
  Reader reader(packet);
  Tagged<Body> message;
  std::uint16_t type = 0;
  std::uint16_t zero = 0;
  reader.number(type);
  reader.number(zero);
  reader.number(message.tag);
  if (zero != 0) return protocol_violation("a packet's reserved bytes are {}, expected 0", zero);
  if (!choose(message.body, type, std::make_index_sequence<std::variant_size_v<Body>>()))
    return protocol_violation("a packet has the unknown type {}", type);
  const char* const name = to_string(static_cast<PacketType>(type));
  std::visit([&](auto& body) { visit_fields(reader, body); }, message.body);
  if (reader.fault() != nullptr) return protocol_violation("{}: {}", name, reader.fault());
  if (reader.rest() != 0) return protocol_violation("{}: {} bytes too many", name, reader.rest());
  if (const auto expected = fds_of(message.body); fds != expected)
    return protocol_violation("{}: {} descriptors came, expected {}", name, fds, expected);
  return message;
}

const char* fault_of(const Granted& grant) noexcept {
  const auto count = static_cast<std::uint32_t>(grant.slots.size());
  if (grant.total > slots_max) return "more slots than a bundle has";
  if (grant.first > grant.total || count > grant.total - grant.first) return "more slots than it says in all";
  return count == 0 && grant.total != 0 ? "no slots" : nullptr;
}

}  // namespace

const char* to_string(PacketType type) noexcept {
  constexpr const char* requests[] = {"HELLO", "CLAIM", "CANCEL", "HOLD", "DROP", "FORGET", "RELEASE",
                                      "PARK",  "LIST",  "SETTLE", "ASK",  "LOOK", "PREPARE"};
  constexpr const char* replies[] = {"WELCOME",  "GRANTED",          "REFUSED", "YIELD",   "CANCELLED",
                                     "LISTED",   "LIST_END",         "FAILED",  "SETTLED", "SHOWN",
                                     "PREPARED", "GRANTED_PREPARED", "CHANGED"};
  const auto number = static_cast<std::uint16_t>(type);
  if (number >= 1 && number <= std::size(requests)) return requests[number - 1];
  if (number >= 101 && number < 101 + std::size(replies)) return replies[number - 101];
  return "UNKNOWN";
}

std::vector<std::byte> encode(const Tagged<Request>& request) { return encode_any(request); }
std::vector<std::byte> encode(const Tagged<Reply>& reply) { return encode_any(reply); }

Result<Tagged<Request>> decode_request(std::span<const std::byte> packet, std::size_t fds) {
  return decode_any<Request>(packet, fds);
}

Result<Tagged<Reply>> decode_reply(std::span<const std::byte> packet, std::size_t fds) {
  auto reply = decode_any<Reply>(packet, fds);
  if (!reply) return reply;
  const Granted* const grant = grant_of(reply->body);
  const char* const fault = grant != nullptr ? fault_of(*grant) : nullptr;
  if (fault != nullptr) return protocol_violation("{}: {}", to_string(type_of(reply->body)), fault);
  return reply;
}

std::size_t fds_of(const Request& request) noexcept { return std::holds_alternative<Hold>(request) ? 1 : 0; }

std::size_t fds_of(const Reply& reply) noexcept {
  const Granted* const grant = grant_of(reply);
  return grant != nullptr ? grant->slots.size() : 0;
}

const Granted* grant_of(const Reply& reply) noexcept {
  if (const auto* const prepared = std::get_if<Prepared>(&reply)) return prepared;
  return std::get_if<Granted>(&reply);
}

PacketType type_of(const Request& request) noexcept {
  return std::visit([](const auto& body) { return body.type; }, request);
}
PacketType type_of(const Reply& reply) noexcept {
  return std::visit([](const auto& body) { return body.type; }, reply);
}

const std::string& name_of(const Request& request) noexcept {
  static const std::string none;
  return std::visit(
      [](const auto& body) -> const std::string& {
        if constexpr (requires { body.name; })
          return body.name;
        else
          return none;
      },
      request);
}

Result<void> check_name(std::string_view name) {
  if (name.empty() || name.size() > name_bytes_max)
    return invalid_argument("the name of a bundle has {} bytes, expected 1 to {}", name.size(), name_bytes_max);
  if (name.find('\0') != std::string_view::npos)
    return invalid_argument("the name of a bundle has a zero byte, expected none");
  return {};
}

}  // namespace vhostx::continuity
