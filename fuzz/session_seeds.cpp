// SPDX-License-Identifier: BSD-3-Clause
// Writes fuzz_session's seeds: whole lives of front-ends, as QEMU, virtio-user and in-band ones lead them.
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "fuzz/session_input.hpp"
#include "protocol/features.hpp"
#include "protocol/payloads.hpp"
#include "protocol/requests.hpp"

using namespace vhostx::protocol;
using namespace vhostx::fuzz;
using Request = FrontEndRequest;

namespace {

constexpr std::uint64_t guest_base = 0x40000000;
constexpr std::uint64_t front_end_base = 0x7f0000000000;

class Life {
 public:
  explicit Life(bool packed = false) : packed_(packed) {}

  template <typename T>
  Life& send(Request request, const T& payload, std::uint8_t how_bits = how(false)) {
    add_record(input_, static_cast<std::uint8_t>(request), how_bits, std::as_bytes(std::span(&payload, 1)));
    return *this;
  }
  Life& send(Request request, std::uint8_t how_bits = how(false)) {
    add_record(input_, static_cast<std::uint8_t>(request), how_bits);
    return *this;
  }
  Life& act(std::uint8_t what) {
    add_record(input_, what, 0);
    return *this;
  }

  /// The guest writes into its memory.
  template <typename T>
  Life& poke(std::uint16_t offset, const T& value) {
    std::vector<std::byte> bytes{static_cast<std::byte>(offset & 0xff), static_cast<std::byte>(offset >> 8)};
    const auto raw = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), raw.begin(), raw.end());
    add_record(input_, record_memory, 0, bytes);
    return *this;
  }
  /// One buffer for the ring whose areas begin at `offset`: of 2 KiB to be filled, or a packet of 64 bytes. In a packed
  /// ring it is the `number`th.
  Life& buffer(std::uint16_t offset, std::uint16_t place, bool writable, std::uint16_t number = 1) {
    struct {
      std::uint64_t address;
      std::uint32_t length;
      std::uint16_t flags;  // in a packed ring the id
      std::uint16_t next;   // in a packed ring the flags
    } descriptor{guest_base + place, writable ? 2048U : 76U, static_cast<std::uint16_t>(writable ? 2 : 0), 0};
    if (packed_) {
      descriptor.next = static_cast<std::uint16_t>(descriptor.flags | 0x80);
      descriptor.flags = 0x1234;
      return poke(static_cast<std::uint16_t>(offset + 16 * (number - 1)), descriptor);
    }
    const std::array<std::uint16_t, 3> avail{0, 1, 0};  // flags, idx, the first head
    return poke(offset, descriptor).poke(static_cast<std::uint16_t>(offset + 1024), avail);
  }
  Life& negotiate(ProtocolFeatureSet protocol) {
    if (protocol.has(ProtocolFeature::gpa_addresses)) user_base_ = 0;
    return send(Request::get_features)
        .send(Request::get_protocol_features)
        .send(Request::set_protocol_features, U64{protocol.bits()})
        .send(Request::set_owner)
        .send(Request::set_features, U64{features().bits()});
  }
  /// Packets each way again: the `number`th buffer of each ring of packet_each_way() is the one that it had before.
  Life& another_packet_each_way(std::uint16_t number) {
    if (packed_)
      return buffer(0, 0x8000, true, number).buffer(4096, 0x9000, false, number).act(record_kick).act(record_data);
    const std::array<std::uint16_t, 2> avail{0, number};
    return poke(1024, avail).poke(4096 + 1024, avail).act(record_kick).act(record_data);
  }
  Life& log_base(FdKind file = FdKind::log, std::uint64_t size = log_bytes, std::uint64_t offset = 0) {
    return send(Request::set_log_base, LogBase{size, offset}, how(false, file, 1));
  }
  /// What is wrong ends the connection where no reply is asked for.
  Life& wrong_log_base(FdKind file, std::uint64_t size, std::uint64_t offset = 0) {
    return send(Request::set_log_base, LogBase{size, offset}, how(true, file, 1));
  }
  Life& log_all(bool on = true) {
    const FeatureSet all = on ? features() | FeatureSet{VirtioFeature::vhost_log_all} : features();
    return send(Request::set_features, U64{all.bits()}, how(true));
  }
  Life& log_ring(std::uint32_t index, std::uint64_t offset, bool on = true) {
    const std::uint64_t at = front_end_base + offset;
    return send(Request::set_vring_addr,
                VringAddress{index, on ? vring_log : 0, at, at + 2048, at + 1024, guest_base + offset + 2048},
                how(true));
  }
  Life& log_rings(bool on = true) { return log_ring(0, 0, on).log_ring(1, 4096, on); }
  /// As QEMU begins and ends a migration, on running rings.
  Life& begin_logging() { return log_base().log_all().log_rings(); }
  Life& end_logging() { return log_all(false).log_rings(false); }
  Life& log_size(std::uint16_t bytes) {
    add_record(input_, record_log_size, 0, std::as_bytes(std::span(&bytes, 1)));
    return *this;
  }
  Life& state(std::uint32_t direction) {
    return send(Request::set_device_state_fd, DeviceState{direction, 0}, how(false, FdKind::pipe, 1));
  }
  /// What was saved, with `bytes` at the offset in place of what was there.
  Life& bring_state(std::uint16_t offset, std::span<const std::byte> bytes = {}) {
    std::vector<std::byte> content{static_cast<std::byte>(offset & 0xff), static_cast<std::byte>(offset >> 8)};
    content.insert(content.end(), bytes.begin(), bytes.end());
    add_record(input_, record_state, 0, content);
    return *this;
  }
  Life& memory_table() {
    struct {
      MemoryTableHeader header{1, 0};
      MemoryRegion region;
    } table;
    table.region = {guest_base, memory_bytes, user_base_, 0};
    return send(Request::set_mem_table, table, how(true, FdKind::memory, 1));
  }
  Life& slot(std::uint64_t offset, std::uint64_t size, Request request = Request::add_mem_reg) {
    return send(request,
                SingleMemoryRegion{0, {guest_base + offset, size, user_base_ == 0 ? 0 : user_base_ + offset, offset}},
                how(true, FdKind::memory, 1));
  }
  Life& ring(std::uint32_t index, std::uint64_t offset) { return ring(index, offset, 64, packed_ ? 0x8000'8000 : 0); }
  Life& ring(std::uint32_t index, std::uint64_t offset, std::uint32_t size, std::uint32_t base) {
    const std::uint64_t at = (user_base_ == 0 ? guest_base : user_base_) + offset;
    return send(Request::set_vring_num, VringState{index, size})
        .send(Request::set_vring_base, VringState{index, base})
        .send(Request::set_vring_addr, VringAddress{index, 0, at, at + 2048, at + 1024, 0});
  }
  Life& fds(std::uint64_t index) {
    return send(Request::set_vring_kick, U64{index}, how(false, FdKind::event_fd, 1))
        .send(Request::set_vring_call, U64{index}, how(false, FdKind::event_fd, 1))
        .send(Request::set_vring_err, U64{index}, how(false, FdKind::event_fd, 1))
        .send(Request::set_vring_enable, VringState{static_cast<std::uint32_t>(index), 1}, how(true));
  }
  Life& packet_each_way() {
    return buffer(0, 0x8000, true)
        .buffer(4096, 0x9000, false)
        .ring(0, 0)
        .fds(0)
        .ring(1, 4096)
        .fds(1)
        .act(record_kick)
        .act(record_data);
  }
  Life& stop(std::uint32_t index) { return send(Request::get_vring_base, VringState{index, 0}); }

  void write(const std::filesystem::path& folder, const std::string& name) const {
    std::ofstream(folder / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(input_.data()), static_cast<std::streamsize>(input_.size()));
  }

 private:
  FeatureSet features() const {
    FeatureSet all{VirtioFeature::version_1, VirtioFeature::net_mrg_rxbuf, VirtioFeature::event_idx,
                   VirtioFeature::vhost_user_protocol_features};
    return all.set(VirtioFeature::ring_packed, packed_);
  }

  bool packed_;
  std::vector<std::byte> input_;
  std::uint64_t user_base_ = front_end_base;  // 0: with GPA_ADDRESSES
};

constexpr ProtocolFeatureSet all{ProtocolFeature::mq,
                                 ProtocolFeature::rarp,
                                 ProtocolFeature::reply_ack,
                                 ProtocolFeature::mtu,
                                 ProtocolFeature::backend_req,
                                 ProtocolFeature::reset_device,
                                 ProtocolFeature::configure_mem_slots,
                                 ProtocolFeature::status};
constexpr ProtocolFeatureSet migrates = all | ProtocolFeatureSet{ProtocolFeature::log_shmfd};

/// A guest that migrates, before it does.
Life guest_with_packets(bool packed, ProtocolFeatureSet protocol = migrates) {
  return Life(packed).negotiate(protocol).memory_table().packet_each_way();
}

void write_migrations(const std::filesystem::path& folder, bool packed) {
  const auto named = [packed](const char* name) { return (packed ? "packed_" : "") + std::string(name); };
  guest_with_packets(packed)
      .begin_logging()
      .send(Request::set_log_fd, how(false, FdKind::event_fd, 1))
      .another_packet_each_way(2)
      .log_base(FdKind::memory_sealed, memory_bytes)  // memory has grown: another log
      .another_packet_each_way(3)
      .stop(0)
      .stop(1)
      .send(Request::set_status, U64{0}, how(true))
      .write(folder, named("log"));
  guest_with_packets(packed)
      .begin_logging()
      .another_packet_each_way(2)
      .end_logging()
      .another_packet_each_way(3)
      .begin_logging()
      .log_ring(0, 0, false)
      .another_packet_each_way(4)
      .log_all(false)
      .log_all()
      .another_packet_each_way(5)
      .write(folder, named("log_toggles"));
  // A device that starts while logging is on: the log comes after the kicks.
  Life(packed)
      .negotiate(migrates)
      .log_all()
      .memory_table()
      .packet_each_way()
      .log_rings()
      .act(record_data)
      .log_base()
      .act(record_data)
      .another_packet_each_way(2)
      .write(folder, named("log_comes_late"));
  guest_with_packets(packed)
      .log_base(FdKind::log, 0x8000)  // ends where memory begins
      .log_all()
      .another_packet_each_way(2)
      .wrong_log_base(FdKind::memory_small, log_bytes)
      .wrong_log_base(FdKind::log, log_bytes, 4096)
      .wrong_log_base(FdKind::log, 0)
      .wrong_log_base(FdKind::pipe, log_bytes)
      .begin_logging()
      .wrong_log_base(FdKind::log, 8)
      .another_packet_each_way(3)
      .write(folder, named("log_too_small"));
  guest_with_packets(packed)
      .begin_logging()
      .another_packet_each_way(2)
      .log_size(4096)
      .another_packet_each_way(3)  // ends the connection
      .write(folder, named("log_shrinks"));
  guest_with_packets(packed)
      .log_base(FdKind::memory, memory_bytes)
      .log_all()
      .log_rings()
      .another_packet_each_way(2)
      .another_packet_each_way(3)
      .write(folder, named("log_in_guest_memory"));
  const std::array<std::byte, 1> damage{std::byte{0xa5}};
  guest_with_packets(packed, migrates | ProtocolFeatureSet{ProtocolFeature::device_state})
      .state(0)  // while rings run
      .stop(0)
      .stop(1)
      .state(0)
      .send(Request::check_device_state)
      .state(1)
      .bring_state(0)
      .send(Request::check_device_state)
      .state(1)
      .bring_state(40, damage)
      .send(Request::check_device_state)
      .fds(0)
      .fds(1)
      .another_packet_each_way(2)
      .write(folder, named("device_state_moves"));
}

// Where a packed ring goes on: as it was answered, in the form of older front-ends, anew, outside.
void write_packed_rings(const std::filesystem::path& folder) {
  Life(true)
      .negotiate(all)
      .memory_table()
      .packet_each_way()
      .act(record_data)
      .stop(1)
      .stop(0)
      .write(folder, "packed_packets");
  guest_with_packets(true)
      .stop(0)
      .stop(1)
      .ring(0, 0, 64, 0x8001'8001)
      .fds(0)
      .ring(1, 4096, 64, 0x0000'8001)
      .fds(1)
      .another_packet_each_way(2)
      .stop(0)
      .stop(1)
      .ring(0, 0, 64, 0)
      .fds(0)
      .ring(1, 4096, 64, 0x8000'8000)
      .fds(1)
      .another_packet_each_way(3)
      .stop(1)
      .ring(1, 4096, 3, 0x8040'8040)
      .fds(1)
      .act(record_data)
      .write(folder, "packed_bases");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: session_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);

  Life()
      .negotiate(all)
      .memory_table()
      .ring(0, 0)
      .fds(0)
      .ring(1, 4096)
      .fds(1)
      .act(record_kick)
      .act(record_data)
      .stop(0)
      .stop(1)
      .write(folder, "virtio_user");
  Life()
      .negotiate(all)
      .send(Request::set_backend_req_fd, how(true, FdKind::socket, 1))
      .send(Request::net_set_mtu, U64{1500}, how(true))
      .slot(0, 32768)
      .slot(32768, 32768)
      .ring(0, 0)
      .ring(1, 32768)
      .fds(0)
      .fds(1)
      .act(record_kick)
      .send(Request::send_rarp, U64{0x060504030201})
      .send(Request::set_status, U64{15}, how(true))
      .slot(32768, 32768, Request::rem_mem_reg)
      .act(record_data)
      .send(Request::set_status, U64{0}, how(true))
      .stop(0)
      .write(folder, "qemu");
  Life()
      .negotiate(all | ProtocolFeatureSet{ProtocolFeature::inband_notifications})
      .send(Request::set_backend_req_fd, how(true, FdKind::socket, 1))
      .memory_table()
      .ring(1, 0)
      .send(Request::set_vring_kick, U64{1 | vring_no_fd})
      .send(Request::vring_kick, VringState{1, 0}, how(true))
      .send(Request::reset_device, how(true))
      .write(folder, "in_band");
  Life().negotiate(all).memory_table().packet_each_way().act(record_data).stop(1).stop(0).write(folder, "packets");
  Life()
      .negotiate(all | ProtocolFeatureSet{ProtocolFeature::gpa_addresses})
      .slot(0, 32768)
      .slot(32768, 32768)
      .packet_each_way()
      .slot(32768, 32768, Request::rem_mem_reg)
      .act(record_data)
      .stop(1)
      .stop(0)
      .write(folder, "guest_addresses");
  Life()
      .send(Request::set_features, U64{0})
      .memory_table()
      .ring(2, 0)
      .send(Request::set_vring_kick, U64{2 | vring_no_fd})
      .act(record_data)
      .memory_table()
      .stop(2)
      .write(folder, "old_and_polled");
  Life()
      .negotiate(all | ProtocolFeatureSet{ProtocolFeature::device_state})
      .send(Request::set_device_state_fd, DeviceState{0, 0}, how(false, FdKind::pipe, 1))
      .send(Request::check_device_state)
      .send(Request::set_device_state_fd, DeviceState{1, 0}, how(false, FdKind::pipe, 1))
      .send(Request::check_device_state)
      .write(folder, "device_state");
  for (const bool packed : {false, true}) write_migrations(folder, packed);
  write_packed_rings(folder);
  return 0;
}
