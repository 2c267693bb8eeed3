// SPDX-License-Identifier: BSD-3-Clause
// A front-end with a guest behind it (FakeMachine), for tests in C. Of one queue pair; packets are frames without their
// net header.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rte_mempool;

struct fake_guest;

/// Connects to a port and brings its two rings up.
struct fake_guest* fake_guest_connect(const char* socket_path);
void fake_guest_leave(struct fake_guest* guest);

/// The guest transmits a frame of `length` bytes, each `fill`.
void fake_guest_transmit(struct fake_guest* guest, uint8_t fill, uint32_t length);
/// Transmitted buffers that came back since the last call.
size_t fake_guest_reap(struct fake_guest* guest);
/// The guest posts a receive buffer.
void fake_guest_post(struct fake_guest* guest, uint32_t length);
/// The next frame that it received, as far as it fits; its length, 0: none.
size_t fake_guest_receive(struct fake_guest* guest, uint8_t* bytes, size_t size);
/// Kicks for its transmitq.
void fake_guest_kick(struct fake_guest* guest);
/// Its transmitq claims more buffers than it has. Returns the fault that its vring then has.
int fake_guest_lie(struct fake_guest* guest);
void fake_guest_enable(struct fake_guest* guest, uint16_t ring, bool enabled);
void fake_guest_set_mtu(struct fake_guest* guest, uint16_t mtu);
void fake_guest_send_memory(struct fake_guest* guest);

/// Moves the state of a guest (DEVICE_STATE) from one port to another. 0: done; 1: not saved; 2: not loaded.
int fake_move_state(const char* from_path, const char* to_path);

/// A descriptor of a bare connection to a socket, or of one that listens there; the caller's to close.
int fake_connect(const char* socket_path);
int fake_listen(const char* socket_path);

/// One folder for the sockets of a test; `name` in it. The text is good until the next call on this thread.
const char* fake_path(const char* name);
/// EAL runs after the first call.
struct rte_mempool* fake_pool(void);

#ifdef __cplusplus
}
#endif
