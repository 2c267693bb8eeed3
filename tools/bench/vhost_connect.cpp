// SPDX-License-Identifier: BSD-3-Clause
// VhostEndpoint: from a socket to rings that run.
#include <algorithm>
#include <bit>
#include <unistd.h>

#include "base/error.hpp"
#include "tools/bench/frame.hpp"
#include "tools/bench/vhost_endpoint.hpp"

namespace vhostx::tools::bench {
namespace {

using protocol::FeatureSet;
using protocol::FrontEndRequest;
using protocol::ProtocolFeature;
using protocol::ProtocolFeatureSet;
using protocol::VirtioFeature;

// An odd number of cache lines, so that the buffers spread over all sets of a cache; room for 1518 bytes.
constexpr std::uint32_t mergeable_buffer_bytes = 33 * 64;
// VIRTIO 1.2, 5.1.6.3.1.
constexpr std::uint32_t plain_frame_bytes = 1514;
constexpr std::uint32_t tso_frame_bytes = 65550;

FeatureSet wanted_features(const GuestOptions& options) {
  FeatureSet wanted{options.legacy ? VirtioFeature::any_layout : VirtioFeature::version_1};
  if (options.packed) wanted.set(VirtioFeature::ring_packed);
  if (options.mergeable) wanted.set(VirtioFeature::net_mrg_rxbuf);
  if (options.layout == ChainLayout::indirect) wanted.set(VirtioFeature::indirect_desc);
  if (options.event_idx) wanted.set(VirtioFeature::event_idx);
  if (options.queue_pairs > 1) wanted.set(VirtioFeature::net_mq);
  if (options.offload)
    wanted = wanted | FeatureSet{VirtioFeature::net_csum, VirtioFeature::net_guest_csum, VirtioFeature::net_host_tso4,
                                 VirtioFeature::net_guest_tso4};
  return wanted;
}

Result<FrontEnd> connect(const GuestOptions& options) {
  if (!options.listen) return FrontEnd::connect(options.path, options.timeout);
  auto listener = FrontEnd::listen(options.path);
  if (!listener) return listener.error();
  auto accepted = FrontEnd::accept(*listener, options.timeout);
  ::unlink(options.path.c_str());  // for one back-end
  return accepted;
}

template <typename T>
Error in_step(const GuestOptions& options, const char* step, const Result<T>& failed) {
  return Error{failed.error().code, options.path + ": " + step + ": " + failed.error().message,
               failed.error().system_errno};
}

/// Error: the back-end does not offer what an option asks for. Defaults that it does not offer are not used.
Result<void> check_requested(const GuestOptions& options, FrontEnd& front_end) {
  FeatureSet needed;
  if (options.packed) needed.set(VirtioFeature::ring_packed);
  if (options.layout == ChainLayout::indirect) needed.set(VirtioFeature::indirect_desc);
  if (options.event_idx) needed.set(VirtioFeature::event_idx);
  if (options.queue_pairs > 1) needed.set(VirtioFeature::net_mq);
  if (!front_end.features().has_all(needed))
    return make_error(ErrorCode::unsupported, "the back-end does not offer {}",
                      to_string(needed.without(front_end.features())));
  if (options.migrates && !front_end.protocol_features().has(ProtocolFeature::log_shmfd))
    return make_error(ErrorCode::unsupported, "the back-end does not offer VHOST_USER_PROTOCOL_F_LOG_SHMFD");
  if (options.queue_pairs == 1) return {};
  const auto most = front_end.get_u64(FrontEndRequest::get_queue_num);
  if (!most) return most.error();
  if (*most >= options.queue_pairs) return {};
  return make_error(ErrorCode::limit, "the back-end has {} queue pairs, expected at least {}", *most,
                    options.queue_pairs);
}

}  // namespace

Result<FrontEnd> VhostEndpoint::reach(const GuestOptions& options) {
  auto front_end = connect(options);
  if (!front_end) return in_step(options, "no back-end", front_end);
  ProtocolFeatureSet wanted{ProtocolFeature::mq, ProtocolFeature::reply_ack, ProtocolFeature::configure_mem_slots};
  if (options.migrates) wanted = wanted | ProtocolFeatureSet{ProtocolFeature::log_shmfd, ProtocolFeature::rarp};
  if (auto done = front_end->negotiate(wanted_features(options), wanted); !done)
    return in_step(options, "negotiation", done);
  if (auto done = check_requested(options, *front_end); !done) return in_step(options, "negotiation", done);
  return front_end;
}

Result<std::unique_ptr<VhostEndpoint>> VhostEndpoint::open(const GuestOptions& options) {
  auto front_end = reach(options);
  if (!front_end) return front_end.error();
  std::unique_ptr<VhostEndpoint> endpoint(new VhostEndpoint(options, *std::move(front_end)));
  endpoint->take_features();
  if (auto done = endpoint->build_queues(); !done) return in_step(options, "memory", done);
  if (auto done = endpoint->share_memory(); !done) return in_step(options, "memory", done);
  endpoint->fill_receive_rings();
  if (auto done = endpoint->start_rings(endpoint->bases()); !done) return in_step(options, "rings", done);
  return endpoint;
}

VhostEndpoint::~VhostEndpoint() {
  // A back-end that is gone has stopped them already. After an error the others are left alone.
  if (!front_end_.peer_is_gone()) static_cast<void>(stop_rings());
}

void VhostEndpoint::take_features() noexcept {
  const bool long_header = features().has(VirtioFeature::version_1) || features().has(VirtioFeature::net_mrg_rxbuf);
  net_header_bytes_ = long_header ? 12 : 10;
  mergeable_ = features().has(VirtioFeature::net_mrg_rxbuf);
  const bool any_layout = features().has(VirtioFeature::version_1) || features().has(VirtioFeature::any_layout);
  if (options_.layout == ChainLayout::one && !any_layout) options_.layout = ChainLayout::two;
}

DriverRingOptions VhostEndpoint::ring_options(bool device_writes) const noexcept {
  DriverRingOptions ring{.size = options_.ring_size, .layout = options_.layout, .device_writes = device_writes};
  ring.packed = options_.packed;
  ring.rewrite = options_.rewrite;
  ring.event_idx = features().has(VirtioFeature::event_idx);
  ring.net_header_bytes = net_header_bytes_;
  ring.buffer_bytes = net_header_bytes_ + options_.frame_bytes_max;
  if (!device_writes) return ring;
  const std::uint32_t least = features().has(VirtioFeature::net_guest_tso4) ? tso_frame_bytes : plain_frame_bytes;
  if (features().has(VirtioFeature::net_mrg_rxbuf))
    ring.buffer_bytes = mergeable_buffer_bytes;
  else
    ring.buffer_bytes = net_header_bytes_ + std::max(options_.frame_bytes_max, least);
  if (options_.receive_buffer_bytes != 0) ring.buffer_bytes = options_.receive_buffer_bytes;
  return ring;
}

Result<void> VhostEndpoint::build_queues() {
  const auto receive = ring_options(true);
  const auto transmit = ring_options(false);
  const std::size_t bytes = DriverRing::memory_bytes(receive) + DriverRing::memory_bytes(transmit);
  auto memory = SharedMemory::create(
      options_.queue_pairs * bytes, options_.regions,
      std::max(DriverRing::piece_bytes_max(receive), DriverRing::piece_bytes_max(transmit)), options_.huge_pages);
  if (!memory) return memory.error();
  memory_ = std::make_unique<SharedMemory>(*std::move(memory));
  for (unsigned i = 0; i < options_.queue_pairs; ++i) {
    auto to_us = DriverRing::create(*memory_, receive);
    if (!to_us) return to_us.error();
    auto from_us = DriverRing::create(*memory_, transmit);
    if (!from_us) return from_us.error();
    auto queue = std::make_unique<Queue>(*std::move(to_us), *std::move(from_us));
    for (std::uint16_t chain = 0; chain < queue->transmit.chain_count(); ++chain) {
      std::uint8_t* const buffer = queue->transmit.buffer(chain);
      queue->slots.push_back({buffer, buffer + net_header_bytes_});
      queue->free_chains.push_back(chain);
    }
    queue->free_tail = queue->free_chains.size();
    queue->free_chains.resize(std::bit_ceil(queue->free_chains.size()));
    queue->holding.resize(queue->receive.chain_count());
    queue->scratch.resize(std::size_t{4} * tso_frame_bytes);
    queues_.push_back(std::move(queue));
  }
  return {};
}

Result<void> VhostEndpoint::share_memory() {
  const bool slots = front_end_.protocol_features().has(ProtocolFeature::configure_mem_slots);
  std::uint64_t most = protocol::memory_table_regions_max;
  if (slots) {
    const auto answer = front_end_.get_u64(FrontEndRequest::get_max_mem_slots);
    if (!answer) return answer.error();
    most = *answer;
  }
  if (memory_->region_count() > most)
    return make_error(ErrorCode::limit, "the back-end takes {} memory regions, expected at least {}", most,
                      memory_->region_count());
  std::vector<protocol::MemoryRegion> regions;
  std::vector<int> fds;
  for (std::size_t i = 0; i < memory_->region_count(); ++i) {
    regions.push_back(memory_->description(i));
    fds.push_back(memory_->fd(i));
  }
  if (!slots) return front_end_.set_mem_table(regions, fds);
  for (std::size_t i = 0; i < regions.size(); ++i)
    if (auto added = front_end_.add_mem_reg(regions[i], fds[i]); !added) return added;
  return {};
}

std::vector<std::uint32_t> VhostEndpoint::bases() noexcept {
  std::vector<std::uint32_t> bases;
  for (std::uint32_t vring = 0; vring < ring_count(); ++vring) bases.push_back(ring_at(vring).base());
  return bases;
}

void VhostEndpoint::fill_receive_rings() noexcept {
  for (const auto& queue : queues_) {
    DriverRing& receive = queue->receive;
    for (std::uint16_t chain = 0; chain < receive.chain_count(); ++chain)
      receive.post(chain, receive.options().buffer_bytes);
    receive.publish();
  }
}

Result<void> VhostEndpoint::start_rings(const std::vector<std::uint32_t>& bases) {
  for (std::uint32_t vring = 0; vring < ring_count(); ++vring)
    if (auto started = start_ring(vring, bases[vring]); !started) return started;
  if (features().has(VirtioFeature::vhost_user_protocol_features)) {
    for (std::uint32_t vring = 0; vring < ring_count(); ++vring)
      if (auto done = front_end_.set_vring(FrontEndRequest::set_vring_enable, vring, 1); !done) return done;
  }
  for (std::uint32_t vring = 0; vring < ring_count(); ++vring) ring_at(vring).kick();
  return {};
}

Result<void> VhostEndpoint::start_ring(std::uint32_t vring, std::uint32_t base) {
  const DriverRing& ring = ring_at(vring);
  if (auto done = front_end_.set_vring(FrontEndRequest::set_vring_num, vring, ring.options().size); !done) return done;
  if (auto done = front_end_.set_vring(FrontEndRequest::set_vring_base, vring, base); !done) return done;
  if (auto done = front_end_.set_vring_address(ring.addresses(vring)); !done) return done;
  if (auto done = front_end_.set_vring_fd(FrontEndRequest::set_vring_call, vring, ring.call_fd()); !done) return done;
  return front_end_.set_vring_fd(FrontEndRequest::set_vring_kick, vring, ring.kick_fd());
}

Result<void> VhostEndpoint::log_rings(bool wanted) {
  FeatureSet with_log = features();
  if (wanted) with_log.set(VirtioFeature::vhost_log_all);
  if (auto set = front_end_.set_u64(FrontEndRequest::set_features, with_log.bits()); !set) return set;
  for (std::uint32_t vring = 0; vring < ring_count(); ++vring) {
    protocol::VringAddress addresses = ring_at(vring).addresses(vring);
    if (wanted) addresses.flags = protocol::vring_log;
    addresses.log = memory_->guest_address(reinterpret_cast<const void*>(addresses.used));
    if (auto set = front_end_.set_vring_address(addresses); !set) return set;
  }
  return {};
}

Result<std::vector<std::uint32_t>> VhostEndpoint::stop_rings() {
  std::vector<std::uint32_t> bases;
  for (std::uint32_t vring = 0; vring < ring_count(); ++vring) {
    const auto base = front_end_.get_vring_base(vring);
    if (!base) return base.error();
    bases.push_back(*base);
  }
  return bases;
}

Result<void> VhostEndpoint::go_on_at(const GuestOptions& options, FrontEnd front_end,
                                     const std::vector<std::uint32_t>& bases) {
  if (front_end.features() != features())
    return make_error(ErrorCode::unsupported, "{}: features {}: expected those of {}: {}", options.path,
                      to_string(front_end.features()), options_.path, to_string(features()));
  front_end_ = std::move(front_end);
  options_.path = options.path;
  options_.listen = options.listen;
  if (auto done = share_memory(); !done) return in_step(options, "memory", done);
  if (auto done = start_rings(bases); !done) return in_step(options, "rings", done);
  return {};
}

}  // namespace vhostx::tools::bench
