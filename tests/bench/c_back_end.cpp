// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/c_back_end.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

namespace vhostx::bench {
namespace {

template <typename Object>
Object* must_be_there(Object* object, const vhostx_error& error) {
  if (object != nullptr) return object;
  std::fprintf(stderr, "bench: %s\n", error.message);
  std::exit(1);
}

vhostx_port* open_port(vhostx_backend* backend, const std::string& path) {
  vhostx_error error;
  vhostx_port_options options;
  vhostx_port_options_init(&options, sizeof options);
  options.socket_path = path.c_str();
  return must_be_there(vhostx_port_open(backend, &options, nullptr, nullptr, &error), error);
}

vhostx_backend* make_c_backend() {
  vhostx_error error;
  return must_be_there(vhostx_backend_create(nullptr, &error), error);
}

}  // namespace

CBackEnd::CBackEnd(BenchGuest& guest)
    : backend_(make_c_backend()),
      port_(open_port(backend_, fresh_socket_path())),
      from_guest_(vhostx_port_from_guest(port_, 0)),
      to_guest_(vhostx_port_to_guest(port_, 0)),
      connection_(guest.connect(vhostx_port_socket_path(port_))) {
  const unsigned runs = VHOSTX_VRING_STARTED | VHOSTX_VRING_ENABLED;
  while (vhostx_vring_get_state(from_guest_) != runs || vhostx_vring_get_state(to_guest_) != runs)
    std::this_thread::yield();
}

CBackEnd::~CBackEnd() {
  vhostx_port_destroy(port_);
  vhostx_backend_destroy(backend_);
}

}  // namespace vhostx::bench
