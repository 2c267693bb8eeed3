// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/vhostx_back_end.hpp"

#include <string>
#include <thread>
#include <utility>

#include "tests/bench/must.hpp"

namespace vhostx::bench {

std::shared_ptr<Backend> make_backend() { return must(Backend::create(), "backend"); }

void wait_until_started(Port& port) {
  for (std::uint16_t i = 0; i < port.vring_count(); ++i)
    while (!port.vring(i).state().started || !port.vring(i).state().enabled) std::this_thread::yield();
}

VhostxBackEnd::VhostxBackEnd(BenchGuest& guest, std::shared_ptr<Backend> backend)
    : VhostxBackEnd(guest, PortOptions{}, std::move(backend)) {}

VhostxBackEnd::VhostxBackEnd(BenchGuest& guest, PortOptions options, std::shared_ptr<Backend> backend)
    : backend_(std::move(backend)) {
  options.socket_path = fresh_socket_path();
  options.queue_pairs_max = guest.queue_pairs();
  if (guest.is_in_order()) options.features_extra = feature_bits(VirtioFeature::in_order);
  if (guest.is_recorded()) options.protocol_features_extra = feature_bits(ProtocolFeature::inflight_shmfd);
  port_ = must(backend_->open_port(options), "port");
  connection_ = guest.connect(options.socket_path);
  wait_until_started(*port_);
}

}  // namespace vhostx::bench
