// SPDX-License-Identifier: BSD-3-Clause
// GET_CONFIG, SET_CONFIG and their replies, which the library's back-end neither sends nor serves.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "protocol/codec.hpp"
#include "protocol/message.hpp"
#include "protocol/payloads.hpp"
#include "protocol/requests.hpp"

namespace vhostx::protocol {

/// A message whose payload is `config` and `bytes`, at most config_bytes_max (asserted); config.size is set.
inline Message make_config_message(const Header& header, ConfigHeader config, std::span<const std::byte> bytes) {
  assert(bytes.size() <= config_bytes_max);
  config.size = static_cast<std::uint32_t>(bytes.size());
  Config payload{config, {}};
  if (!bytes.empty()) std::memcpy(payload.bytes.data(), bytes.data(), bytes.size());
  return make_message(header, std::as_bytes(std::span(&payload, 1)).first(sizeof(ConfigHeader) + bytes.size()));
}

inline Message make_config_request(FrontEndRequest request, const ConfigHeader& header,
                                   std::span<const std::byte> bytes, bool need_reply = false) {
  return make_config_message(make_request(request, need_reply).header(), header, bytes);
}

inline Message make_config_reply(const Header& request, const ConfigHeader& header, std::span<const std::byte> bytes) {
  return make_config_message(make_reply(request, std::span<const std::byte>()).header(), header, bytes);
}

}  // namespace vhostx::protocol
