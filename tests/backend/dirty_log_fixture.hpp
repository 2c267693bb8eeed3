// SPDX-License-Identifier: BSD-3-Clause
// A guest that migrates: its front-end keeps a log of dirty pages, and a copy of all guest memory to compare with.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <unistd.h>
#include <vector>

#include <sys/mman.h>

#include "tests/backend/traffic.hpp"
#include "tests/net/ring_fixture.hpp"
#include "tests/support/log_file.hpp"

namespace vhostx::test {

/// A port, a guest on it whose memory is two regions side by side, and its log.
struct Migration {
  static constexpr std::uint64_t memory_at = 0x4000'0000;
  static constexpr std::uint64_t region_bytes = std::uint64_t{4} << 20;
  static constexpr std::uint64_t log_bytes = (memory_at + 2 * region_bytes) / LogFile::page / 8;

  explicit Migration(std::function<void(PortOptions&)> change = {}, protocol::FeatureSet negotiated = usual_features)
      : fixture(std::move(change)),
        machine(fixture.options.socket_path, 2, {{memory_at, region_bytes}, {memory_at + region_bytes, region_bytes}}),
        features(negotiated) {
    auto protocol_features = usual_protocol_features;
    protocol_features.set(protocol::ProtocolFeature::log_shmfd);
    machine.negotiate(features, protocol_features);
    machine.send_memory();
    machine.start_rings();
    for (int ring = 0; ring < 2; ++ring) fixture.events.until<VringStarted>();
  }

  /// SET_LOG_BASE; the answer.
  std::uint64_t set_log_base(const LogFile& file, std::uint64_t offset = 0) {
    auto message =
        protocol::make_request(protocol::FrontEndRequest::set_log_base, protocol::LogBase{file.bytes(), offset});
    message.add_fd(duplicate(file.fd()));
    return must(machine.front_end().ask(message)).payload_as<protocol::U64>()->value;
  }
  protocol::FeatureSet with_log() const {
    auto all = machine_features();
    all.set(protocol::VirtioFeature::vhost_log_all);
    return all;
  }
  protocol::FeatureSet machine_features() const {
    auto all = features;
    if (tested_kind() == virtqueue::RingKind::packed) all.set(protocol::VirtioFeature::ring_packed);
    all.set(protocol::VirtioFeature::vhost_user_protocol_features);
    return all;
  }
  std::uint64_t set_features(protocol::FeatureSet wanted) {
    return machine.status_of(protocol::FrontEndRequest::set_features, protocol::U64{wanted.bits()});
  }
  std::uint64_t used_address(std::uint16_t ring) { return used_front_end(ring) - guest_to_front_end(); }
  std::uint64_t used_front_end(std::uint16_t ring) { return machine.addresses(ring).used; }
  std::uint64_t guest_to_front_end() { return machine.region(0).front_end_address - machine.region(0).guest_address; }
  /// SET_VRING_ADDR again, with or without VHOST_VRING_F_LOG.
  std::uint64_t log_ring(std::uint16_t ring, bool on) {
    auto addresses = machine.addresses(ring);
    addresses.flags = on ? protocol::vring_log : 0;
    addresses.log = used_address(ring);
    return machine.status_of(protocol::FrontEndRequest::set_vring_addr, addresses);
  }
  /// As QEMU does it.
  void begin() {
    EXPECT_EQ(set_log_base(log), 0U);
    EXPECT_EQ(set_features(with_log()), 0U);
    for (std::uint16_t ring = 0; ring < 2; ++ring) EXPECT_EQ(log_ring(ring, true), 0U);
    look();
  }
  void end() {
    EXPECT_EQ(set_features(machine_features()), 0U);
    for (std::uint16_t ring = 0; ring < 2; ++ring) EXPECT_EQ(log_ring(ring, false), 0U);
  }

  /// Remembers all guest memory, and takes all marks away.
  void look() {
    copy.resize(2 * region_bytes);
    for (std::size_t i = 0; i < 2; ++i)
      std::memcpy(copy.data() + i * region_bytes, machine.guest().at(memory_at + i * region_bytes), region_bytes);
    log.take();
  }
  std::set<std::uint64_t> changed() const {
    std::set<std::uint64_t> pages;
    for (std::uint64_t at = 0; at < copy.size(); at += LogFile::page)
      if (std::memcmp(copy.data() + at, machine_guest().at(memory_at + at), LogFile::page) != 0)
        pages.insert((memory_at + at) / LogFile::page);
    return pages;
  }
  /// Since look(): what has changed is marked, and nothing else. Returns how many pages.
  std::size_t expect_exact(const char* what) {
    const auto pages = changed();
    EXPECT_EQ(log.take(), pages) << what;
    return pages.size();
  }
  const FakeGuest& machine_guest() const { return const_cast<FakeMachine&>(machine).guest(); }

  PortFixture fixture;
  FakeMachine machine;
  protocol::FeatureSet features;
  LogFile log{log_bytes};
  Bytes copy;
};

}  // namespace vhostx::test
