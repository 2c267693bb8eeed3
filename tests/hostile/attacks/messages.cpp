// SPDX-License-Identifier: BSD-3-Clause
// Messages whose header, length or number is wrong, or that this back-end does not serve.
#include <algorithm>
#include <array>
#include <cstring>

#include "tests/hostile/attacker.hpp"

namespace vhostx::hostile {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr std::uint32_t v1 = Header::version_1;
constexpr std::uint32_t id(Request request) { return static_cast<std::uint32_t>(request); }

/// A header alone; payload follows as far as it is said to be short enough.
Attack header_attack(const char* name, Header header, const char* reason) {
  return {std::string("messages.") + name, "", closed(reason), [header](Attacker& attacker) {
            attacker.raw(header, std::min<std::size_t>(header.size, 8));
          }};
}

/// A request with this payload of zeros, refused with an acknowledgement.
Attack payload_attack(const char* name, std::string cve, Request request, std::size_t bytes, const char* reason) {
  return {std::string("messages.") + name, std::move(cve), closed(reason), [request, bytes](Attacker& attacker) {
            attacker.guest();
            attacker.wrong(make_message({id(request), v1, static_cast<std::uint32_t>(bytes)},
                                        std::vector<std::byte>(bytes)));
          }};
}

void add_headers(Attacks& attacks) {
  const auto features = id(Request::set_features);
  attacks.push_back(header_attack("version-0", {features, 0, 8}, "version"));
  attacks.push_back(header_attack("version-2", {features, 2, 8}, "version"));
  attacks.push_back(header_attack("version-3", {features, 3, 8}, "version"));
  attacks.push_back(header_attack("reply-flag-on-a-request", {features, v1 | Header::reply, 8}, "reply"));
  attacks.push_back(header_attack("size-4-gib", {features, v1, 0xffffffff}, "bytes"));
  attacks.push_back(header_attack("size-2-gib", {features, v1, 0x80000000}, "bytes"));
  attacks.push_back(header_attack("size-64-kib", {features, v1, 65536}, "bytes"));
  attacks.push_back(payload_attack("features-of-4-bytes", "", Request::set_features, 4, "SET_FEATURES"));
}

}  // namespace

void add_message_attacks(Attacks& attacks) { add_headers(attacks); }

}  // namespace vhostx::hostile
