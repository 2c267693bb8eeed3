// SPDX-License-Identifier: BSD-3-Clause
#include "tests/faults/injector.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <new>
#include <unistd.h>

#include <sys/syscall.h>

// In builds with a sanitizer.
extern "C" void __sanitizer_print_stack_trace() __attribute__((weak));

namespace vhostx::test {
namespace {

constexpr std::size_t call_count = static_cast<std::size_t>(Call::count);

constexpr std::array<const char*, call_count> names{
    "allocation",    "aligned_alloc", "accept4",    "bind",           "connect",
    "epoll_create1", "epoll_ctl",     "epoll_wait", "eventfd",        "fcntl",
    "fstat",         "fstatfs",       "getsockopt", "listen",         "lstat",
    "madvise",       "mbind",         "mincore",    "mmap",           "move_pages",
    "poll",          "read",          "readlink",   "recvmsg",        "rte_extmem_register",
    "sendmsg",       "socket",        "syscall",    "timerfd_create", "unlink",
    "write"};

std::array<std::atomic<unsigned>, call_count> seen;
std::atomic<bool> counting{false};
std::atomic<bool> struck{false};
// Written while nothing counts.
Injection armed;

// The test's own thread is the process's first.
bool is_other_thread() noexcept { return ::gettid() != ::getpid(); }
thread_local bool in_library = is_other_thread();

const bool traced = std::getenv("VHOSTX_INJECT") != nullptr;

}  // namespace

bool fails(Call call) noexcept {
  if (!counting.load(std::memory_order_acquire) || !in_library) return false;
  const unsigned nth = 1 + seen[static_cast<std::size_t>(call)].fetch_add(1, std::memory_order_relaxed);
  if (call != armed.call || nth != armed.nth) return false;
  struck.store(true, std::memory_order_relaxed);
  if (traced && __sanitizer_print_stack_trace != nullptr) __sanitizer_print_stack_trace();
  errno = armed.error;
  return true;
}

const char* name_of(Call call) noexcept { return names[static_cast<std::size_t>(call)]; }

std::string Injection::text() const {
  return std::string(name_of(call)) + " number " + std::to_string(nth) +
         (error == 0 ? std::string() : std::string(": ") + std::strerror(error));
}

void arm(const Injection& injection) noexcept {
  disarm();
  for (auto& count : seen) count.store(0, std::memory_order_relaxed);
  struck.store(false, std::memory_order_relaxed);
  armed = injection;
  counting.store(true, std::memory_order_release);
}

void count_calls() noexcept { arm({}); }

void disarm() noexcept { counting.store(false, std::memory_order_release); }

bool has_struck() noexcept { return struck.load(std::memory_order_relaxed); }

unsigned calls_seen(Call call) noexcept { return seen[static_cast<std::size_t>(call)].load(std::memory_order_relaxed); }

bool is_in_library() noexcept { return in_library; }

CallsAre::CallsAre(bool of_the_library) noexcept : before_(in_library) { in_library = of_the_library; }

CallsAre::~CallsAre() { in_library = before_; }

namespace {

void* allocate(std::size_t size, std::size_t alignment) {
  const bool failed = fails(Call::allocation);
  void* const memory = failed ? nullptr
                       : alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__
                           ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
                           : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace
}  // namespace vhostx::test

void* operator new(std::size_t size) { return vhostx::test::allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return vhostx::test::allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return vhostx::test::allocate(size, 0);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
