// SPDX-License-Identifier: BSD-3-Clause
#include "memory/bus_errors.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <unistd.h>
#include <utility>

#include <sys/mman.h>
#include <sys/syscall.h>

namespace vhostx::memory {

/// What the handler reads: atomics only, in memory that is never freed.
struct LosableMapping::Slot {
  static constexpr std::uint64_t whole = ~std::uint64_t{0};

  std::atomic<std::uint64_t> begin = 0;  // 0: free; written last when taken
  std::atomic<std::uint64_t> size = 0;
  std::atomic<std::uint64_t> lost_at = whole;
  std::atomic<int> alarm = -1;
  std::atomic<TouchBudget*> budget = nullptr;
  std::atomic<bool> no_room = false;
  std::atomic<std::uint64_t> tried = 0;  // address of the page that was allocated last
  std::atomic<unsigned> tries = 0;       // how often in a row
};

namespace {

using Slot = LosableMapping::Slot;

struct Chunk {
  std::array<Slot, 64> slots;
  std::atomic<Chunk*> next = nullptr;
};

// Global, as signal handlers are. Initialised before the program's first instruction.
constinit Chunk first_chunk;
constinit std::mutex slots_lock;  // for taking and returning slots; the handler takes no lock
constinit struct sigaction action_before {};

// Under the lock.
Slot& free_slot() {
  for (Chunk* chunk = &first_chunk;; chunk = chunk->next.load(std::memory_order_relaxed)) {
    for (Slot& slot : chunk->slots)
      // Pairs with the destructor's release: what handlers stored for the former mapping comes before our stores.
      if (slot.begin.load(std::memory_order_acquire) == 0) return slot;
    if (chunk->next.load(std::memory_order_relaxed) == nullptr)
      chunk->next.store(new Chunk, std::memory_order_release);  // stays: a handler may be looking at it
  }
}

Slot& take_slot(HostSpan mapping, int alarm, TouchBudget* budget) {
  const std::lock_guard guard(slots_lock);
  Slot& slot = free_slot();
  slot.lost_at.store(Slot::whole, std::memory_order_relaxed);
  slot.alarm.store(alarm, std::memory_order_relaxed);
  slot.budget.store(budget, std::memory_order_relaxed);
  slot.no_room.store(false, std::memory_order_relaxed);
  slot.tries.store(0, std::memory_order_relaxed);
  slot.size.store(mapping.size, std::memory_order_release);
  slot.begin.store(reinterpret_cast<std::uint64_t>(mapping.data), std::memory_order_release);
  return slot;
}

// Slots of other mappings may be taken or returned meanwhile. The slot that holds `address` cannot: it is in use, and
// was filled before this thread knew of the mapping. For another slot we might see a new size beside an old begin. The
// second load of begin detects that: whoever stored the size had found 0 in begin, and size is acquired.
Slot* find_slot(std::uint64_t address) noexcept {
  for (Chunk* chunk = &first_chunk; chunk != nullptr; chunk = chunk->next.load(std::memory_order_acquire)) {
    for (Slot& slot : chunk->slots) {
      const std::uint64_t begin = slot.begin.load(std::memory_order_acquire);
      const std::uint64_t size = slot.size.load(std::memory_order_acquire);
      if (begin != 0 && address - begin < size && slot.begin.load(std::memory_order_relaxed) == begin) return &slot;
    }
  }
  return nullptr;
}

// Replaces the whole mapping: a file that is shrunk page by page would otherwise cost a signal for each page. Not by
// mmap(): a sanitizer's is not for signal handlers, and ThreadSanitizer takes it for a write into memory that other
// threads read.
bool replace(Slot& slot, std::uint64_t address) noexcept {
  const std::uint64_t begin = slot.begin.load(std::memory_order_relaxed);
  constexpr int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (::syscall(SYS_mmap, begin, slot.size.load(std::memory_order_relaxed), PROT_READ | PROT_WRITE, flags, -1, 0L) < 0)
    return false;
  slot.lost_at.store(address - begin, std::memory_order_release);
  if (const int alarm = slot.alarm.load(std::memory_order_relaxed); alarm >= 0) {
    constexpr std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(alarm, &one, sizeof one);  // EAGAIN: signalled already
  }
  return true;
}

// Whether the access can continue with a newly allocated page. If it fails again and again, there is another reason:
// tries_max bounds the number of signals.
bool allocate_page(Slot& slot, std::uint64_t address) noexcept {
  constexpr unsigned tries_max = 1000;
  TouchBudget* const budget = slot.budget.load(std::memory_order_relaxed);
  if (budget == nullptr) return false;
  if (slot.tried.exchange(address, std::memory_order_relaxed) != address)
    slot.tries.store(0, std::memory_order_relaxed);
  else if (slot.tries.fetch_add(1, std::memory_order_relaxed) >= tries_max)
    return false;
  const FirstTouch outcome = allocate(address, *budget);
  if (outcome == FirstTouch::no_room) slot.no_room.store(true, std::memory_order_relaxed);
  return outcome == FirstTouch::allocated;
}

// As without our handler. A fault happens again when the handler returns, and then ends the process.
void pass_on(int signal, siginfo_t* info, void* context) noexcept {
  const struct sigaction& before = action_before;
  if ((before.sa_flags & SA_SIGINFO) != 0) return before.sa_sigaction(signal, info, context);
  if (before.sa_handler == SIG_IGN && info->si_code <= 0) return;  // sent by a process; a fault cannot be ignored
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
  ::signal(signal, SIG_DFL);
  if (info->si_code <= 0) ::raise(signal);
}

void on_bus_error(int signal, siginfo_t* info, void* context) noexcept {
  const int error = errno;
  if (!recover_from_bus_error(*info)) pass_on(signal, info, context);
  errno = error;
}

bool install() noexcept {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  return ::sigaction(SIGBUS, nullptr, &action_before) == 0 && ::sigaction(SIGBUS, &action, nullptr) == 0;
}

}  // namespace

LosableMapping::LosableMapping(HostSpan mapping, std::shared_ptr<const EventFd> alarm,
                               std::shared_ptr<TouchBudget> budget)
    : slot_(&take_slot(mapping, alarm == nullptr ? -1 : alarm->get(), budget.get())),
      alarm_(std::move(alarm)),
      budget_(std::move(budget)) {}

LosableMapping::~LosableMapping() { slot_->begin.store(0, std::memory_order_release); }

std::optional<std::uint64_t> LosableMapping::lost_at() const noexcept {
  const std::uint64_t at = slot_->lost_at.load(std::memory_order_acquire);
  if (at == Slot::whole) return std::nullopt;
  return at;
}

const MemoryLimit* LosableMapping::no_room_in() const noexcept {
  return budget_ != nullptr && slot_->no_room.load(std::memory_order_relaxed) ? &budget_->limit() : nullptr;
}

bool handle_bus_errors() noexcept {
  static const bool installed = install();
  return installed;
}

bool recover_from_bus_error(const siginfo_t& info) noexcept {
  if (info.si_code != BUS_ADRERR && info.si_code != BUS_MCEERR_AR) return false;
  const auto address = reinterpret_cast<std::uint64_t>(info.si_addr);
  Slot* const slot = find_slot(address);
  if (slot == nullptr) return false;
  return (info.si_code == BUS_ADRERR && allocate_page(*slot, address)) || replace(*slot, address);
}

}  // namespace vhostx::memory
