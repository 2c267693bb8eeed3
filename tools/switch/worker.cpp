// SPDX-License-Identifier: BSD-3-Clause
// Worker: the polling loop, and how it falls asleep without missing a packet.
#include "tools/switch/worker.hpp"

#include <chrono>
#include <new>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_pause.h>

#include "tools/switch/event_queue.hpp"
#include "tools/switch/forwarders.hpp"
#include "tools/switch/packet_template.hpp"

namespace vhostx::tools {
namespace {

using namespace std::chrono_literals;

// Below a guest's usual pause between two packets of a busy connection; a kick costs a guest more than this costs us.
constexpr std::uint32_t idle_polls_min = 64;
constexpr std::uint64_t idle_us = 200;

// A guest whose ring is full is asked to kick; should it not, its backlog is looked at this often all the same.
constexpr auto sleep_with_backlog = 10ms;
// It has buffers, but too few for the packet that is next: not worth spinning.
constexpr auto sleep_with_buffers = 1ms;
// Letting go of a lane costs some system calls; the other lanes are polled in between.
constexpr std::uint32_t hand_over_max = 8;

/// The lane's kicks wake this waiter from now on, and no other one.
bool watch(Waiter& waiter, RxLane& lane) noexcept {
  return waiter.watch(*lane.vring).ok() && waiter.watch(*lane.tx->vring()).ok();
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::create(Fabric& fabric, const WorkerOptions& options) {
  auto waiter = Waiter::create();
  if (!waiter) return waiter.error();
  auto transfer = Transfer::create();
  if (!transfer) return transfer.error();
  return std::make_unique<Worker>(fabric, options, *std::move(waiter), *std::move(transfer));
}

Worker::Worker(Fabric& fabric, const WorkerOptions& options, std::unique_ptr<Waiter> waiter,
               std::unique_ptr<Transfer> transfer)
    : fabric_(fabric),
      options_(options),
      waiter_(std::move(waiter)),
      transfer_(std::move(transfer)),
      owner_(waiter_.get()),
      drops_(ports_max),
      lanes_version_(fabric.lanes_version.load(std::memory_order_relaxed) - 1),
      tid_(::gettid()) {}

Result<void> Worker::adopt(RxLane& lane) {
  lane.worker.store(options_.index, std::memory_order_relaxed);
  lane.wanted.store(options_.index, std::memory_order_relaxed);
  if (lane.device != nullptr) return waiter_->watch_fd(lane.device->fd());
  if (auto watched = waiter_->watch(*lane.vring); !watched) return watched;
  return waiter_->watch(*lane.tx->vring());
}

void Worker::stop() noexcept {
  stopping_.store(true, std::memory_order_relaxed);
  wake();
}

bool Worker::wait_until_it_stands(std::uint32_t number) noexcept {
  for (auto seen = stands_.load(std::memory_order_acquire);; seen = stands_.load(std::memory_order_acquire)) {
    if (seen == number) return has_room_;
    if (seen == runs_not) return true;  // run() makes room for what there is
    stands_.wait(seen, std::memory_order_acquire);
  }
}

bool Worker::run() noexcept {
  will_run();
  for (auto* lanes : {&lanes_, &active_}) lanes->reserve(fabric_.lanes.size());  // any lane may come
  armed_.reserve(fabric_.lanes.size());
  ended_.store(false, std::memory_order_relaxed);
  const bool ran = run_mode();
  while (refresh_lanes() != 0) continue;  // those that were asked for while it still polled
  ended_.store(true, std::memory_order_relaxed);
  will_not_run();
  stands_.notify_all();
  stopping_.store(false, std::memory_order_relaxed);
  return ran;
}

bool Worker::run_mode() noexcept {
  switch (fabric_.mode) {
    case Mode::learning:
      forward<LearningForwarder<TransferBurst>, LearningForwarder<MbufBurst>>();
      return true;
    case Mode::io:
      forward<PairForwarder<false, TransferBurst>, PairForwarder<false, MbufBurst>>();
      return true;
    case Mode::mac:
      forward<PairForwarder<true, TransferBurst>, PairForwarder<true, MbufBurst>>();
      return true;
    case Mode::rxonly:
      forward<DiscardForwarder<TransferBurst>, DiscardForwarder<MbufBurst>>();
      return true;
    case Mode::txonly:
      return generate();
  }
  return false;
}

template <typename Moving, typename Copying>
void Worker::forward() noexcept {
  poll(EitherForwarder<Moving, Copying>(fabric_, drops_, options_.pool, *transfer_));
}

bool Worker::generate() noexcept {
  const auto packets = udp_burst(options_.pool, options_.packet_size);
  if (packets[0] == nullptr) return false;
  poll(GeneratingForwarder(packets));
  release_burst(packets.data(), burst_max);
  return true;
}

template <typename Forwarder>
void Worker::poll(Forwarder&& forwarder) noexcept {
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (poll_once(forwarder) != 0)
      idle_polls_ = 0;
    else
      rest();
  }
}

template <typename Forwarder>
std::uint32_t Worker::poll_once(Forwarder& forwarder) noexcept {
  std::uint32_t moved = 0;
  if (fabric_.lanes_version.load(std::memory_order_acquire) != lanes_version_) [[unlikely]]
    moved = take_changes(forwarder);
  for (auto* lane : active_) moved += forwarder(*lane);
  if (owner_.backlogs() != 0) moved += flush_backlogs();
  return moved;
}

/// Between two rounds. The version is read before the standstill's number: see Standstill.
template <typename Forwarder>
std::uint32_t Worker::take_changes(Forwarder& forwarder) noexcept {
  auto moved = refresh_lanes();
  while (stood_still(forwarder)) moved += refresh_lanes();
  return moved;
}

/// Waits while somebody changes ports and lanes. False: nobody does.
template <typename Forwarder>
bool Worker::stood_still(Forwarder& forwarder) noexcept {
  const auto number = fabric_.standstill.load(std::memory_order_acquire);
  if (number % 2 == 0) return false;
  has_room_ = make_room(forwarder);
  stands_.exchange(number);  // a store could become visible after notify_all() has looked whether anybody waits
  stands_.notify_all();
  fabric_.standstill.wait(number, std::memory_order_acquire);
  return true;
}

/// On this thread, so that the room is on its node. False: no memory.
template <typename Forwarder>
bool Worker::make_room(Forwarder& forwarder) noexcept try {
  for (auto* lanes : {&lanes_, &active_}) lanes->reserve(fabric_.room.lanes);
  armed_.reserve(fabric_.room.lanes);
  forwarder.make_room(fabric_.room.tx_queues);
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

/// Between two rounds. Lets go of lanes that are wanted elsewhere, and looks up what is this worker's and what of it
/// runs. Returns how many lanes left; there may be more, for the next round.
std::uint32_t Worker::refresh_lanes() noexcept {
  lanes_version_ = fabric_.lanes_version.load(std::memory_order_acquire);
  lanes_.clear();
  active_.clear();
  std::uint32_t left = 0;
  for (const auto& lane : fabric_.lanes) {
    if (lane->worker.load(std::memory_order_acquire) != options_.index) continue;
    const auto wanted = lane->wanted.load(std::memory_order_relaxed);
    if (wanted != options_.index && left < hand_over_max && hand_over(*lane, wanted)) {
      ++left;
      continue;
    }
    lanes_.push_back(lane.get());  // within what run() and make_room() reserved
    const auto& runs = fabric_.mode == Mode::txonly ? lane->sends : lane->receives;
    if (runs.load(std::memory_order_relaxed)) active_.push_back(lane.get());
  }
  return left;  // each of which has made the version grow: this is called once more
}

/// No burst of the lane is under way, and its guest was not asked to kick: that is so between two rounds. Kicks wake
/// the other worker from now on; the backlog counts as its; then the lane does, with all that was written to it here
/// (release; refresh_lanes() acquires). It is woken, finds the lane and polls it before it sleeps. False: the kicks
/// cannot wake the other worker, and the lane stays.
bool Worker::hand_over(RxLane& lane, std::uint16_t to) noexcept {
  Worker& other = *fabric_.workers[to];
  if (!watch(*other.waiter_, lane)) {
    watch(*waiter_, lane);
    lane.wanted.compare_exchange_strong(to, options_.index, std::memory_order_relaxed);  // unless it is a third by now
    return false;
  }
  lane.tx->set_owner(other.owner_);
  lane.worker.store(to, std::memory_order_release);
  fabric_.lanes_changed();
  other.wake();
  if (fabric_.events != nullptr) fabric_.events->wake();
  return true;
}

std::uint32_t Worker::flush_backlogs() noexcept {
  std::uint32_t moved = 0;
  for (auto* lane : lanes_)
    if (lane->tx->has_backlog()) moved += lane->tx->flush();
  return moved;
}

/// One empty poll: goes on polling for a while, then sleeps.
void Worker::rest() noexcept {
  rte_pause();
  if (options_.busy_poll) return;
  if (active_.empty() && owner_.backlogs() == 0)
    return fabric_.paused.load(std::memory_order_relaxed) ? sleep_until_woken() : sleep();
  if (++idle_polls_ < idle_polls_min) return;
  const auto now = rte_get_tsc_cycles();
  if (idle_polls_ == idle_polls_min) idle_since_ = now;
  if (now - idle_since_ > rte_get_tsc_hz() / 1'000'000 * idle_us) sleep();
}

/// In a pause rings start and stop, and guests kick: nothing of it is for this thread. Whoever calls wake() has stored
/// before what is to be done.
void Worker::sleep_until_woken() noexcept {
  const auto seen = wakes_.load(std::memory_order_acquire);
  if (stopping_.load(std::memory_order_relaxed)) return;
  if (fabric_.lanes_version.load(std::memory_order_acquire) == lanes_version_)
    wakes_.wait(seen, std::memory_order_acquire);
  idle_polls_ = 0;
}

/// Asks for notifications first and looks once more then: a packet that came before the asking is seen by the asking
/// (Vring::set_notifications), one that came after it kicks.
void Worker::sleep() noexcept {
  auto timeout = options_.sleep_max;
  if (owner_.fall_asleep() != 0) timeout = sleep_with_backlog;
  bool work = false;
  if (fabric_.mode != Mode::txonly) work = arm_receivers(true);
  if (arm_senders()) timeout = sleep_with_buffers;
  if (!work) waiter_->wait(timeout);
  owner_.wake_up();
  disarm_senders();
  if (fabric_.mode != Mode::txonly) arm_receivers(false);
  idle_polls_ = 0;
}

bool Worker::arm_receivers(bool on) noexcept {
  bool work = false;
  for (auto* lane : active_)
    if (lane->vring != nullptr) work |= lane->vring->set_notifications(on);
  return work;
}

/// The guests that owe us receive buffers. Returns whether one of them has posted some already.
bool Worker::arm_senders() noexcept {
  bool buffers = false;
  for (auto* lane : fabric_.mode == Mode::txonly ? active_ : lanes_) {
    if (fabric_.mode != Mode::txonly && !lane->tx->has_backlog()) continue;
    buffers |= lane->tx->set_notifications(true);
    armed_.push_back(lane->tx);
  }
  return buffers;
}

void Worker::disarm_senders() noexcept {
  for (auto* queue : armed_) queue->set_notifications(false);
  armed_.clear();
}

}  // namespace vhostx::tools
