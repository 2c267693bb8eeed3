// SPDX-License-Identifier: BSD-3-Clause
// Handles of the C interface are the C++ objects themselves under an opaque name. There is nothing in between, and a
// call of the data path costs four more instructions (c/vring.cpp).
#pragma once

#include <vhostx/vhostx.h>
#include <vhostx/vhostx.hpp>

namespace vhostx::c {

inline Backend* object(vhostx_backend* handle) noexcept { return reinterpret_cast<Backend*>(handle); }
inline Port* object(vhostx_port* handle) noexcept { return reinterpret_cast<Port*>(handle); }
inline const Port* object(const vhostx_port* handle) noexcept { return reinterpret_cast<const Port*>(handle); }
inline Vring* object(vhostx_vring* handle) noexcept { return reinterpret_cast<Vring*>(handle); }
inline const Vring* object(const vhostx_vring* handle) noexcept { return reinterpret_cast<const Vring*>(handle); }
inline Waiter* object(vhostx_waiter* handle) noexcept { return reinterpret_cast<Waiter*>(handle); }
inline const Waiter* object(const vhostx_waiter* handle) noexcept { return reinterpret_cast<const Waiter*>(handle); }
inline Transfer* object(vhostx_transfer* handle) noexcept { return reinterpret_cast<Transfer*>(handle); }
inline MempoolsByNode* object(vhostx_mempools* handle) noexcept { return reinterpret_cast<MempoolsByNode*>(handle); }
inline const MempoolsByNode* object(const vhostx_mempools* handle) noexcept {
  return reinterpret_cast<const MempoolsByNode*>(handle);
}

inline vhostx_backend* handle(Backend* object) noexcept { return reinterpret_cast<vhostx_backend*>(object); }
inline vhostx_port* handle(Port* object) noexcept { return reinterpret_cast<vhostx_port*>(object); }
inline vhostx_vring* handle(Vring* object) noexcept { return reinterpret_cast<vhostx_vring*>(object); }
inline vhostx_waiter* handle(Waiter* object) noexcept { return reinterpret_cast<vhostx_waiter*>(object); }
inline vhostx_transfer* handle(Transfer* object) noexcept { return reinterpret_cast<vhostx_transfer*>(object); }
inline vhostx_mempools* handle(MempoolsByNode* object) noexcept { return reinterpret_cast<vhostx_mempools*>(object); }

}  // namespace vhostx::c
