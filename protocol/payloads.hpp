// SPDX-License-Identifier: BSD-3-Clause
// Payloads of messages, in the machine's byte order (vhost-user "Message Specification"). All types are copied by
// memcpy; the compiler adds no padding to any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace vhostx::protocol {

/// A number: features, status, an acknowledgement (0: success), a vring's index with its no-fd bit.
struct U64 {
  std::uint64_t value = 0;
};

/// In the u64 of SET_VRING_KICK, _CALL and _ERR (vhost-user "SET_VRING_KICK").
inline constexpr std::uint64_t vring_index_mask = 0xff;
inline constexpr std::uint64_t vring_no_fd = std::uint64_t{1} << 8;

/// "A vring state description".
struct VringState {
  std::uint32_t index = 0;
  std::uint32_t num = 0;
};

/// "A vring address description": addresses in the front-end (with GPA_ADDRESSES in the guest), except `log`, which is
/// always a guest address.
struct VringAddress {
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
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
};

/// "Multiple memory regions description". On the wire: the header and `count` regions, no more.
struct MemoryTablePayload {
  MemoryTableHeader header;
  std::array<MemoryRegion, memory_table_regions_max> regions{};
};

/// "Single memory region description": ADD_MEM_REG, REM_MEM_REG.
struct SingleMemoryRegion {
  std::uint64_t padding = 0;
  MemoryRegion region;
};

/// "Log description": SET_LOG_BASE.
struct LogBase {
  std::uint64_t mmap_size = 0;
  std::uint64_t mmap_offset = 0;
};

/// "An IOTLB message". The specification's fields take 26 bytes; peers send 32, the size of Linux's
/// struct vhost_iotlb_msg.
struct IotlbMessage {
  std::uint64_t iova = 0;
  std::uint64_t size = 0;
  std::uint64_t front_end_address = 0;
  std::uint8_t permissions = 0;  ///< 1 read, 2 write, 3 both
  std::uint8_t type = 0;         ///< 1 miss, 2 update, 3 invalidate, 4 access failed
  std::array<std::uint8_t, 6> padding{};
};

inline constexpr std::size_t config_bytes_max = 256;

struct ConfigHeader {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t flags = 0;  ///< 0 writable fields, 1 migration
};

/// "Virtio device config space". On the wire: the header and `size` bytes, no more.
struct Config {
  ConfigHeader header;
  std::array<std::uint8_t, config_bytes_max> bytes{};
};

/// "Inflight description". The specification's fields take 20 bytes; peers send 24, the size of the C struct.
struct Inflight {
  std::uint64_t mmap_size = 0;
  std::uint64_t mmap_offset = 0;
  std::uint16_t queue_count = 0;
  std::uint16_t queue_size = 0;
  std::uint32_t padding = 0;
};

/// "VhostUserShared": the object that a UUID names.
struct SharedObject {
  std::array<std::uint8_t, 16> uuid{};
};

/// "Device state transfer parameters".
struct DeviceState {
  std::uint32_t direction = 0;  ///< 0 save (back-end to front-end), 1 load
  std::uint32_t phase = 0;      ///< 0 stopped
};

/// "Vring area description": VRING_HOST_NOTIFIER_MSG.
struct VringArea {
  std::uint64_t vring = 0;  ///< index and vring_no_fd
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};

/// Reply to GET_SHMEM_CONFIG.
struct SharedMemoryConfig {
  std::uint32_t region_count = 0;
  std::uint32_t padding = 0;
  std::array<std::uint64_t, 256> sizes{};
};

/// SHMEM_MAP and SHMEM_UNMAP.
struct SharedMemoryMap {
  std::uint8_t region_id = 0;
  std::array<std::uint8_t, 7> padding{};
  std::uint64_t fd_offset = 0;
  std::uint64_t region_offset = 0;
  std::uint64_t length = 0;
  std::uint64_t flags = 0;
};

// As long as the specification says.
static_assert(sizeof(U64) == 8 && sizeof(VringState) == 8 && sizeof(VringAddress) == 40 && sizeof(MemoryRegion) == 32);
static_assert(sizeof(MemoryTableHeader) == 8 && sizeof(MemoryTablePayload) == 8 + 8 * 32);
static_assert(sizeof(SingleMemoryRegion) == 40 && sizeof(LogBase) == 16 && sizeof(IotlbMessage) == 32);
static_assert(sizeof(ConfigHeader) == 12 && sizeof(Config) == 12 + 256 && sizeof(Inflight) == 24);
static_assert(sizeof(SharedObject) == 16 && sizeof(DeviceState) == 8 && sizeof(VringArea) == 24);
static_assert(sizeof(SharedMemoryConfig) == 2056 && sizeof(SharedMemoryMap) == 40);

template <typename T, typename... Ts>
inline constexpr bool is_one_of = (std::is_same_v<T, Ts> || ...);

/// Types that may be copied into and out of a message, unlike a span or string that happens to be trivial.
template <typename T>
concept Payload = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> &&
    is_one_of<T, U64, VringState, VringAddress, MemoryTableHeader, MemoryTablePayload, SingleMemoryRegion, LogBase,
              IotlbMessage, ConfigHeader, Config, Inflight, SharedObject, DeviceState, VringArea, SharedMemoryConfig,
              SharedMemoryMap>;

}  // namespace vhostx::protocol
