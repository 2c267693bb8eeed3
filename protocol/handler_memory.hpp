// SPDX-License-Identifier: BSD-3-Clause
// HandlerMemory: memory for operations that wait on Asio's loop, allocated with its owner, so that they can start even
// without free memory.
//
//   socket.async_wait(socket_base::wait_read, kept_in(memory, [self = shared_from_this()](std::error_code) { ... }));
#pragma once

#include <array>
#include <cstddef>
#include <new>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

namespace vhostx::protocol {

/// Memory for `slots` operations at the same time. More, or larger ones, come from the heap. It must outlive operations
/// in it, which a handler ensures by holding its owner. One thread at a time.
template <std::size_t slots>
class HandlerMemory {
 public:
  HandlerMemory() = default;
  HandlerMemory(const HandlerMemory&) = delete;
  HandlerMemory& operator=(const HandlerMemory&) = delete;

  void* allocate(std::size_t bytes) {
    for (Slot& slot : slots_) {
      if (slot.taken || bytes > sizeof slot.bytes) continue;
      slot.taken = true;
      return slot.bytes;
    }
    return ::operator new(bytes);
  }
  void deallocate(void* at) noexcept {
    for (Slot& slot : slots_)
      if (at == slot.bytes) {
        slot.taken = false;
        return;
      }
    ::operator delete(at);
  }

 private:
  struct Slot {
    alignas(std::max_align_t) std::byte bytes[240];  // Asio needs less than 200 for the largest handler here
    bool taken = false;
  };
  std::array<Slot, slots> slots_;
};

template <typename T, typename Memory>
class HandlerAllocator {
 public:
  using value_type = T;

  explicit HandlerAllocator(Memory& memory) noexcept : memory_(&memory) {}
  template <typename U>
  HandlerAllocator(const HandlerAllocator<U, Memory>& other) noexcept : memory_(other.memory_) {}

  T* allocate(std::size_t count) { return static_cast<T*>(memory_->allocate(count * sizeof(T))); }
  void deallocate(T* at, std::size_t) noexcept { memory_->deallocate(at); }
  template <typename U>
  bool operator==(const HandlerAllocator<U, Memory>& other) const noexcept {
    return memory_ == other.memory_;
  }

 private:
  template <typename, typename>
  friend class HandlerAllocator;

  Memory* memory_;
};

/// A handler that Asio keeps in `memory` while it waits.
template <typename Memory, typename Handler>
class KeptHandler {
 public:
  using allocator_type = HandlerAllocator<void, Memory>;

  KeptHandler(Memory& memory, Handler handler) : memory_(&memory), handler_(std::move(handler)) {}

  allocator_type get_allocator() const noexcept { return allocator_type(*memory_); }
  template <typename... Args>
  void operator()(Args&&... args) {
    handler_(std::forward<Args>(args)...);
  }

 private:
  Memory* memory_;
  Handler handler_;
};

template <typename Memory, typename Handler>
KeptHandler<Memory, Handler> kept_in(Memory& memory, Handler handler) {
  return {memory, std::move(handler)};
}

/// asio::post() that keeps the handler in `memory`, which posting through a type-erased any_io_executor does not.
template <typename Memory, typename Handler>
void post_kept(asio::any_io_executor executor, Memory& memory, Handler handler) {
  if (auto* const loop = executor.target<asio::io_context::executor_type>())
    asio::post(*loop, kept_in(memory, std::move(handler)));
  else
    asio::post(executor, std::move(handler));
}

}  // namespace vhostx::protocol
