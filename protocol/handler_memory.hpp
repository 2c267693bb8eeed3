// SPDX-License-Identifier: BSD-3-Clause
// HandlerMemory: memory for operations that wait on Asio's loop, allocated with its owner, so that they can start even
// without free memory.
//
//   socket.async_wait(socket_base::wait_read, kept_in(memory, [self = shared_from_this()](std::error_code) { ... }));
#pragma once

#include <array>
#include <cstddef>
#include <memory_resource>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/bind_allocator.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>

namespace vhostx::protocol {

/// Memory for `slots` operations at the same time. More, or larger ones, come from the heap. It must outlive operations
/// in it, which a handler ensures by holding its owner. One thread at a time.
template <std::size_t slots>
class HandlerMemory : public std::pmr::memory_resource {
 public:
  HandlerMemory() = default;
  HandlerMemory(const HandlerMemory&) = delete;
  HandlerMemory& operator=(const HandlerMemory&) = delete;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    for (Slot& slot : slots_) {
      if (slot.taken || bytes > sizeof slot.bytes) continue;
      slot.taken = true;
      return slot.bytes;
    }
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* at, std::size_t bytes, std::size_t alignment) noexcept override {
    for (Slot& slot : slots_)
      if (at == slot.bytes) {
        slot.taken = false;
        return;
      }
    std::pmr::new_delete_resource()->deallocate(at, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  struct Slot {
    alignas(std::max_align_t) std::byte bytes[240];  // Asio needs less than 200 for the largest handler here
    bool taken = false;
  };
  std::array<Slot, slots> slots_;
};

/// A handler that Asio keeps in `memory` while it waits.
template <typename Handler>
auto kept_in(std::pmr::memory_resource& memory, Handler handler) {
  return asio::bind_allocator(std::pmr::polymorphic_allocator<std::byte>(&memory), std::move(handler));
}

/// asio::post() that keeps the handler in `memory`, which posting through a type-erased any_io_executor does not.
template <typename Handler>
void post_kept(asio::any_io_executor executor, std::pmr::memory_resource& memory, Handler handler) {
  if (auto* const loop = executor.target<asio::io_context::executor_type>())
    asio::post(*loop, kept_in(memory, std::move(handler)));
  else
    asio::post(executor, std::move(handler));
}

}  // namespace vhostx::protocol
