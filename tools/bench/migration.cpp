// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/migration.hpp"

#include <cstring>

#include "base/error.hpp"

namespace vhostx::tools::bench {
namespace {

using namespace std::chrono_literals;
using protocol::FrontEndRequest;
using protocol::ProtocolFeature;

constexpr auto between_looks = 10ms;

}  // namespace

Result<std::unique_ptr<Migration>> Migration::begin(MovingEndpoint& guest, const GuestOptions& destination,
                                                    const MacAddress& mac) {
  auto front_end = VhostEndpoint::reach(destination);
  if (!front_end) return front_end.error();
  auto log = DirtyPages::create(guest.guest().memory().guest_end());
  if (!log) return log.error();
  if (auto begun = guest.guest().memory().begin_copy(); !begun) return begun.error();
  std::unique_ptr<Migration> migration(new Migration(guest, destination, mac, *std::move(log), *std::move(front_end)));
  migration->thread_ = std::thread([&one = *migration] { one.run(); });
  return migration;
}

Migration::~Migration() {
  finish();
  if (thread_.joinable()) thread_.join();
}

Result<MoveSteps> Migration::result() {
  thread_.join();
  if (!outcome_) return outcome_.error();
  return steps_;
}

void Migration::run() noexcept {
  outcome_ = move();
  ready_.store(true, std::memory_order_release);
  done_.store(true, std::memory_order_release);
}

Result<void> Migration::move() {
  if (auto logged = switch_log_on(); !logged) return logged;
  copy_while_it_runs();
  guest_.take_away();
  auto moved = copy_while_it_rests();
  guest_.put_back();
  return moved ? announce() : moved;
}

/// In QEMU's order. The reply's payload is said nowhere, and back-ends differ.
Result<void> Migration::switch_log_on() {
  VhostEndpoint& guest = guest_.guest();
  auto request = protocol::make_request(FrontEndRequest::set_log_base, protocol::LogBase{log_.bytes(), 0});
  request.add_fd(duplicate(log_.fd()));
  if (auto reply = guest.front_end().ask(request); !reply) return reply.error();
  return guest.log_rings(true);
}

void Migration::copy_while_it_runs() {
  SharedMemory& memory = guest_.guest().memory();
  const auto begin = MoveSteps::Clock::now();
  steps_.pages_in_all = memory.bytes() / DirtyPages::page_bytes;
  memory.copy_all();
  ready_.store(true, std::memory_order_release);
  while (!finish_.load(std::memory_order_acquire)) {
    std::this_thread::sleep_for(between_looks);
    steps_.pages_dirtied += log_.take([&](std::uint64_t page) { memory.copy_page(page); });
    ++steps_.looks;
  }
  steps_.logged_seconds = std::chrono::duration<double>(MoveSteps::Clock::now() - begin).count();
}

Result<void> Migration::copy_while_it_rests() {
  VhostEndpoint& guest = guest_.guest();
  SharedMemory& memory = guest.memory();
  steps_.left = MoveSteps::Clock::now();
  const auto bases = guest.stop_rings();
  if (!bases) return bases.error();
  steps_.stopped = MoveSteps::Clock::now();
  steps_.pages_at_stop = log_.take([&](std::uint64_t page) { memory.copy_page(page); });
  // What the guest itself wrote, which a hypervisor logs: all of it, to be short.
  guest.for_each_written([&](const void* at, std::size_t bytes) { memory.copy_bytes(at, bytes); });
  if (auto adopted = memory.adopt_copy(); !adopted) return adopted;
  steps_.copied = MoveSteps::Clock::now();
  auto gone_on = guest.go_on_at(destination_, std::move(front_end_), *bases);
  steps_.started = MoveSteps::Clock::now();
  return gone_on;
}

Result<void> Migration::announce() {
  FrontEnd& front_end = guest_.guest().front_end();
  if (!front_end.protocol_features().has(ProtocolFeature::rarp)) return {};
  std::uint64_t value = 0;
  std::memcpy(&value, mac_.data(), mac_.size());
  return front_end.set_u64(FrontEndRequest::send_rarp, value);
}

}  // namespace vhostx::tools::bench
