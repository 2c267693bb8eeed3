// SPDX-License-Identifier: BSD-3-Clause
// PortCore: what other threads have asked the control thread for.
#include <exception>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "backend/port_core.hpp"

namespace vhostx::backend {
namespace {

/// Its number and its name. Threads of this process alone: no file of a peer's is read.
std::string describe_thread(std::uint32_t number) {
  std::string name;
  std::getline(std::ifstream(fmt::format("/proc/self/task/{}/comm", number)), name);
  return fmt::format("thread {} ({})", number, name.empty() ? "ended since" : name);
}

}  // namespace

void PortCore::watch_attention() {
  attention_watch_ = std::make_unique<FdWatch>(executor(), parts_.attention->get(), [this] {
    parts_.attention->drain();  // before attend() looks: what comes later is signalled again
    attention_watch_->arm();
    attend();
  });
  attention_watch_->arm();
}

void PortCore::serve_signals() {
  if (const auto served = parts_.signals->serve(); !served) parts_.log.warning("{}", served.error().message);
  if (const std::uint64_t us = parts_.signals->take_report(); us != 0)
    parts_.log.warning(
        "a signal to an eventfd of the front-end took {} us of processor time, expected less than 200: too many wait "
        "for "
        "it; a thread of its own makes the signals now, with pauses",
        us);
}

void PortCore::attend() {
  const auto self = shared_from_this();
  serve_signals();
  attend_keeper();
  if (closed_) return;
  report_missed_vring();
  try {
    report_misuse();
  } catch (const std::exception& error) {  // the rings are served all the same
    parts_.log.error("a report is lost: {}", error.what());
  }
  if (session_ == nullptr) return deliver();  // what disconnect() left
  if (auto lost = session_->device().memory_lost()) return end_session(std::move(*lost));
  run_turn([this] {
    for (const auto& ring : session_->device().rings()) ring->serve_attention();
  });
}

void PortCore::missed_vring(std::uint32_t index) noexcept {
  std::uint64_t none = 0;
  if (missed_vring_.compare_exchange_strong(none, std::uint64_t{index} + 1, std::memory_order_relaxed))
    parts_.attention->signal();
}

void PortCore::report_missed_vring() {
  const std::uint64_t missed = missed_vring_.load(std::memory_order_relaxed);
  if (missed == 0 || std::exchange(missed_vring_reported_, true)) return;
  parts_.log.warning(
      "vring {} was asked for, expected 0 to {}: queue_pairs_max is {}. More of this port is not reported", missed - 1,
      vring_count() - 1, parts_.options.queue_pairs_max);
}

void PortCore::report_misuse() {
  for (const auto& vring : parts_.vrings) {
    if (const auto misuse = vring->take_misuse())
      parts_.log.error(
          "vring {}: {} called it while {} was in a call of the same vring, expected one thread at a time. "
          "The call did nothing. More of this vring is not reported",
          vring->index(), describe_thread(misuse->refused), describe_thread(misuse->inside));
    if (const auto fault = vring->take_pool_fault())
      parts_.log.error(
          "vring {}: {}. Its bursts do nothing, counter stall_bad_pool. More of this vring is not reported",
          vring->index(), describe(*fault));
  }
}

}  // namespace vhostx::backend
