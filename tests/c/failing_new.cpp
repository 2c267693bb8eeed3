// SPDX-License-Identifier: BSD-3-Clause
#include "tests/c/failing_new.hpp"

#include <cstdlib>
#include <limits>
#include <new>

namespace vhostx::test {
namespace {

constexpr int never = std::numeric_limits<int>::max();
thread_local int left = never;

}  // namespace

FailingNew::FailingNew(int nth) noexcept { left = nth; }
FailingNew::~FailingNew() { left = never; }
bool FailingNew::struck() const noexcept { return left <= 0; }

static bool fails() noexcept { return left != never && --left <= 0; }

}  // namespace vhostx::test

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return vhostx::test::fails() ? nullptr : std::malloc(size);
}

void* operator new(std::size_t size) {
  void* const memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
