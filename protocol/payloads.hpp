// SPDX-License-Identifier: BSD-3-Clause
// Payloads of messages, in the machine's byte order (vhost-user "Message Specification"). All types are copied by
// memcpy; the compiler adds no padding to any. `wire_bytes`: the length of a payload in the specification.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace vhostx::protocol {

/// A number: features, status, an acknowledgement (0: success), a vring's index with its no-fd bit.
struct U64 {
  static constexpr std::size_t wire_bytes = 8;
  std::uint64_t value = 0;
};

/// In the u64 of SET_VRING_KICK, _CALL and _ERR (vhost-user "SET_VRING_KICK").
inline constexpr std::uint64_t vring_index_mask = 0xff;
inline constexpr std::uint64_t vring_no_fd = std::uint64_t{1} << 8;

/// "A vring state description".
struct VringState {
  static constexpr std::size_t wire_bytes = 8;
  std::uint32_t index = 0;
  std::uint32_t num = 0;
};

/// "A vring address description": addresses in the front-end (with GPA_ADDRESSES in the guest), except `log`, which is
/// always a guest address.
struct VringAddress {
  static constexpr std::size_t wire_bytes = 40;
  std::uint32_t index = 0;
  std::uint32_t flags = 0;  ///< vring_log
  std::uint64_t descriptor = 0;
  std::uint64_t used = 0;
  std::uint64_t available = 0;
  std::uint64_t log = 0;
};
inline constexpr std::uint32_t vring_log = 1;  ///< VHOST_VRING_F_LOG

/// "A memory region description".
struct MemoryRegion {
  std::uint64_t guest_address = 0;
  std::uint64_t size = 0;
  std::uint64_t front_end_address = 0;
  std::uint64_t mmap_offset = 0;
};

inline constexpr std::size_t memory_table_regions_max = 8;

struct MemoryTableHeader {
  static constexpr std::size_t wire_bytes = 8;
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
};

/// "Multiple memory regions description". On the wire: the header and `count` regions, no more.
struct MemoryTablePayload {
  static constexpr std::size_t wire_bytes = 8 + 8 * 32;
  MemoryTableHeader header;
  std::array<MemoryRegion, memory_table_regions_max> regions{};
};

/// "Single memory region description": ADD_MEM_REG, REM_MEM_REG.
struct SingleMemoryRegion {
  static constexpr std::size_t wire_bytes = 40;
  std::uint64_t padding = 0;
  MemoryRegion region;
};

/// "Log description": SET_LOG_BASE.
struct LogBase {
  static constexpr std::size_t wire_bytes = 16;
  std::uint64_t mmap_size = 0;
  std::uint64_t mmap_offset = 0;
};

/// "An IOTLB message". The specification's fields take 26 bytes; peers send 32, the size of Linux's
/// struct vhost_iotlb_msg.
struct IotlbMessage {
  static constexpr std::size_t wire_bytes = 32;
  std::uint64_t iova = 0;
  std::uint64_t size = 0;
  std::uint64_t front_end_address = 0;
  std::uint8_t permissions = 0;  ///< 1 read, 2 write, 3 both
  std::uint8_t type = 0;         ///< 1 miss, 2 update, 3 invalidate, 4 access failed
  std::array<std::uint8_t, 6> padding{};
};

inline constexpr std::size_t config_bytes_max = 256;

struct ConfigHeader {
  static constexpr std::size_t wire_bytes = 12;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t flags = 0;  ///< 0 writable fields, 1 migration
};

/// "Virtio device config space". On the wire: the header and `size` bytes, no more.
struct Config {
  static constexpr std::size_t wire_bytes = 12 + 256;
  ConfigHeader header;
  std::array<std::uint8_t, config_bytes_max> bytes{};
};

/// "Inflight description". The specification's fields take 20 bytes; peers send 24, the size of the C struct.
struct Inflight {
  static constexpr std::size_t wire_bytes = 24;
  std::uint64_t mmap_size = 0;
  std::uint64_t mmap_offset = 0;
  std::uint16_t queue_count = 0;
  std::uint16_t queue_size = 0;
  std::uint32_t padding = 0;
};

/// "VhostUserShared": the object that a UUID names.
struct SharedObject {
  static constexpr std::size_t wire_bytes = 16;
  std::array<std::uint8_t, 16> uuid{};
};

/// "Device state transfer parameters".
struct DeviceState {
  static constexpr std::size_t wire_bytes = 8;
  std::uint32_t direction = 0;  ///< 0 save (back-end to front-end), 1 load
  std::uint32_t phase = 0;      ///< 0 stopped
};

/// "Vring area description": VRING_HOST_NOTIFIER_MSG.
struct VringArea {
  static constexpr std::size_t wire_bytes = 24;
  std::uint64_t vring = 0;  ///< index and vring_no_fd
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};

/// Reply to GET_SHMEM_CONFIG.
struct SharedMemoryConfig {
  static constexpr std::size_t wire_bytes = 2056;
  std::uint32_t region_count = 0;
  std::uint32_t padding = 0;
  std::array<std::uint64_t, 256> sizes{};
};

/// SHMEM_MAP and SHMEM_UNMAP.
struct SharedMemoryMap {
  static constexpr std::size_t wire_bytes = 40;
  std::uint8_t region_id = 0;
  std::array<std::uint8_t, 7> padding{};
  std::uint64_t fd_offset = 0;
  std::uint64_t region_offset = 0;
  std::uint64_t length = 0;
  std::uint64_t flags = 0;
};

/// Types that may be copied into and out of a message, unlike a span or string that happens to be trivial.
template <typename T>
concept Payload = sizeof(T) == T::wire_bytes&& std::is_trivially_copyable_v<T>&& std::is_standard_layout_v<T>;

static_assert(sizeof(MemoryRegion) == 32);
static_assert(Payload<U64> && Payload<VringState> && Payload<VringAddress> && Payload<MemoryTableHeader> &&
              Payload<MemoryTablePayload> && Payload<SingleMemoryRegion> && Payload<LogBase> && Payload<IotlbMessage> &&
              Payload<ConfigHeader> && Payload<Config> && Payload<Inflight> && Payload<SharedObject> &&
              Payload<DeviceState> && Payload<VringArea> && Payload<SharedMemoryConfig> && Payload<SharedMemoryMap>);

}  // namespace vhostx::protocol
