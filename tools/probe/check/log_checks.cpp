// SPDX-License-Identifier: BSD-3-Clause
// The log of pages that the back-end has written (vhost-user "Migration").
#include <algorithm>
#include <unistd.h>

#include <sys/mman.h>

#include "tools/probe/check/check.hpp"
#include "tools/probe/check/feed.hpp"

namespace vhostx::tools::probe {

using namespace protocol;
using Request = FrontEndRequest;

namespace {

constexpr std::uint64_t page = 4096;
constexpr std::size_t log_bytes = std::size_t{1} << 18;  // 8 GiB of guest memory

/// A bit for each page of guest memory.
class DirtyLog {
 public:
  DirtyLog() : file_(::memfd_create("vhostx-log", MFD_CLOEXEC)) {
    if (!file_ || ::ftruncate(file_.get(), log_bytes) != 0) throw Decided{failed("no memory file")};
    void* const view = ::mmap(nullptr, log_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (view == MAP_FAILED) throw Decided{failed("no view of a memory file")};
    bits_ = static_cast<std::uint8_t*>(view);
  }
  DirtyLog(const DirtyLog&) = delete;
  DirtyLog& operator=(const DirtyLog&) = delete;
  ~DirtyLog() { ::munmap(bits_, log_bytes); }

  int fd() const noexcept { return file_.get(); }
  bool dirty(std::uint64_t guest) const noexcept {
    const std::uint64_t number = guest / page;
    return number / 8 < log_bytes && (__atomic_load_n(bits_ + number / 8, __ATOMIC_ACQUIRE) >> number % 8 & 1) != 0;
  }
  void clear() noexcept { std::fill(bits_, bits_ + log_bytes, std::uint8_t{0}); }

 private:
  UniqueFd file_;
  std::uint8_t* bits_ = nullptr;
};

GuestPlan with_log() { return {.features = {VirtioFeature::vhost_log_all}, .protocol = {ProtocolFeature::log_shmfd}}; }

/// The size of the reply. The text does not say what is in it, and back-ends differ: nothing, a number, or the
/// request's own 16 bytes.
std::size_t set_log_base(Guest& guest, const DirtyLog& log) {
  Message message = make_request(Request::set_log_base, LogBase{log_bytes, 0});
  message.add_fd(duplicate(log.fd()));
  const RawReply reply = guest.link().exchange(std::move(message));
  const std::size_t bytes = reply.payload.size();
  if (bytes != 0 && bytes != sizeof(U64) && bytes != sizeof(LogBase))
    throw Decided{failed("a reply of {} bytes: 0, 8 or 16 are in use", bytes)};
  return bytes;
}

std::uint64_t guest_address(Guest& guest, const void* at) {
  const MemoryRegion region = guest.memory().description(0);
  return region.guest_address + (reinterpret_cast<std::uint64_t>(at) - region.front_end_address);
}

/// The ring's addresses again, now with its log.
std::uint64_t log_used_ring(Guest& guest, std::uint32_t vring) {
  VringAddress addresses = guest.ring(vring).addresses(vring);
  addresses.flags = vring_log;
  addresses.log = guest_address(guest, reinterpret_cast<const void*>(addresses.used));
  guest.link().change(make_request(Request::set_vring_addr, addresses));
  return addresses.log;
}

Verdict log_base_reply(const Subject& subject) {
  need_offered(subject, VirtioFeature::vhost_log_all);
  Guest guest(subject, {.protocol = {ProtocolFeature::log_shmfd}});
  const DirtyLog log;
  const auto bytes = set_log_base(guest, log);
  guest.link().sync("SET_LOG_BASE");
  return passed("a reply of {} bytes, once", bytes);
}

Verdict used_ring_is_logged(const Subject& subject) {
  need_net(subject);
  Guest guest(subject, with_log());
  DirtyLog log;
  set_log_base(guest, log);
  guest.start();
  guest.send(1);
  guest.await_sent("a ring before its log");
  const auto used = log_used_ring(guest, 1);
  guest.link().sync("SET_VRING_ADDR with a log");
  log.clear();
  guest.send(4);
  guest.await_sent("a ring with a log");
  if (!guest.wait([&] { return log.dirty(used); })) return failed("the used ring was written, and its page is clean");
  return passed("the used ring's page is dirty");
}

Verdict received_frame_is_logged(const Subject& subject) {
  Guest guest(subject, with_log());
  Feed feed(guest);
  DirtyLog log;
  set_log_base(guest, log);
  guest.start();
  feed.until_arrival();
  feed.settle();
  log.clear();
  feed.until_arrival();
  const DriverRing& ring = guest.receive();
  for (std::uint16_t chain = 0; chain < ring.chain_count(); ++chain)
    if (log.dirty(guest_address(guest, ring.buffer(chain)))) return passed("a buffer's page is dirty");
  return failed("a frame was written, and no buffer's page is dirty");
}

Verdict logging_off_is_silent(const Subject& subject) {
  need_net(subject);
  need_offered(subject, VirtioFeature::vhost_log_all);
  Guest guest(subject, {.protocol = {ProtocolFeature::log_shmfd}});
  DirtyLog log;
  set_log_base(guest, log);
  const auto used = guest_address(guest, reinterpret_cast<const void*>(guest.ring(1).addresses(1).used));
  guest.start();
  guest.send(4);
  guest.await_sent("a ring without a log");
  guest.link().sync("frames");
  return log.dirty(used) ? failed("a page is dirty without VHOST_F_LOG_ALL") : passed("no page is dirty");
}

}  // namespace

void add_log_checks(Checks& checks) {
  const char* const section = "Migration";
  checks.push_back(
      {"log.base-reply", "VHOST_USER_SET_LOG_BASE", "SET_LOG_BASE has one reply of a known form", log_base_reply});
  checks.push_back(
      {"log.used-ring", section, "writes to a used ring are logged where SET_VRING_ADDR says", used_ring_is_logged});
  checks.push_back({"log.received-frame", section, "writes to receive buffers are logged", received_frame_is_logged});
  checks.push_back({"log.off", section, "without VHOST_F_LOG_ALL nothing is logged", logging_off_is_silent});
}

}  // namespace vhostx::tools::probe
