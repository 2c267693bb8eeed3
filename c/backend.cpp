// SPDX-License-Identifier: BSD-3-Clause
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <utility>

#include <vhostx/backend.hpp>
#include <vhostx/c/backend.h>

#include "base/error.hpp"
#include "c/enumeration.hpp"
#include "c/handles.hpp"
#include "c/report.hpp"
#include "c/sized.hpp"
#include "c/state.hpp"

namespace vhostx::c {
namespace {

constexpr vhostx_backend_options backend_defaults{
    .size = sizeof(vhostx_backend_options),
    .log = nullptr,
    .log_user = nullptr,
    .log_level = VHOSTX_LOG_INFO,
    .control_thread = VHOSTX_CONTROL_THREAD_OWN,
    .bus_errors = VHOSTX_BUS_ERRORS_HANDLE,
    .reserved = 0,
    .control_cpus = nullptr,
    .control_cpu_count = 0,
    .keeper = nullptr,
    .keeper_grace_ms = 30'000,
    .keeper_claim = VHOSTX_KEEPER_CLAIM_IF_FREE,
    .reserved_2 = 0,
    .state_name = nullptr,
    .save_state = nullptr,
    .load_state = nullptr,
    .on_state_ownership = nullptr,
    .state_user = nullptr,
    .state_bytes_max = 1 << 20,
    .state_interval_ms = 1000,
};

static_assert(static_cast<int>(LogLevel::error) == VHOSTX_LOG_ERROR);
static_assert(static_cast<int>(ControlThread::application) == VHOSTX_CONTROL_THREAD_APPLICATION);
static_assert(static_cast<int>(BusErrors::application) == VHOSTX_BUS_ERRORS_APPLICATION);
static_assert(static_cast<int>(KeeperClaim::take_over) == VHOSTX_KEEPER_CLAIM_TAKE_OVER);

LogSink sink_of(vhostx_log_sink log, void* user) {
  if (log == nullptr) return {};
  return [log, user](LogLevel level, std::string_view line) {
    log(static_cast<int>(level), std::string(line).c_str(), user);
  };
}

KeptState state_of(const vhostx_backend_options& from) {
  KeptState to;
  // All members by name: one that is added to C++ has to be added here.
  auto& [name, save, load, bytes_max, interval, on_ownership] = to;
  if (from.state_name != nullptr) name = from.state_name;
  if (from.save_state != nullptr) save = SaveInC{from.save_state, from.state_user, from.state_bytes_max};
  if (from.load_state != nullptr) load = LoadInC{from.load_state, from.state_user};
  bytes_max = from.state_bytes_max;
  interval = std::chrono::milliseconds(from.state_interval_ms);
  if (from.on_state_ownership != nullptr)
    on_ownership = [call = from.on_state_ownership, user = from.state_user](const OwnershipChanged& changed) {
      call(user, static_cast<int>(changed.ownership), changed.other_pid);
    };
  return to;
}

Result<BackendOptions> convert(const vhostx_backend_options& given) {
  BackendOptions options;
  options.log = sink_of(given.log, given.log_user);
  if (auto good = to_enum("log_level", given.log_level, LogLevel::error, options.log_level); !good)
    return std::move(good).error();
  if (auto good = to_enum("control_thread", given.control_thread, ControlThread::application, options.control_thread);
      !good)
    return std::move(good).error();
  if (auto good = to_enum("bus_errors", given.bus_errors, BusErrors::application, options.bus_errors); !good)
    return std::move(good).error();
  if (given.control_cpus == nullptr && given.control_cpu_count != 0)
    return make_error(ErrorCode::invalid_argument, "control_cpus is null, expected {} CPUs as control_cpu_count says",
                      given.control_cpu_count);
  options.control_cpus.assign(given.control_cpus, given.control_cpus + given.control_cpu_count);
  if (auto good = to_enum("keeper_claim", given.keeper_claim, KeeperClaim::take_over, options.keeper_claim); !good)
    return std::move(good).error();
  if (given.keeper != nullptr) options.keeper = given.keeper;
  constexpr std::uint64_t grace_max_ms = 86'400'000;
  if (given.keeper_grace_ms > grace_max_ms)
    return make_error(ErrorCode::invalid_argument, "keeper_grace_ms is {}, expected 0 to {}", given.keeper_grace_ms,
                      grace_max_ms);
  options.keeper_grace = std::chrono::milliseconds(given.keeper_grace_ms);
  options.state = state_of(given);
  return options;
}

}  // namespace
}  // namespace vhostx::c

using namespace vhostx::c;

void vhostx_backend_options_init(vhostx_backend_options* options, size_t size) {
  write_options(backend_defaults, options, size);
}

vhostx_backend* vhostx_backend_create(const vhostx_backend_options* options, vhostx_error* error) {
  return handle(run_for_object(error, [&]() -> vhostx::Result<std::unique_ptr<vhostx::Backend>> {
    auto known = read_options(options, backend_defaults, "vhostx_backend_options");
    if (!known) return std::move(known).error();
    auto converted = convert(*known);
    if (!converted) return std::move(converted).error();
    return vhostx::Backend::create(*std::move(converted));
  }));
}

void vhostx_backend_destroy(vhostx_backend* backend) { delete object(backend); }

void vhostx_backend_take_over(vhostx_backend* backend) { object(backend)->take_over(); }

void vhostx_backend_set_log_level(vhostx_backend* backend, int level) {
  if (level >= VHOSTX_LOG_DEBUG && level <= VHOSTX_LOG_ERROR)
    object(backend)->set_log_level(static_cast<vhostx::LogLevel>(level));
}

size_t vhostx_backend_run_control(vhostx_backend* backend, uint32_t wait_ms) {
  return object(backend)->run_control(std::chrono::milliseconds(wait_ms));
}

bool vhostx_recover_from_bus_error(const void* info) {
  return vhostx::recover_from_bus_error(*static_cast<const siginfo_t*>(info));
}
