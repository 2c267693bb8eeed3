// SPDX-License-Identifier: BSD-3-Clause
// Messages as text. It runs on messages that failed their checks too, so it reads no more than their bytes.
#include "protocol/describe.hpp"

#include <algorithm>
#include <iterator>

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

std::string text_of_iotlb(const IotlbMessage& iotlb) {
  return fmt::format("type {} iova {:#x} size {:#x} uva {:#x} permissions {}", iotlb.type, iotlb.iova, iotlb.size,
                     iotlb.front_end_address, iotlb.permissions);
}

std::string text_of_inflight(const Inflight& inflight) {
  return fmt::format("size {:#x} offset {:#x} queues {} of {}", inflight.mmap_size, inflight.mmap_offset,
                     inflight.queue_count, inflight.queue_size);
}

std::string text_of_area(const VringArea& area) {
  return fmt::format("{} size {:#x} offset {:#x}", text_of_vring_fd(area.vring), area.size, area.offset);
}

std::string text_of_map(const SharedMemoryMap& map) {
  return fmt::format("region {} at {:#x} length {:#x} from offset {:#x} flags {:#x}", map.region_id, map.region_offset,
                     map.length, map.fd_offset, map.flags);
}

template <Payload T>
T as(const Message& message) {
  return message.payload_padded_as<T>();
}

std::string text_of_payload(PayloadKind kind, const Message& message) {
  const std::uint64_t number = as<U64>(message).value;
  switch (kind) {
    case PayloadKind::none:
      return {};
    case PayloadKind::u64:
      return fmt::format("{}", number);
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
    case PayloadKind::vring_state: {
      const auto state = as<VringState>(message);
      return fmt::format("vring {} num {}", state.index, state.num);
    }
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
    case PayloadKind::config: {
      const auto config = as<ConfigHeader>(message);
      return fmt::format("offset {} size {} flags {}", config.offset, config.size, config.flags);
    }
    case PayloadKind::inflight:
      return text_of_inflight(as<Inflight>(message));
    case PayloadKind::shared_object:
      return fmt::format("{:02x}", fmt::join(as<SharedObject>(message).uuid, ""));
    case PayloadKind::device_state: {
      const auto state = as<DeviceState>(message);
      return fmt::format("direction {} phase {}", state.direction, state.phase);
    }
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

}  // namespace

std::string describe(Incoming incoming, const Message& message) {
  std::string text = request_name(incoming, message.request());
  if (is_reply(incoming)) text += " reply";
  const RequestRow* row = find_row(incoming, message.request());
  const std::string payload = text_of_payload(kind_of(incoming, row, message.payload().size()), message);
  if (!payload.empty()) text += " " + payload;
  if (message.fd_count() > 0) text += fmt::format(" descriptors {}", message.fd_count());
  if (!is_reply(incoming) && message.needs_reply()) text += " need_reply";
  return text;
}

}  // namespace vhostx::protocol
