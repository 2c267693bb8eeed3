// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/bench_port.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

#include "protocol/payloads.hpp"
#include "protocol/requests.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::bench {
namespace {

using protocol::FrontEndRequest;

constexpr std::uint64_t guest_base = 0x4000'0000;
constexpr std::uint64_t protocol_features_bit = 1ULL << 30;

template <typename T>
T must(Result<T> result, const char* what) {
  if (!result) {
    std::fprintf(stderr, "bench: %s: %s\n", what, result.error().message.c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

std::vector<test::FakeGuest::Region> regions_of(const BenchOptions& options) {
  // Room for rings and for a buffer of each size in each ring; regions beyond the first have gaps between them.
  const std::size_t buffer = options.packet_bytes + 4096;
  const std::size_t total = std::size_t{2} * options.ring_size * buffer + (1 << 20);
  const std::size_t each = (total / options.regions + 2 * buffer + 4095) / 4096 * 4096;
  std::vector<test::FakeGuest::Region> regions;
  for (std::uint64_t i = 0; i < options.regions; ++i) regions.push_back({guest_base + i * 2 * each, each});
  return regions;
}

}  // namespace

BenchPort::BenchPort(const BenchOptions& options) : options_(options), guest_(regions_of(options)) {
  lay_out(receive_, true);
  lay_out(transmit_, false);
  connect();
  configure(0, receive_);
  configure(1, transmit_);
  // Started rings are what the caller wants; there is no event to wait for in a bench that has no handler.
  while (!to_guest().state().started || !from_guest().state().started || !from_guest().state().enabled)
    std::this_thread::yield();
}

BenchPort::~BenchPort() = default;

void BenchPort::lay_out(Ring& ring, bool writable) {
  const bool indirect = options_.shape == Shape::indirect;
  const auto table_size = static_cast<std::uint16_t>(options_.ring_size);
  ring.driver = std::make_unique<test::FakeDriver>(guest_, table_size, virtqueue::RingFeatures{.indirect = true});
  if (!options_.interrupts) ring.driver->avail_flags() = virtqueue::AvailRing::no_interrupt_flag;
  const std::uint16_t flags = writable ? virtqueue::Descriptor::write_flag : 0;
  const std::uint16_t chains = options_.shape == Shape::two_descriptors ? table_size / 2 : table_size;
  for (std::uint16_t i = 0; i < chains; ++i) {
    const std::uint32_t room = writable ? std::max(2048U, options_.packet_bytes + 64) : options_.packet_bytes;
    const std::uint64_t header = guest_.allocate(12 + room, 64);
    auto chain = ring.driver->chain();
    if (indirect) chain.indirect();
    if (options_.shape == Shape::one_descriptor)
      chain.raw(header, 12 + room, flags);
    else
      chain.raw(header, 12, flags).raw(header + 12, room, flags);
    ring.heads.push_back(chain.write());
  }
}

void BenchPort::connect() {
  const std::string path = "/tmp/vhostx-bench-" + std::to_string(::getpid()) + ".sock";
  backend_ = must(Backend::create(), "backend");
  port_ = must(backend_->open_port({.socket_path = path}), "port");
  front_end_ = std::make_unique<test::FakeFrontEnd>(must(test::FakeFrontEnd::connect(path), "connect"));
  must(front_end_->negotiate(protocol::FeatureSet(options_.features | protocol_features_bit),
                             protocol::ProtocolFeatureSet{protocol::ProtocolFeature::reply_ack,
                                                          protocol::ProtocolFeature::configure_mem_slots}),
       "negotiation");
  for (std::size_t i = 0; i < guest_.region_count(); ++i) {
    const auto region = guest_.description(i);
    const UniqueFd file = guest_.file(i);
    must(front_end_->add_mem_reg({region.guest.value, region.size, region.front_end.value, 0}, file.get()), "memory");
  }
}

void BenchPort::configure(std::uint32_t index, Ring& ring) {
  ring.kick = must(EventFd::create(), "eventfd");
  ring.call = must(EventFd::create(), "eventfd");
  const auto addresses = ring.driver->addresses();
  must(front_end_->set_vring(FrontEndRequest::set_vring_num, index, options_.ring_size), "SET_VRING_NUM");
  must(front_end_->set_vring(FrontEndRequest::set_vring_base, index, 0), "SET_VRING_BASE");
  must(front_end_->set_vring_address(
           {index, 0, addresses.descriptors.value, addresses.used.value, addresses.avail.value, 0}),
       "SET_VRING_ADDR");
  must(front_end_->set_vring_fd(FrontEndRequest::set_vring_kick, index, ring.kick.get()), "SET_VRING_KICK");
  must(front_end_->set_vring_fd(FrontEndRequest::set_vring_call, index, ring.call.get()), "SET_VRING_CALL");
  must(front_end_->set_vring(FrontEndRequest::set_vring_enable, index, 1), "SET_VRING_ENABLE");
  ring.kick.signal();
}

void BenchPort::Ring::post(std::uint16_t count) {
  // The driver's half of the exchange: look at what came back, put heads into the ring, one store of the index.
  std::uint16_t index = driver->avail_index();
  for (std::uint16_t i = 0; i < count; ++i) {
    driver->set_avail_entry(index++, heads[next]);
    if (++next == heads.size()) next = 0;
  }
  driver->set_avail_index(index);
}

}  // namespace vhostx::bench
