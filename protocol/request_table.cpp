// SPDX-License-Identifier: BSD-3-Clause
// The rows (vhost-user "Front-end message types", "Back-end message types"), and whether one may come now.
#include "protocol/request_table.hpp"

#include <iterator>

#include "base/error.hpp"
#include "protocol/message.hpp"
#include "protocol/payloads.hpp"

namespace vhostx::protocol {
namespace {

using Kind = PayloadKind;
using Shape = PayloadShape;

template <typename T>
consteval Shape exactly(Kind kind) {
  return {kind, sizeof(T), sizeof(T), 1};
}

constexpr Shape number = exactly<U64>(Kind::u64);
constexpr Shape status = exactly<U64>(Kind::status);
constexpr Shape device_status = exactly<U64>(Kind::device_status);
constexpr Shape feature_bits = exactly<U64>(Kind::features);
constexpr Shape protocol_bits = exactly<U64>(Kind::protocol_features);
constexpr Shape vring_fd = exactly<U64>(Kind::vring_fd);
constexpr Shape vring_state = exactly<VringState>(Kind::vring_state);
constexpr Shape memory_table{Kind::memory_table, sizeof(MemoryTableHeader), sizeof(MemoryTablePayload),
                             sizeof(MemoryRegion)};
constexpr Shape region = exactly<SingleMemoryRegion>(Kind::memory_region);
// In post-copy ADD_MEM_REG and SET_MEM_TABLE are answered with the back-end's addresses, else with a status.
constexpr Shape region_or_status{Kind::memory_region, sizeof(U64), sizeof(SingleMemoryRegion), sizeof(MemoryRegion)};
// The answers to SET_LOG_BASE differ between back-ends: nothing, a status, or the request's own 16 bytes.
constexpr Shape log_or_status{Kind::log_base, 0, sizeof(LogBase), sizeof(U64)};
// 26 bytes as the specification lists the fields, 32 as C pads them.
constexpr Shape iotlb{Kind::iotlb, 26, sizeof(IotlbMessage), 6};
// 20 bytes as the specification lists the fields, 24 as C pads them.
constexpr Shape inflight{Kind::inflight, 20, sizeof(Inflight), 4};
constexpr Shape config{Kind::config, sizeof(ConfigHeader), sizeof(Config), 1};
// "uses zero length of payload to indicate an error": some back-ends leave out the header too.
constexpr Shape config_or_nothing{Kind::config, 0, sizeof(Config), 1};
constexpr Shape object = exactly<SharedObject>(Kind::shared_object);
// The answer's content is its descriptor; back-ends send the request's payload back, a status, or nothing.
constexpr Shape object_or_nothing{Kind::opaque, 0, sizeof(SharedObject), sizeof(U64)};
// Differs between the crypto front-ends; only its bound matters here.
constexpr Shape crypto_session{Kind::opaque, 1, 4096, 1};
constexpr Shape shared_memory_map = exactly<SharedMemoryMap>(Kind::shared_memory_map);

constexpr FdCount one_fd{1, 1};
constexpr FdCount optional_fd{0, 1};
constexpr FdCount fd_a_region{0, memory_table_regions_max};

constexpr auto always = ReplyKind::always;

consteval std::uint32_t id(FrontEndRequest request) { return static_cast<std::uint32_t>(request); }
consteval std::uint32_t id(BackEndRequest request) { return static_cast<std::uint32_t>(request); }

using Pf = ProtocolFeature;
using Fr = FrontEndRequest;
using Br = BackEndRequest;
constexpr auto bit_30 = VirtioFeature::vhost_user_protocol_features;

// No row needs SET_OWNER or SET_FEATURES first: the specification asks for neither, QEMU sets call descriptors and
// enables rings before SET_FEATURES, and the oldest front-ends never send it. Sizes and bases are refused on a started
// ring; addresses are not, because QEMU sends them again on running rings when it starts to log.
// "Present in GET_PROTOCOL_FEATURES" (MQ, RARP, MTU, BACKEND_REQ) is an offer, not a negotiation.
// clang-format off
constexpr RequestRow front_end_table[] = {
    {.id = id(Fr::get_features), .name = "GET_FEATURES", .reply = always, .reply_payload = feature_bits},
    {.id = id(Fr::set_features), .name = "SET_FEATURES", .payload = feature_bits},
    {.id = id(Fr::set_owner), .name = "SET_OWNER"},
    {.id = id(Fr::reset_owner), .name = "RESET_OWNER"},
    {.id = id(Fr::set_mem_table), .name = "SET_MEM_TABLE", .payload = memory_table, .fds = fd_a_region,
     .reply_payload = memory_table},
    {.id = id(Fr::set_log_base), .name = "SET_LOG_BASE", .payload = exactly<LogBase>(Kind::log_base), .fds = one_fd,
     .reply = always, .reply_payload = log_or_status, .protocol_feature = Pf::log_shmfd},
    {.id = id(Fr::set_log_fd), .name = "SET_LOG_FD", .fds = one_fd},
    {.id = id(Fr::set_vring_num), .name = "SET_VRING_NUM", .payload = vring_state, .forbids = {Fact::ring_started}},
    {.id = id(Fr::set_vring_addr), .name = "SET_VRING_ADDR", .payload = exactly<VringAddress>(Kind::vring_address)},
    {.id = id(Fr::set_vring_base), .name = "SET_VRING_BASE", .payload = vring_state, .forbids = {Fact::ring_started}},
    {.id = id(Fr::get_vring_base), .name = "GET_VRING_BASE", .payload = vring_state, .reply = always,
     .reply_payload = vring_state},
    {.id = id(Fr::set_vring_kick), .name = "SET_VRING_KICK", .payload = vring_fd, .fds = optional_fd,
     .needs = {Fact::ring_configured}},
    {.id = id(Fr::set_vring_call), .name = "SET_VRING_CALL", .payload = vring_fd, .fds = optional_fd},
    {.id = id(Fr::set_vring_err), .name = "SET_VRING_ERR", .payload = vring_fd, .fds = optional_fd},
    {.id = id(Fr::get_protocol_features), .name = "GET_PROTOCOL_FEATURES", .reply = always,
     .reply_payload = protocol_bits, .virtio_feature = bit_30},
    {.id = id(Fr::set_protocol_features), .name = "SET_PROTOCOL_FEATURES", .payload = protocol_bits,
     .virtio_feature = bit_30},
    {.id = id(Fr::get_queue_num), .name = "GET_QUEUE_NUM", .reply = always, .reply_payload = number,
     .protocol_feature = Pf::mq, .offer_suffices = true},
    {.id = id(Fr::set_vring_enable), .name = "SET_VRING_ENABLE", .payload = vring_state, .virtio_feature = bit_30},
    {.id = id(Fr::send_rarp), .name = "SEND_RARP", .payload = exactly<U64>(Kind::mac), .protocol_feature = Pf::rarp,
     .offer_suffices = true},
    {.id = id(Fr::net_set_mtu), .name = "NET_SET_MTU", .payload = number, .protocol_feature = Pf::mtu,
     .offer_suffices = true, .virtio_feature = VirtioFeature::net_mtu},
    {.id = id(Fr::set_backend_req_fd), .name = "SET_BACKEND_REQ_FD", .fds = one_fd, .protocol_feature = Pf::backend_req,
     .offer_suffices = true},
    // An answer that QEMU does not wait for, without REPLY_ACK, would be taken for the next request's.
    {.id = id(Fr::iotlb_msg), .name = "IOTLB_MSG", .payload = iotlb, .virtio_feature = VirtioFeature::iommu_platform},
    {.id = id(Fr::set_vring_endian), .name = "SET_VRING_ENDIAN", .payload = vring_state,
     .protocol_feature = Pf::cross_endian, .forbids = {Fact::ring_started}},
    {.id = id(Fr::get_config), .name = "GET_CONFIG", .payload = config, .reply = always,
     .reply_payload = config_or_nothing, .protocol_feature = Pf::config},
    {.id = id(Fr::set_config), .name = "SET_CONFIG", .payload = config, .protocol_feature = Pf::config},
    {.id = id(Fr::create_crypto_session), .name = "CREATE_CRYPTO_SESSION", .payload = crypto_session, .reply = always,
     .reply_payload = crypto_session, .protocol_feature = Pf::crypto_session},
    {.id = id(Fr::close_crypto_session), .name = "CLOSE_CRYPTO_SESSION", .payload = number,
     .protocol_feature = Pf::crypto_session},
    {.id = id(Fr::postcopy_advise), .name = "POSTCOPY_ADVISE", .reply = always, .reply_payload = {},
     .reply_fds = one_fd, .protocol_feature = Pf::pagefault},
    {.id = id(Fr::postcopy_listen), .name = "POSTCOPY_LISTEN", .protocol_feature = Pf::pagefault},
    {.id = id(Fr::postcopy_end), .name = "POSTCOPY_END", .reply = always, .reply_payload = status,
     .protocol_feature = Pf::pagefault},
    {.id = id(Fr::get_inflight_fd), .name = "GET_INFLIGHT_FD", .payload = inflight, .reply = always,
     .reply_payload = inflight, .reply_fds = optional_fd, .protocol_feature = Pf::inflight_shmfd},
    {.id = id(Fr::set_inflight_fd), .name = "SET_INFLIGHT_FD", .payload = inflight, .fds = one_fd,
     .protocol_feature = Pf::inflight_shmfd},
    {.id = id(Fr::gpu_set_socket), .name = "GPU_SET_SOCKET", .fds = one_fd},
    {.id = id(Fr::reset_device), .name = "RESET_DEVICE", .protocol_feature = Pf::reset_device},
    {.id = id(Fr::vring_kick), .name = "VRING_KICK", .payload = vring_state,
     .protocol_feature = Pf::inband_notifications, .needs = {Fact::ring_configured}},
    {.id = id(Fr::get_max_mem_slots), .name = "GET_MAX_MEM_SLOTS", .reply = always, .reply_payload = number,
     .protocol_feature = Pf::configure_mem_slots},
    {.id = id(Fr::add_mem_reg), .name = "ADD_MEM_REG", .payload = region, .fds = one_fd,
     .reply_payload = region_or_status, .protocol_feature = Pf::configure_mem_slots},
    // "For compatibility with existing incorrect implementations" a descriptor may come, and is closed unused.
    {.id = id(Fr::rem_mem_reg), .name = "REM_MEM_REG", .payload = region, .fds = optional_fd,
     .protocol_feature = Pf::configure_mem_slots},
    {.id = id(Fr::set_status), .name = "SET_STATUS", .payload = device_status, .protocol_feature = Pf::status},
    {.id = id(Fr::get_status), .name = "GET_STATUS", .reply = always, .reply_payload = device_status,
     .protocol_feature = Pf::status},
    {.id = id(Fr::get_shared_object), .name = "GET_SHARED_OBJECT", .payload = object, .reply = always,
     .reply_payload = object_or_nothing, .reply_fds = optional_fd, .protocol_feature = Pf::shared_object},
    {.id = id(Fr::set_device_state_fd), .name = "SET_DEVICE_STATE_FD",
     .payload = exactly<DeviceState>(Kind::device_state), .fds = one_fd, .reply = always,
     .reply_payload = exactly<U64>(Kind::device_state_answer), .reply_fds = optional_fd,
     .protocol_feature = Pf::device_state},
    {.id = id(Fr::check_device_state), .name = "CHECK_DEVICE_STATE", .reply = always, .reply_payload = status,
     .protocol_feature = Pf::device_state},
    {.id = id(Fr::get_shmem_config), .name = "GET_SHMEM_CONFIG", .reply = always,
     .reply_payload = exactly<SharedMemoryConfig>(Kind::shared_memory_config), .protocol_feature = Pf::shmem},
    {.id = id(Fr::get_vring_base_skip_drain), .name = "GET_VRING_BASE_SKIP_DRAIN", .payload = vring_state,
     .reply = always, .reply_payload = vring_state, .protocol_feature = Pf::get_vring_base_skip_drain},
};

constexpr RequestRow back_end_table[] = {
    {.id = id(Br::iotlb_msg), .name = "BACKEND_IOTLB_MSG", .payload = iotlb,
     .virtio_feature = VirtioFeature::iommu_platform, .needs = {Fact::backend_socket}},
    {.id = id(Br::config_change_msg), .name = "BACKEND_CONFIG_CHANGE_MSG", .protocol_feature = Pf::config,
     .needs = {Fact::backend_socket}},
    {.id = id(Br::vring_host_notifier_msg), .name = "BACKEND_VRING_HOST_NOTIFIER_MSG",
     .payload = exactly<VringArea>(Kind::vring_area), .fds = optional_fd, .protocol_feature = Pf::host_notifier,
     .needs = {Fact::backend_socket}},
    {.id = id(Br::vring_call), .name = "BACKEND_VRING_CALL", .payload = vring_state,
     .protocol_feature = Pf::inband_notifications, .needs = {Fact::backend_socket}},
    {.id = id(Br::vring_err), .name = "BACKEND_VRING_ERR", .payload = vring_state,
     .protocol_feature = Pf::inband_notifications, .needs = {Fact::backend_socket}},
    {.id = id(Br::shared_object_add), .name = "BACKEND_SHARED_OBJECT_ADD", .payload = object,
     .protocol_feature = Pf::shared_object, .needs = {Fact::backend_socket}},
    {.id = id(Br::shared_object_remove), .name = "BACKEND_SHARED_OBJECT_REMOVE", .payload = object,
     .protocol_feature = Pf::shared_object, .needs = {Fact::backend_socket}},
    {.id = id(Br::shared_object_lookup), .name = "BACKEND_SHARED_OBJECT_LOOKUP", .payload = object, .reply = always,
     .reply_payload = status, .reply_fds = optional_fd, .protocol_feature = Pf::shared_object,
     .needs = {Fact::backend_socket}},
    {.id = id(Br::shmem_map), .name = "BACKEND_SHMEM_MAP", .payload = shared_memory_map, .fds = one_fd,
     .protocol_feature = Pf::shmem, .needs = {Fact::backend_socket}},
    {.id = id(Br::shmem_unmap), .name = "BACKEND_SHMEM_UNMAP", .payload = shared_memory_map,
     .protocol_feature = Pf::shmem, .needs = {Fact::backend_socket}},
};
// clang-format on

consteval bool sound(std::span<const RequestRow> table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    const RequestRow& row = table[i];
    if (row.id != i + 1 || row.payload.max > payload_bytes_max || row.reply_payload.max > payload_bytes_max)
      return false;
    if (row.payload.min > row.payload.max || row.payload.step == 0 || row.fds.max > fds_max) return false;
    if (row.reply_payload.min > row.reply_payload.max || row.reply_payload.step == 0) return false;
  }
  return true;
}
static_assert(std::size(front_end_table) == 45 && sound(front_end_table));
static_assert(std::size(back_end_table) == 10 && sound(back_end_table));

const RequestRow* find(std::span<const RequestRow> table, std::uint32_t number_of_request) noexcept {
  return number_of_request >= 1 && number_of_request <= table.size() ? &table[number_of_request - 1] : nullptr;
}

struct FactTexts {
  Fact fact;
  std::string_view missing;
  std::string_view in_the_way;
};
constexpr FactTexts fact_texts[] = {
    {Fact::ring_configured, "expected SET_VRING_NUM and SET_VRING_ADDR first",
     "expected a ring without size and addresses"},
    {Fact::ring_started, "expected a started ring", "expected a stopped ring (GET_VRING_BASE first)"},
    {Fact::backend_socket, "expected SET_BACKEND_REQ_FD first", "expected no SET_BACKEND_REQ_FD before"},
};

Error illegal(const RequestRow& row, std::string_view why) { return protocol_violation("{}: {}", row.name, why); }

}  // namespace

std::span<const RequestRow> front_end_rows() noexcept { return front_end_table; }
std::span<const RequestRow> back_end_rows() noexcept { return back_end_table; }

const RequestRow* find_front_end_row(std::uint32_t request) noexcept { return find(front_end_table, request); }
const RequestRow* find_back_end_row(std::uint32_t request) noexcept { return find(back_end_table, request); }

Result<void> check_legal(const RequestRow& row, const Agreement& agreement) {
  if (row.virtio_feature && !agreement.features_offered.has(*row.virtio_feature))
    return illegal(row, feature_name(*row.virtio_feature) + " was not offered");
  if (row.protocol_feature) {
    const ProtocolFeature feature = *row.protocol_feature;
    const auto& agreed = row.offer_suffices ? agreement.protocol_features_offered : agreement.protocol_features;
    if (!agreed.has(feature))
      return illegal(row, feature_name(feature) + (row.offer_suffices ? " was not offered" : " was not negotiated"));
  }
  for (const FactTexts& texts : fact_texts) {
    const bool holds = agreement.facts.has(texts.fact);
    if (row.needs.has(texts.fact) && !holds) return illegal(row, texts.missing);
    if (row.forbids.has(texts.fact) && holds) return illegal(row, texts.in_the_way);
  }
  return {};
}

}  // namespace vhostx::protocol
