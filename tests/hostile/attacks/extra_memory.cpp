// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/attacks/extra_memory.hpp"

#include <chrono>
#include <fcntl.h>
#include <thread>

#include <sys/mman.h>

namespace vhostx::hostile {

using namespace protocol;

MemoryRegion slot_at(std::uint64_t address, std::uint64_t bytes, std::uint64_t offset) {
  return {address, bytes, address, offset};
}
Message add_slot(const MemoryRegion& slot, UniqueFd fd) {
  return with_fd(make_request(Request::add_mem_reg, SingleMemoryRegion{0, slot}), std::move(fd));
}
Message remove_slot(const MemoryRegion& slot) {
  return make_request(Request::rem_mem_reg, SingleMemoryRegion{0, slot});
}

ExtraMemory::ExtraMemory(Attacker& attacker, std::size_t bytes, std::uint64_t guest)
    : file_(memory_file(bytes)), bytes_(bytes), guest_(guest) {
  void* const view = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_.get(), 0);
  if (view == MAP_FAILED) throw tools::probe::Decided{tools::probe::failed("{} bytes are not mapped", bytes)};
  view_ = static_cast<std::uint8_t*>(view);
  attacker.link().change(add_slot(slot_at(guest, bytes), tools::duplicate(file_.get())));
}

ExtraMemory::~ExtraMemory() { ::munmap(view_, bytes_); }

void ExtraMemory::punch(std::size_t offset, std::size_t bytes) const {
  ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(bytes));
}

void let_it_work(unsigned milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

}  // namespace vhostx::hostile
