// SPDX-License-Identifier: BSD-3-Clause
#include <cerrno>
#include <chrono>
#include <exception>
#include <utility>

#include <rte_eal.h>
#include <rte_lcore.h>

#include <vhostx/backend.hpp>

#include "backend/backend_state.hpp"
#include "backend/loop/control_loop.hpp"
#include "backend/port_core.hpp"
#include "backend/port_options.hpp"
#include "base/descriptor_table.hpp"
#include "base/error.hpp"
#include "base/peer_signals.hpp"
#include "continuity/keeper_service.hpp"
#include "continuity/kept_bundle.hpp"
#include "memory/bus_errors.hpp"
#include "memory/first_touch.hpp"

namespace vhostx {
namespace {

// No exception crosses the library's boundary; what can throw below is out of memory, or Asio out of descriptors.
template <typename Make>
auto guarded(Make make) noexcept -> decltype(make()) {
  try {
    return make();
  } catch (const std::system_error& error) {
    return Error{ErrorCode::system, error.what(), error.code().value()};
  } catch (const std::exception&) {
    return Error{ErrorCode::out_of_memory, {}, 0};
  }
}

// Bursts take mbufs, zero copy registers memory with EAL. Without EAL the first of these calls would crash.
Result<void> check_eal() {
  if (rte_lcore_count() != 0 && rte_eal_iova_mode() != RTE_IOVA_DC) return {};
  return invalid_argument("EAL is not initialised, expected a successful rte_eal_init() before the first Backend");
}

Result<void> check_keeper(const BackendOptions& options) {
  constexpr std::chrono::hours grace_max{24};
  constexpr std::size_t path_max = 107;  // sun_path without its terminating zero
  if (options.keeper.size() > path_max)
    return invalid_argument("keeper has {} bytes, expected a socket's path of at most {}", options.keeper.size(),
                            path_max);
  if (!options.keeper.empty() && options.keeper_service != nullptr)
    return invalid_argument("keeper is '{}', and there is a keeper_service: expected one of them", options.keeper);
  if (options.keeper_grace.count() < 0 || options.keeper_grace > grace_max)
    return invalid_argument("keeper_grace is {} ms, expected 0 to {}", options.keeper_grace.count(),
                            std::chrono::milliseconds(grace_max).count());
  return {};
}

void set_up_keeper(backend::ControlLoop& loop, BackendOptions& options) {
  if (!options.keeper.empty()) {
    options.keeper_service = std::make_shared<continuity::KeptBundles>(options.keeper);
    loop.hold_memory();
  }
  if (options.keeper_service == nullptr) return;
  make_room_for_descriptors();  // those of ports that are taken over
  loop.set_keepers([keepers = options.keeper_service](const std::string& bundle) { return keepers->open(bundle); });
}

}  // namespace

bool recover_from_bus_error(const siginfo_t& info) noexcept { return memory::recover_from_bus_error(info); }

Result<std::unique_ptr<Backend>> Backend::create(BackendOptions options) noexcept {
  return guarded([&]() -> Result<std::unique_ptr<Backend>> {
    if (auto good = check_eal(); !good) return std::move(good).error();
    if (options.bus_errors == BusErrors::handle && !memory::handle_bus_errors())
      return make_system_error(errno, "sigaction for SIGBUS");
    if (auto good = check_keeper(options); !good) return std::move(good).error();
    if (auto good = backend::check_options(options.state); !good) return std::move(good).error();
    auto loop = backend::ControlLoop::create(options);
    if (!loop) return std::move(loop).error();
    set_up_keeper(**loop, options);
    if (const auto good = prepare_peer_signals(); !good)
      (*loop)->log().warning("a front-end can delay the threads that signal its call eventfd: {}",
                             good.error().message);
    if (options.bus_errors == BusErrors::handle)
      if (const auto good = memory::guard_first_touches(); !good)
        (*loop)->log().warning("front-ends can use up the memory limit of this process with sparse files: {}",
                               good.error().message);
    if (!options.state.name.empty() && options.keeper_service != nullptr)
      if (auto opened = backend::BackendState::open(**loop, std::move(options.state)); !opened)
        return std::move(opened).error();
    return std::make_unique<Backend>(std::move(loop).value());
  });
}

Backend::Backend(std::shared_ptr<backend::ControlLoop> loop) noexcept : loop_(std::move(loop)) {}

Backend::~Backend() { loop_->shut_down(); }

Result<std::unique_ptr<Port>> Backend::open_port(PortOptions options, EventHandler on_event) noexcept {
  return guarded([&]() -> Result<std::unique_ptr<Port>> {
    auto core = backend::PortCore::create(loop_, std::move(options), std::move(on_event));
    if (!core) return std::move(core).error();
    auto port = std::make_unique<Port>(*core);
    Result<void> opened;
    loop_->post_and_wait([&] { opened = (*core)->open(); });
    if (!opened) return std::move(opened).error();
    return port;
  });
}

void Backend::take_over() noexcept {
  loop_->post_and_wait([this] { loop_->take_over(); });
}

void Backend::set_log_level(LogLevel level) noexcept { loop_->log().set_level(level); }

std::size_t Backend::run_control(std::chrono::milliseconds wait) noexcept { return loop_->run_for(wait); }

}  // namespace vhostx
