// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/bench_guest.hpp"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>
#include <utility>

#include <sys/mman.h>

#include "protocol/payloads.hpp"
#include "protocol/requests.hpp"
#include "tests/bench/must.hpp"
#include "virtqueue/ring.hpp"

namespace vhostx::bench {
namespace {

using protocol::FrontEndRequest;

constexpr std::uint64_t guest_base = 0x4000'0000;
constexpr std::uint64_t protocol_features_bit = 1ULL << 30;
constexpr std::uint64_t multiqueue_feature = 1ULL << 22;  // VIRTIO_NET_F_MQ
constexpr std::uint64_t packed_feature = 1ULL << 34;      // VIRTIO_F_RING_PACKED
constexpr std::uint64_t in_order_feature = 1ULL << 35;    // VIRTIO_F_IN_ORDER
constexpr std::uint16_t lap_flags = virtqueue::packed_avail_flag | virtqueue::packed_used_flag;
constexpr std::uint64_t page_bytes = 4096;

std::uint64_t pages(std::uint64_t bytes) { return (bytes + page_bytes - 1) / page_bytes * page_bytes; }

std::uint32_t room_of(const BenchOptions& options, bool writable) {
  if (writable && options.receive_bytes != 0) return options.receive_bytes;
  return writable ? std::max(2048U, options.packet_bytes + 64) : options.packet_bytes;
}

bool is_spread(const BenchOptions& options) { return options.spread || options.regions > 1; }
std::uint32_t rings_of(const BenchOptions& options) { return 2U * options.queue_pairs; }
std::uint32_t slots_of(const BenchOptions& options) { return rings_of(options) * options.ring_size; }
/// A page more than the buffer needs, so that buffers begin at different offsets within their pages.
std::uint64_t slot_bytes(const BenchOptions& options) {
  return pages(net_header_bytes + std::max(room_of(options, true), room_of(options, false))) + page_bytes;
}
/// Rings and indirect tables; the buffers too, where they are not spread.
std::uint64_t ring_area_bytes(const BenchOptions& options) {
  const std::uint64_t buffers = is_spread(options) ? 0 : slots_of(options) * slot_bytes(options);
  return pages(rings_of(options) * (std::uint64_t{options.ring_size} * 64 + 2 * page_bytes) + buffers);
}

/// Region 0 has the rings. Others have gaps between them.
std::vector<test::FakeGuest::Region> regions_of(const BenchOptions& options) {
  const std::uint64_t first = ring_area_bytes(options);
  if (options.regions == 1)
    return {{guest_base, first + (options.spread ? slots_of(options) * slot_bytes(options) : 0)}};
  const std::uint32_t others = options.regions - 1;
  const std::uint64_t each = (slots_of(options) + others - 1) / others * slot_bytes(options);
  std::vector<test::FakeGuest::Region> regions{{guest_base, first}};
  for (std::uint64_t i = 0; i < others; ++i) regions.push_back({guest_base + first + (2 * i + 1) * each, each});
  return regions;
}

}  // namespace

BenchGuest::BenchGuest(const BenchOptions& options)
    : options_(options), guest_(regions_of(options)), rings_(rings_of(options)) {
  for (std::uint32_t i = 0; i < rings_.size(); ++i) lay_out(i);
}

std::uint64_t BenchGuest::place_buffer(std::uint32_t slot, std::uint32_t bytes) {
  if (!is_spread(options_)) return guest_.allocate(bytes, 64);
  const std::uint32_t mixed = slot * 37 % slots_of(options_);  // each slot once: 37 and a power of two
  const std::uint64_t within = mixed % 32 * 64;
  if (options_.regions == 1) return guest_base + ring_area_bytes(options_) + mixed * slot_bytes(options_) + within;
  const std::uint32_t others = options_.regions - 1;
  return guest_.description(1 + mixed % others).guest.value + mixed / others * slot_bytes(options_) + within;
}

void BenchGuest::lay_out(std::uint32_t index) {
  Ring& ring = rings_[index];
  const bool writable = index % 2 == 0;
  ring.driver =
      std::make_unique<test::FakeDriver>(guest_, options_.ring_size, virtqueue::RingFeatures{.indirect = true},
                                         options_.packed ? virtqueue::RingKind::packed : virtqueue::RingKind::split);
  if (!options_.interrupts) ring.driver->want_calls(false);
  const std::uint16_t flags = writable ? virtqueue::Descriptor::write_flag : 0;
  const int chains = options_.shape == Shape::two_descriptors ? options_.ring_size / 2 : options_.ring_size;
  const std::uint32_t room = room_of(options_, writable);
  for (int i = 0; i < chains; ++i) {
    const std::uint32_t slot = index * options_.ring_size + static_cast<std::uint32_t>(i);
    const std::uint64_t header = place_buffer(slot, net_header_bytes + room);
    if (options_.tcp_segments && !writable) write_tcp_segment(header);
    auto chain = ring.driver->chain();
    if (options_.shape == Shape::indirect) chain.indirect();
    if (options_.shape == Shape::one_descriptor)
      chain.raw(header, net_header_bytes + room, flags);
    else
      chain.raw(header, net_header_bytes, flags).raw(header + net_header_bytes, room, flags);
    ring.heads.push_back(options_.packed ? chain.publish() : chain.write());
  }
  ring.chain_entries = options_.shape == Shape::two_descriptors ? 2 : 1;
  ring.in_order = options_.in_order;
  if (options_.packed) ring.keep_chains();
}

/// Net header, Ethernet, IPv4 and TCP, as a Linux guest fills them in; checksums are left to others.
void BenchGuest::write_tcp_segment(std::uint64_t at) {
  constexpr std::uint8_t needs_checksum = 1;
  constexpr std::uint8_t tcp_over_ipv4 = 1;
  const std::uint32_t ip_bytes = options_.packet_bytes - 14;
  const auto high = [](std::uint32_t value) { return static_cast<std::uint8_t>(value >> 8); };
  const auto low = [](std::uint32_t value) { return static_cast<std::uint8_t>(value); };
  const std::array<std::uint8_t, net_header_bytes + 54> bytes{needs_checksum,
                                                              tcp_over_ipv4,
                                                              54,
                                                              0,
                                                              low(1448),
                                                              high(1448),
                                                              34,
                                                              0,
                                                              16,
                                                              0,
                                                              0,
                                                              0,  // net header
                                                              2,
                                                              0,
                                                              0,
                                                              0,
                                                              0,
                                                              2,
                                                              2,
                                                              0,
                                                              0,
                                                              0,
                                                              0,
                                                              1,
                                                              8,
                                                              0,  // Ethernet
                                                              0x45,
                                                              0,
                                                              high(ip_bytes),
                                                              low(ip_bytes),
                                                              0,
                                                              0,
                                                              0,
                                                              0,
                                                              64,
                                                              6,
                                                              0,
                                                              0,
                                                              10,
                                                              0,
                                                              0,
                                                              1,
                                                              10,
                                                              0,
                                                              0,
                                                              2,
                                                              0x10,
                                                              0,
                                                              0x20,
                                                              0,
                                                              0,
                                                              0,
                                                              0,
                                                              1,
                                                              0,
                                                              0,
                                                              0,
                                                              1,
                                                              0x50,
                                                              0x10,
                                                              1,
                                                              0,
                                                              0,
                                                              0,
                                                              0,
                                                              0};  // TCP
  std::copy(bytes.begin(), bytes.end(), guest_.at(at));
}

BenchGuest::Connection BenchGuest::connect(const std::string& socket_path) {
  Connection connection;
  connection.front_end =
      std::make_unique<test::FakeFrontEnd>(must(test::FakeFrontEnd::connect(socket_path), "connect"));
  negotiate(*connection.front_end);
  share_memory(*connection.front_end);
  if (options_.recorded) keep_record(*connection.front_end);
  for (std::uint32_t i = 0; i < rings_.size(); ++i) configure(connection, i);
  if (options_.logged) begin_log(*connection.front_end);
  return connection;
}

void BenchGuest::keep_record(test::FakeFrontEnd& front_end) {
  const protocol::Inflight wanted{.queue_count = static_cast<std::uint16_t>(rings_.size()),
                                  .queue_size = options_.ring_size};
  auto made = must(front_end.ask(protocol::make_request(FrontEndRequest::get_inflight_fd, wanted)), "GET_INFLIGHT_FD");
  auto brought =
      protocol::make_request(FrontEndRequest::set_inflight_fd, made.payload_padded_as<protocol::Inflight>(), true);
  brought.add_fd(made.take_fd());
  if (must(front_end.acknowledged(std::move(brought)), "SET_INFLIGHT_FD") == 0) return;
  std::fputs("bench: SET_INFLIGHT_FD was refused\n", stderr);
  std::exit(1);
}

// As QEMU does it, on running rings. Nobody takes the marks away.
void BenchGuest::begin_log(test::FakeFrontEnd& front_end) {
  const auto last = guest_.description(guest_.region_count() - 1);
  const protocol::LogBase log{pages((last.guest.value + last.size) / page_bytes / 8 + 1), 0};
  UniqueFd file(::memfd_create("bench-log", MFD_CLOEXEC));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(log.mmap_size)) != 0) {
    std::perror("bench: a file for the dirty log");
    std::exit(1);
  }
  auto message = protocol::make_request(FrontEndRequest::set_log_base, log);
  message.add_fd(std::move(file));
  must(front_end.ask(message), "SET_LOG_BASE");
  auto features = front_end.features();
  features.set(protocol::VirtioFeature::vhost_log_all);
  must(front_end.set_u64(FrontEndRequest::set_features, features.bits()), "SET_FEATURES");
  for (std::uint32_t i = 0; i < rings_.size(); ++i) {
    const auto at = rings_[i].driver->addresses();
    const auto& first = guest_.description(0);
    must(front_end.set_vring_address({i, protocol::vring_log, at.descriptors.value, at.used.value, at.avail.value,
                                      at.used.value - first.front_end.value + first.guest.value}),
         "SET_VRING_ADDR");
  }
  must(front_end.get_u64(FrontEndRequest::get_features), "a round trip");
}

void BenchGuest::negotiate(test::FakeFrontEnd& front_end) {
  using protocol::ProtocolFeature;
  const std::uint64_t wanted = options_.features | (options_.queue_pairs > 1 ? multiqueue_feature : 0) |
                               (options_.packed ? packed_feature : 0) | (options_.in_order ? in_order_feature : 0);
  protocol::ProtocolFeatureSet wanted_protocol{ProtocolFeature::mq, ProtocolFeature::log_shmfd,
                                               ProtocolFeature::reply_ack, ProtocolFeature::configure_mem_slots};
  if (options_.recorded) wanted_protocol.set(ProtocolFeature::inflight_shmfd);
  must(front_end.negotiate(protocol::FeatureSet(wanted | protocol_features_bit), wanted_protocol), "negotiation");
  const std::uint64_t got = front_end.features().bits() & wanted;
  if (got == wanted) return;
  std::fprintf(stderr, "bench: features 0x%" PRIx64 " were asked for, the back-end has 0x%" PRIx64 " of them\n", wanted,
               got);
  std::exit(1);
}

void BenchGuest::share_memory(test::FakeFrontEnd& front_end) {
  std::vector<protocol::MemoryRegion> regions;
  std::vector<UniqueFd> files;
  std::vector<int> fds;
  for (std::size_t i = 0; i < guest_.region_count(); ++i) {
    const auto region = guest_.description(i);
    regions.push_back({region.guest.value, region.size, region.front_end.value, 0});
    files.push_back(guest_.file(i));
    fds.push_back(files.back().get());
  }
  if (regions.size() <= table_regions_max) return must(front_end.set_mem_table(regions, fds), "SET_MEM_TABLE");
  for (std::size_t i = 0; i < regions.size(); ++i) must(front_end.add_mem_reg(regions[i], fds[i]), "ADD_MEM_REG");
}

void BenchGuest::configure(Connection& connection, std::uint32_t index) {
  test::FakeFrontEnd& front_end = *connection.front_end;
  EventFd& kick = connection.kicks.emplace_back(must(EventFd::create(), "eventfd"));
  EventFd& call = connection.calls.emplace_back(must(EventFd::create(), "eventfd"));
  const auto addresses = rings_[index].driver->addresses();
  must(front_end.set_vring(FrontEndRequest::set_vring_num, index, options_.ring_size), "SET_VRING_NUM");
  must(front_end.set_vring(FrontEndRequest::set_vring_base, index, options_.packed ? 0x8000'8000 : 0),
       "SET_VRING_BASE");
  must(front_end.set_vring_address(
           {index, 0, addresses.descriptors.value, addresses.used.value, addresses.avail.value, 0}),
       "SET_VRING_ADDR");
  must(front_end.set_vring_fd(FrontEndRequest::set_vring_kick, index, kick.get()), "SET_VRING_KICK");
  must(front_end.set_vring_fd(FrontEndRequest::set_vring_call, index, call.get()), "SET_VRING_CALL");
  must(front_end.set_vring(FrontEndRequest::set_vring_enable, index, 1), "SET_VRING_ENABLE");
  kick.signal();
}

void BenchGuest::Ring::keep_chains() {
  for (std::uint32_t i = 0; i < driver->size(); ++i) {
    test::GuestPackedDescriptor entry = std::exchange(driver->packed(i), {});  // the back-end finds a fresh ring
    entry.flags &= static_cast<std::uint16_t>(~lap_flags);
    entry.id = static_cast<std::uint16_t>(i / chain_entries);
    entries.push_back(entry);
  }
}

// With IN_ORDER one used descriptor may stand for all chains up to the one that it names.
bool BenchGuest::Ring::is_used_up() const {
  const auto chains = static_cast<std::uint32_t>(heads.size());
  for (virtqueue::PackedPosition place = begin; place != end;) {
    const test::GuestPackedDescriptor& entry = driver->packed(place.index());
    if ((entry.flags & lap_flags) != place.used()) return false;
    const std::uint32_t others = in_order ? (entry.id + chains - place.index() / chain_entries) % chains : 0;
    place = place.after((1 + others) * chain_entries, driver->size());
  }
  return true;
}

void BenchGuest::Ring::post_packed(std::uint16_t count) {
  if (!is_used_up()) {
    std::fputs("bench: the back-end has not used all buffers\n", stderr);
    std::exit(1);
  }
  begin = end;
  for (std::uint32_t i = 0; i < count * chain_entries; ++i) {
    test::GuestPackedDescriptor entry = entries[end.index()];
    entry.flags |= end.available();
    driver->packed(end.index()) = entry;
    end = end.after(1, driver->size());
  }
}

void BenchGuest::Ring::post(std::uint16_t count) {
  if (driver->kind() == virtqueue::RingKind::packed) return post_packed(count);
  // The driver's half of the exchange: look at what came back, put heads into the ring, one store of the index.
  std::uint16_t index = driver->avail_index();
  if (driver->used_index() != index) {
    std::fprintf(stderr, "bench: the back-end has used %u buffers of %u\n", driver->used_index(), index);
    std::exit(1);
  }
  for (std::uint16_t i = 0; i < count; ++i) {
    driver->set_avail_entry(index++, heads[next]);
    if (++next == heads.size()) next = 0;
  }
  driver->set_avail_index(index);
}

std::string fresh_socket_path() {
  static int count = 0;
  return "/tmp/vhostx-bench-" + std::to_string(::getpid()) + "-" + std::to_string(count++) + ".sock";
}

}  // namespace vhostx::bench
