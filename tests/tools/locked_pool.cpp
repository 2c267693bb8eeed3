// SPDX-License-Identifier: BSD-3-Clause
#include "tests/tools/locked_pool.hpp"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "tests/support/eal.hpp"

namespace vhostx::test {
namespace {

struct Stack {
  std::mutex lock;
  std::vector<void*> objects;
};
Stack& stack_of(const rte_mempool* pool) { return *static_cast<Stack*>(pool->pool_data); }

int alloc(rte_mempool* pool) {
  pool->pool_data = new Stack;
  return 0;
}
void free(rte_mempool* pool) { delete &stack_of(pool); }

int enqueue(rte_mempool* pool, void* const* objects, unsigned count) {
  auto& stack = stack_of(pool);
  const std::lock_guard guard(stack.lock);
  stack.objects.insert(stack.objects.end(), objects, objects + count);
  return 0;
}

int dequeue(rte_mempool* pool, void** objects, unsigned count) {
  auto& stack = stack_of(pool);
  const std::lock_guard guard(stack.lock);
  if (stack.objects.size() < count) return -ENOBUFS;
  std::copy_n(stack.objects.end() - count, count, objects);
  stack.objects.resize(stack.objects.size() - count);
  return 0;
}

unsigned count(const rte_mempool* pool) {
  auto& stack = stack_of(pool);
  const std::lock_guard guard(stack.lock);
  return static_cast<unsigned>(stack.objects.size());
}

void register_ops() {
  rte_mempool_ops ops{};
  std::string("vhostx-locked").copy(ops.name, sizeof ops.name - 1);
  ops.alloc = alloc;
  ops.free = free;
  ops.enqueue = enqueue;
  ops.dequeue = dequeue;
  ops.get_count = count;
  static const int registered = rte_mempool_register_ops(&ops);
  if (registered < 0) throw std::runtime_error("rte_mempool_register_ops");
}

}  // namespace

LockedPool::LockedPool(unsigned mbufs) {
  start_eal();
  register_ops();
  static int pools = 0;
  const auto name = "locked" + std::to_string(pools++);
  pool_ = rte_pktmbuf_pool_create_by_ops(name.c_str(), mbufs, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY,
                                         "vhostx-locked");
  if (pool_ == nullptr) throw std::runtime_error("rte_pktmbuf_pool_create_by_ops");
}

LockedPool::~LockedPool() { rte_mempool_free(pool_); }

}  // namespace vhostx::test
