// SPDX-License-Identifier: BSD-3-Clause
// The one table of messages: what each is called, how long it is, which descriptors it brings, how it is answered,
// what must have been negotiated and when it is legal. Decoder, session, printing and the fuzzers' dictionary read it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <vhostx/result.hpp>

#include "protocol/features.hpp"
#include "protocol/requests.hpp"

namespace vhostx::protocol {

/// The kind of a payload; payloads.hpp has the types.
enum class PayloadKind : std::uint8_t {
  none,
  u64,
  status,               ///< u64; of an acknowledgement: 0 is success.
  device_status,        ///< u64: bits of VIRTIO 1.2, 2.1.
  device_state_answer,  ///< u64: what SET_DEVICE_STATE_FD is answered with.
  features,             ///< u64
  protocol_features,    ///< u64
  mac,                  ///< u64 whose first six bytes are an Ethernet address.
  vring_fd,             ///< u64: a vring's index and vring_no_fd.
  vring_state,
  vring_address,
  memory_table,
  memory_region,
  log_base,
  iotlb,
  config,
  inflight,
  shared_object,
  device_state,
  vring_area,
  shared_memory_config,
  shared_memory_map,
  opaque,  ///< Bytes that this library does not interpret.
};

/// What is in a payload and how long it may be: min, min + step, ... max bytes.
struct PayloadShape {
  PayloadKind kind = PayloadKind::none;
  std::uint32_t min = 0;
  std::uint32_t max = 0;
  std::uint32_t step = 1;

  constexpr bool allows(std::uint32_t size) const noexcept {
    return size >= min && size <= max && (size - min) % step == 0;
  }
};

/// How many descriptors come with it. What the payload says of them (memory table, no-fd bit) codec.hpp checks.
struct FdCount {
  std::uint8_t min = 0;
  std::uint8_t max = 0;

  constexpr bool allows(std::size_t count) const noexcept { return count >= min && count <= max; }
};

enum class ReplyKind : std::uint8_t {
  ack,     ///< A u64 (0: success), and that only with REPLY_ACK negotiated and NEED_REPLY set.
  always,  ///< A reply of its own, whatever the flags say.
};

/// Facts about a session. A row names those that must hold and those that must not. "The ring" is the one that the
/// message's payload names.
enum class Fact : std::uint8_t {
  ring_configured,  ///< The ring has its size and its addresses.
  ring_started,     ///< The ring was started and not stopped since.
  backend_socket,   ///< SET_BACKEND_REQ_FD came.
};
using FactSet = BitSet<Fact>;

struct RequestRow {
  std::uint32_t id = 0;
  std::string_view name{};  ///< As the specification has it, e.g. "SET_MEM_TABLE".
  PayloadShape payload{};
  FdCount fds{};
  ReplyKind reply = ReplyKind::ack;
  PayloadShape reply_payload{PayloadKind::status, 8, 8, 1};
  FdCount reply_fds{};
  std::optional<ProtocolFeature> protocol_feature{};  ///< Must be negotiated, or
  bool offer_suffices = false;                        ///< ... it is enough that the back-end offered it.
  std::optional<VirtioFeature> virtio_feature{};      ///< Must be offered by the back-end: see check_legal().
  FactSet needs{};                                    ///< All of these must hold.
  FactSet forbids{};                                  ///< None of these may hold.
};

/// By id, ascending, without gaps from 1.
std::span<const RequestRow> front_end_rows() noexcept;
std::span<const RequestRow> back_end_rows() noexcept;

/// Null for a number that the table does not have.
const RequestRow* find_front_end_row(std::uint32_t id) noexcept;
const RequestRow* find_back_end_row(std::uint32_t id) noexcept;

inline const RequestRow& row_of(FrontEndRequest request) noexcept {
  return *find_front_end_row(static_cast<std::uint32_t>(request));
}
inline const RequestRow& row_of(BackEndRequest request) noexcept {
  return *find_back_end_row(static_cast<std::uint32_t>(request));
}

/// What was agreed so far, for check_legal().
struct Agreement {
  FeatureSet features_offered;                   ///< What GET_FEATURES answers.
  ProtocolFeatureSet protocol_features_offered;  ///< What GET_PROTOCOL_FEATURES answers.
  ProtocolFeatureSet protocol_features;          ///< From SET_PROTOCOL_FEATURES.
  FactSet facts;
};

/// Whether the request may come now: its features, then its facts. The error names the request and what is missing.
/// Virtio features count once offered, because QEMU sends SET_VRING_ENABLE and NET_SET_MTU before SET_FEATURES.
Result<void> check_legal(const RequestRow& row, const Agreement& agreement);

}  // namespace vhostx::protocol
