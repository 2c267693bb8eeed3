// SPDX-License-Identifier: BSD-3-Clause
// The rest of librte_vhost.so: vDPA, crypto, asynchronous copies, in-flight tracking, dirty logs, and functions that
// expose rings. Programs and plug-ins that import these can be loaded; calls fail and log that they are not served.
#include <atomic>
#include <cstdint>

#include <vhostx/export.hpp>

#include "compat/rte_vhost/say.hpp"

namespace vhostx::compat {
namespace {

constexpr const char* rings_are_ours = "only this library accesses rings and guest memory";
constexpr const char* no_async = "packets are copied by the bursts themselves";
constexpr const char* no_crypto = "this library serves network devices";
constexpr const char* no_vdpa = "this library serves no vDPA devices";
constexpr const char* no_inflight = "in-flight tracking is not offered";
constexpr const char* no_log = "applications do not write the dirty log";
constexpr const char* no_extern = "only this library handles messages";
constexpr const char* no_config = "the config space is the front-end's";
constexpr const char* as_they_are = "protocol features cannot be chosen";

}  // namespace
}  // namespace vhostx::compat

// Each logs once. Their arguments are not declared: in the C calling conventions of DPDK's processors a function may
// ignore all arguments.
#define VHOSTX_REFUSE(type, name, why, answer)                   \
  extern "C" VHOSTX_EXPORT type name() {                         \
    static std::atomic<bool> said{false};                        \
    static_cast<void>(vhostx::compat::refuse(said, #name, why)); \
    return answer;                                               \
  }
#define VHOSTX_REFUSE_INT(name, why) VHOSTX_REFUSE(int, name, vhostx::compat::why, -1)
#define VHOSTX_REFUSE_COUNT(name, why) VHOSTX_REFUSE(std::uint16_t, name, vhostx::compat::why, 0)
#define VHOSTX_REFUSE_POINTER(name, why) VHOSTX_REFUSE(void*, name, vhostx::compat::why, nullptr)
#define VHOSTX_REFUSE_VOID(name, why) VHOSTX_REFUSE(void, name, vhostx::compat::why, )

VHOSTX_REFUSE_INT(rte_vhost_get_mem_table, rings_are_ours)
VHOSTX_REFUSE_INT(rte_vhost_get_vring_base, rings_are_ours)
VHOSTX_REFUSE_INT(rte_vhost_set_vring_base, rings_are_ours)
VHOSTX_REFUSE_INT(rte_vhost_extern_callback_register, no_extern)
VHOSTX_REFUSE_INT(rte_vhost_slave_config_change, no_config)
VHOSTX_REFUSE_INT(rte_vhost_backend_config_change, no_config)
VHOSTX_REFUSE_INT(rte_vhost_driver_set_protocol_features, as_they_are)

VHOSTX_REFUSE_INT(rte_vhost_get_log_base, no_log)
VHOSTX_REFUSE_VOID(rte_vhost_log_write, no_log)
VHOSTX_REFUSE_VOID(rte_vhost_log_used_vring, no_log)

VHOSTX_REFUSE_INT(rte_vhost_get_vring_base_from_inflight, no_inflight)
VHOSTX_REFUSE_INT(rte_vhost_get_vhost_ring_inflight, no_inflight)
VHOSTX_REFUSE_INT(rte_vhost_set_inflight_desc_split, no_inflight)
VHOSTX_REFUSE_INT(rte_vhost_set_inflight_desc_packed, no_inflight)
VHOSTX_REFUSE_INT(rte_vhost_set_last_inflight_io_split, no_inflight)
VHOSTX_REFUSE_INT(rte_vhost_set_last_inflight_io_packed, no_inflight)
VHOSTX_REFUSE_INT(rte_vhost_clr_inflight_desc_split, no_inflight)
VHOSTX_REFUSE_INT(rte_vhost_clr_inflight_desc_packed, no_inflight)

VHOSTX_REFUSE_INT(rte_vhost_async_channel_register, no_async)
VHOSTX_REFUSE_INT(rte_vhost_async_channel_register_thread_unsafe, no_async)
VHOSTX_REFUSE_INT(rte_vhost_async_channel_unregister, no_async)
VHOSTX_REFUSE_INT(rte_vhost_async_channel_unregister_thread_unsafe, no_async)
VHOSTX_REFUSE_INT(rte_vhost_async_dma_configure, no_async)
VHOSTX_REFUSE_INT(rte_vhost_async_dma_unconfigure, no_async)
VHOSTX_REFUSE_INT(rte_vhost_async_get_inflight, no_async)
VHOSTX_REFUSE_INT(rte_vhost_async_get_inflight_thread_unsafe, no_async)
VHOSTX_REFUSE_COUNT(rte_vhost_async_try_dequeue_burst, no_async)
VHOSTX_REFUSE_COUNT(rte_vhost_submit_enqueue_burst, no_async)
VHOSTX_REFUSE_COUNT(rte_vhost_poll_enqueue_completed, no_async)
VHOSTX_REFUSE_COUNT(rte_vhost_clear_queue, no_async)
VHOSTX_REFUSE_COUNT(rte_vhost_clear_queue_thread_unsafe, no_async)

VHOSTX_REFUSE_INT(rte_vhost_crypto_create, no_crypto)
VHOSTX_REFUSE_INT(rte_vhost_crypto_free, no_crypto)
VHOSTX_REFUSE_INT(rte_vhost_crypto_set_zero_copy, no_crypto)
VHOSTX_REFUSE_INT(rte_vhost_crypto_driver_start, no_crypto)
VHOSTX_REFUSE_COUNT(rte_vhost_crypto_fetch_requests, no_crypto)
VHOSTX_REFUSE_COUNT(rte_vhost_crypto_finalize_requests, no_crypto)

VHOSTX_REFUSE_INT(rte_vhost_driver_attach_vdpa_device, no_vdpa)
VHOSTX_REFUSE_INT(rte_vhost_driver_detach_vdpa_device, no_vdpa)
VHOSTX_REFUSE_INT(rte_vhost_driver_get_vdpa_dev_type, no_vdpa)
VHOSTX_REFUSE_POINTER(rte_vhost_driver_get_vdpa_device, no_vdpa)
VHOSTX_REFUSE_POINTER(rte_vhost_get_vdpa_device, no_vdpa)
VHOSTX_REFUSE_INT(rte_vhost_host_notifier_ctrl, no_vdpa)
VHOSTX_REFUSE_POINTER(rte_vdpa_register_device, no_vdpa)
VHOSTX_REFUSE_INT(rte_vdpa_unregister_device, no_vdpa)
VHOSTX_REFUSE_INT(rte_vdpa_relay_vring_used, no_vdpa)
VHOSTX_REFUSE_POINTER(rte_vdpa_find_device_by_name, no_vdpa)
VHOSTX_REFUSE_POINTER(rte_vdpa_get_rte_device, no_vdpa)
VHOSTX_REFUSE_INT(rte_vdpa_get_features, no_vdpa)
VHOSTX_REFUSE_INT(rte_vdpa_get_protocol_features, no_vdpa)
VHOSTX_REFUSE_INT(rte_vdpa_get_queue_num, no_vdpa)
VHOSTX_REFUSE_INT(rte_vdpa_get_stats_names, no_vdpa)
VHOSTX_REFUSE_INT(rte_vdpa_get_stats, no_vdpa)
VHOSTX_REFUSE_INT(rte_vdpa_reset_stats, no_vdpa)
