// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/check/dirty_log.hpp"

#include <algorithm>
#include <bit>
#include <unistd.h>

#include <sys/mman.h>

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

DirtyLog::DirtyLog(std::size_t offset) : file_(::memfd_create("vhostx-log", MFD_CLOEXEC)), offset_(offset) {
  if (!file_ || ::ftruncate(file_.get(), static_cast<off_t>(offset + bytes)) != 0)
    throw Decided{failed("no memory file")};
  void* const view = ::mmap(nullptr, offset + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (view == MAP_FAILED) throw Decided{failed("no view of a memory file")};
  view_ = static_cast<std::uint8_t*>(view);
}

DirtyLog::~DirtyLog() { ::munmap(view_, offset_ + bytes); }

// The text does not say what is in the reply, and back-ends differ: nothing, a number, or the request's own 16 bytes.
std::size_t DirtyLog::share(Guest& guest) const {
  Message message = make_request(Request::set_log_base, LogBase{bytes, offset_});
  message.add_fd(duplicate(file_.get()));
  const RawReply reply = guest.link().exchange(std::move(message));
  const std::size_t size = reply.payload.size();
  if (size != 0 && size != sizeof(U64) && size != sizeof(LogBase))
    throw Decided{failed("a reply of {} bytes: 0, 8 or 16 are in use", size)};
  return size;
}

bool DirtyLog::dirty(std::uint64_t guest_address) const noexcept {
  const std::uint64_t number = guest_address / page_bytes;
  return number / 8 < bytes && (__atomic_load_n(view_ + offset_ + number / 8, __ATOMIC_ACQUIRE) >> number % 8 & 1) != 0;
}

std::size_t DirtyLog::count() const noexcept {
  std::size_t marked = 0;
  for (std::size_t i = 0; i < bytes; ++i)
    marked += static_cast<std::size_t>(std::popcount(__atomic_load_n(view_ + offset_ + i, __ATOMIC_RELAXED)));
  return marked;
}

std::size_t DirtyLog::strays() const noexcept {
  return static_cast<std::size_t>(std::count_if(view_, view_ + offset_, [](std::uint8_t one) { return one != 0; }));
}

void DirtyLog::clear() noexcept { std::fill(view_, view_ + offset_ + bytes, std::uint8_t{0}); }

void set_logging(Guest& guest, bool on) {
  FeatureSet features = guest.features();
  if (on)
    features.set(VirtioFeature::vhost_log_all);
  else
    features.clear(VirtioFeature::vhost_log_all);
  guest.link().change(make_request(Request::set_features, U64{features.bits()}));
  guest.link().sync("SET_FEATURES on running rings");
}

void set_ring_logging(Guest& guest, std::uint32_t vring, bool on) {
  VringAddress addresses = guest.addresses(vring);
  addresses.flags = on ? vring_log : 0;
  addresses.log = logged_at(guest, vring);
  guest.link().change(make_request(Request::set_vring_addr, addresses));
  guest.link().sync("SET_VRING_ADDR on a running ring");
}

std::uint64_t logged_at(Guest& guest, std::uint32_t vring) {
  return guest_address_of(guest, reinterpret_cast<const void*>(guest.ring(vring).addresses(vring).used));
}

std::uint64_t used_ring_of(Guest& guest, std::uint32_t vring) {
  const VringAddress at = guest.ring(vring).addresses(vring);
  return guest_address_of(guest, reinterpret_cast<const void*>(guest.packed() ? at.descriptor : at.used));
}

std::uint64_t guest_address_of(Guest& guest, const void* at) {
  const MemoryRegion region = guest.memory().description(0);
  return region.guest_address + (reinterpret_cast<std::uint64_t>(at) - region.front_end_address);
}

}  // namespace vhostx::tools::probe
