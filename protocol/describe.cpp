// SPDX-License-Identifier: BSD-3-Clause
// Messages as text. It runs on messages that failed their checks too, so it reads no more than their bytes.
#include "protocol/describe.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "protocol/payloads.hpp"

namespace vhostx::protocol {
namespace {

std::string text_of(const MemoryRegion& region) {
  return fmt::format("gpa {:#x} size {:#x} uva {:#x} offset {:#x}", region.guest_address, region.size,
                     region.front_end_address, region.mmap_offset);
}

std::string text_of_vring_fd(std::uint64_t value) {
  return fmt::format("vring {}{}", value & vring_index_mask, (value & vring_no_fd) != 0 ? " no descriptor" : "");
}

std::string text_of_table(const Message& message) {
  const auto table = message.payload_padded_as<MemoryTablePayload>();
  const std::size_t present = message.payload().size() < sizeof(MemoryTableHeader)
                                  ? 0
                                  : (message.payload().size() - sizeof(MemoryTableHeader)) / sizeof(MemoryRegion);
  std::string text = fmt::format("regions {}", table.header.count);
  const std::size_t shown = std::min<std::size_t>({table.header.count, present, table.regions.size()});
  for (std::size_t i = 0; i < shown; ++i) text += " [" + text_of(table.regions[i]) + "]";
  return text;
}

std::string text_of_mac(std::uint64_t value) {
  std::array<std::uint8_t, 8> mac;
  std::memcpy(mac.data(), &value, sizeof value);
  return fmt::format("{:02x}", fmt::join(mac.begin(), mac.begin() + 6, ":"));
}

std::string text_of_address(const VringAddress& address) {
  return fmt::format("vring {} descriptors {:#x} avail {:#x} used {:#x}{}", address.index, address.descriptor,
                     address.available, address.used,
                     (address.flags & vring_log) != 0 ? fmt::format(" log {:#x}", address.log) : "");
}

/// The word of a number that counts from 0; of one that has none, the number.
template <std::size_t N>
std::string word_of(std::uint64_t value, const std::array<std::string_view, N>& words) {
  return value < N ? std::string(words[value]) : fmt::format("{}", value);
}

std::string text_of_iotlb(const IotlbMessage& iotlb) {
  static constexpr std::array<std::string_view, 7> types{"type 0",        "miss",        "update",   "invalidate",
                                                         "access failed", "batch begin", "batch end"};
  static constexpr std::array<std::string_view, 4> permissions{"none", "read", "write", "read+write"};
  return fmt::format("{} iova {:#x} size {:#x} uva {:#x} permissions {}", word_of(iotlb.type, types), iotlb.iova,
                     iotlb.size, iotlb.front_end_address, word_of(iotlb.permissions, permissions));
}

/// What the number beside the index means depends on the request; GET_VRING_BASE, kicks and calls have none.
std::string text_of_vring_state(Incoming incoming, std::uint32_t request, const VringState& state) {
  static constexpr std::array<std::string_view, 2> enable{"disable", "enable"};
  static constexpr std::array<std::string_view, 2> endian{"little-endian", "big-endian"};
  std::string vring = fmt::format("vring {}", state.index);
  if (is_of_back_end(incoming)) return vring;
  switch (static_cast<FrontEndRequest>(request)) {
    case FrontEndRequest::set_vring_num:
      return fmt::format("{} num {}", vring, state.num);
    case FrontEndRequest::set_vring_enable:
      return fmt::format("{} {}", vring, word_of(state.num, enable));
    case FrontEndRequest::set_vring_endian:
      return fmt::format("{} {}", vring, word_of(state.num, endian));
    case FrontEndRequest::get_vring_base:
    case FrontEndRequest::get_vring_base_skip_drain:
      if (!is_reply(incoming)) return vring;
      [[fallthrough]];
    case FrontEndRequest::set_vring_base:
      return fmt::format("{} base {}", vring, state.num);
    default:
      return vring;
  }
}

/// vhost-user "SET_DEVICE_STATE_FD": the low 8 bits are 0 where it worked; bit 8: no descriptor came with the answer.
std::string text_of_device_state_answer(std::uint64_t value) {
  const std::uint64_t error = value & 0xff;
  std::string text = error == 0 ? std::string("success") : fmt::format("error {}", error);
  if ((value & 0x100) != 0) text += ", no descriptor: use the one that came with the request";
  return text;
}

std::string text_of_config(const ConfigHeader& config) {
  static constexpr std::array<std::string_view, 2> uses{"writable fields", "migration"};
  return fmt::format("offset {} size {} for {}", config.offset, config.size, word_of(config.flags, uses));
}

std::string text_of_inflight(const Inflight& inflight) {
  return fmt::format("size {:#x} offset {:#x} queues {} of {}", inflight.mmap_size, inflight.mmap_offset,
                     inflight.queue_count, inflight.queue_size);
}

std::string text_of_area(const VringArea& area) {
  return fmt::format("{} size {:#x} offset {:#x}", text_of_vring_fd(area.vring), area.size, area.offset);
}

std::string text_of_map(const SharedMemoryMap& map) {
  static constexpr std::array<std::string_view, 2> access{"read-only", "read-write"};
  return fmt::format("region {} at {:#x} length {:#x} from offset {:#x} {}", map.region_id, map.region_offset,
                     map.length, map.fd_offset, word_of(map.flags, access));
}

template <Payload T>
T as(const Message& message) {
  return message.payload_padded_as<T>();
}

std::string text_of_payload(Incoming incoming, PayloadKind kind, const Message& message) {
  const std::uint64_t number = as<U64>(message).value;
  switch (kind) {
    case PayloadKind::none:
      return {};
    case PayloadKind::u64:
      return fmt::format("{}", number);
    case PayloadKind::device_status:
      return fmt::format("{:#x} ({})", number, describe_status(number));
    case PayloadKind::device_state_answer:
      return text_of_device_state_answer(number);
    case PayloadKind::status:
      return number == 0 ? std::string("success") : fmt::format("error {}", number);
    case PayloadKind::features:
      return fmt::format("{:#x} ({})", number, to_string(FeatureSet(number)));
    case PayloadKind::protocol_features:
      return fmt::format("{:#x} ({})", number, to_string(ProtocolFeatureSet(number)));
    case PayloadKind::mac:
      return text_of_mac(number);
    case PayloadKind::vring_fd:
      return text_of_vring_fd(number);
    case PayloadKind::vring_state:
      return text_of_vring_state(incoming, message.request(), as<VringState>(message));
    case PayloadKind::vring_address:
      return text_of_address(as<VringAddress>(message));
    case PayloadKind::memory_table:
      return text_of_table(message);
    case PayloadKind::memory_region:
      return text_of(as<SingleMemoryRegion>(message).region);
    case PayloadKind::log_base: {
      const auto log = as<LogBase>(message);
      return fmt::format("size {:#x} offset {:#x}", log.mmap_size, log.mmap_offset);
    }
    case PayloadKind::iotlb:
      return text_of_iotlb(as<IotlbMessage>(message));
    case PayloadKind::config:
      return text_of_config(as<ConfigHeader>(message));
    case PayloadKind::inflight:
      return text_of_inflight(as<Inflight>(message));
    case PayloadKind::shared_object:
      return fmt::format("{:02x}", fmt::join(as<SharedObject>(message).uuid, ""));
    case PayloadKind::device_state:
      return describe(as<DeviceState>(message));
    case PayloadKind::vring_area:
      return text_of_area(as<VringArea>(message));
    case PayloadKind::shared_memory_config:
      return fmt::format("regions {}", as<SharedMemoryConfig>(message).region_count);
    case PayloadKind::shared_memory_map:
      return text_of_map(as<SharedMemoryMap>(message));
    case PayloadKind::opaque:
      break;
  }
  return fmt::format("{} bytes", message.payload().size());
}

PayloadKind kind_of(Incoming incoming, const RequestRow* row, std::size_t bytes) {
  if (row == nullptr) return PayloadKind::opaque;
  if (!is_reply(incoming)) return row->payload.kind;
  // Where a status may stand for something longer, its length tells.
  const bool status = bytes == sizeof(U64) && row->reply_payload.max > sizeof(U64);
  return status ? PayloadKind::status : row->reply_payload.kind;
}

struct StatusBit {
  std::uint64_t mask;
  std::string_view name;
};
/// VIRTIO 1.2, 2.1, in the order in which a driver sets them.
constexpr StatusBit status_bits[] = {{0x01, "ACKNOWLEDGE"}, {0x02, "DRIVER"},      {0x08, "FEATURES_OK"},
                                     {0x04, "DRIVER_OK"},   {0x40, "NEEDS_RESET"}, {0x80, "FAILED"}};

}  // namespace

std::string describe_status(std::uint64_t status) {
  if (status == 0) return "reset";
  std::string text;
  for (const StatusBit& bit : status_bits) {
    if ((status & bit.mask) == 0) continue;
    if (!text.empty()) text += '|';
    text += bit.name;
    status &= ~bit.mask;
  }
  if (status != 0) text += fmt::format("{}{:#x}", text.empty() ? "" : "|", status);
  return text;
}

std::string describe(const DeviceState& state) {
  static constexpr std::array<std::string_view, 2> directions{"save", "load"};
  static constexpr std::array<std::string_view, 1> phases{"stopped"};
  return fmt::format("{} phase {}", word_of(state.direction, directions), word_of(state.phase, phases));
}

std::string describe(Incoming incoming, const Message& message) {
  std::string text = request_name(incoming, message.request());
  if (is_reply(incoming)) text += " reply";
  const RequestRow* row = find_row(incoming, message.request());
  const std::string payload = text_of_payload(incoming, kind_of(incoming, row, message.payload().size()), message);
  if (!payload.empty()) text += " " + payload;
  if (message.fd_count() > 0) text += fmt::format(" descriptors {}", message.fd_count());
  if (!is_reply(incoming) && message.needs_reply()) text += " need_reply";
  return text;
}

}  // namespace vhostx::protocol
