// SPDX-License-Identifier: BSD-3-Clause
#include <chrono>

#include <vhostx/c/waiter.h>
#include <vhostx/waiter.hpp>

#include "c/handles.hpp"
#include "c/report.hpp"

using namespace vhostx::c;

vhostx_waiter* vhostx_waiter_create(vhostx_error* error) {
  return handle(run_for_object(error, [] { return vhostx::Waiter::create(); }));
}

void vhostx_waiter_destroy(vhostx_waiter* waiter) { delete object(waiter); }

int vhostx_waiter_watch(vhostx_waiter* waiter, vhostx_vring* vring, vhostx_error* error) {
  return run_for_code(error, [&]() -> vhostx::Result<void> {
    if (vring == nullptr) return no_vring();
    return object(waiter)->watch(*object(vring));
  });
}

void vhostx_waiter_unwatch(vhostx_waiter* waiter, vhostx_vring* vring) {
  if (vring != nullptr) object(waiter)->unwatch(*object(vring));
}

int vhostx_waiter_watch_fd(vhostx_waiter* waiter, int fd, vhostx_error* error) {
  return run_for_code(error, [&] { return object(waiter)->watch_fd(fd); });
}

void vhostx_waiter_unwatch_fd(vhostx_waiter* waiter, int fd) { object(waiter)->unwatch_fd(fd); }

bool vhostx_waiter_wait(vhostx_waiter* waiter, uint32_t timeout_ms) {
  return object(waiter)->wait(std::chrono::milliseconds(timeout_ms));
}

void vhostx_waiter_wake(vhostx_waiter* waiter) { object(waiter)->wake(); }

int vhostx_waiter_fd(const vhostx_waiter* waiter) { return object(waiter)->fd(); }
