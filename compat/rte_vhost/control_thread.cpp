// SPDX-License-Identifier: BSD-3-Clause
#include "compat/rte_vhost/control_thread.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <pthread.h>

#include <rte_lcore.h>
#include <rte_thread.h>

namespace vhostx::compat {
namespace {

struct Start {
  void (*run)(void*);
  void* argument;
};

// EAL waits until the thread runs but not until it ends, so the id is valid as long as it is needed.
void begin(void* given) {
  const std::unique_ptr<const Start> owned(static_cast<const Start*>(given));
  const Start start = *owned;
  ::pthread_detach(::pthread_self());
  start.run(start.argument);
}

#if VHOSTX_DPDK_ABI >= 24  // DPDK 23.11
std::uint32_t thread_main(void* given) {
  begin(given);
  return 0;
}

int create(const char* name, Start* start) {
  rte_thread_t thread;
  return rte_thread_create_control(&thread, name, thread_main, start);
}
#else
void* thread_main(void* given) {
  begin(given);
  return nullptr;
}

int create(const char* name, Start* start) {
  pthread_t thread;
  return rte_ctrl_thread_create(&thread, name, nullptr, thread_main, start);
}
#endif

}  // namespace

// The sign of what create() returns differs between releases.
int start_control_thread(const char* name, void (*run)(void*), void* argument) {
  std::unique_ptr<Start> start(new (std::nothrow) Start{run, argument});
  if (start == nullptr) return ENOMEM;
  const int error = create(name, start.get());
  if (error == 0) static_cast<void>(start.release());  // the thread owns it now
  return std::abs(error);
}

}  // namespace vhostx::compat
