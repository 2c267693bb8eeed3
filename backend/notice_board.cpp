// SPDX-License-Identifier: BSD-3-Clause
#include "backend/notice_board.hpp"

#include <atomic>
#include <cerrno>
#include <new>
#include <unistd.h>

#include <sys/mman.h>

#include "base/unique_fd.hpp"

namespace vhostx::backend {
namespace {

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/// Linux 6.3 and later may demand that it says whether it is to be executed; earlier ones do not know the flag.
int make_memfd() noexcept {
  const int fd = ::memfd_create(port_notice_name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  return fd >= 0 || errno != EINVAL ? fd : ::memfd_create(port_notice_name, MFD_CLOEXEC);
}

/// Zeroed. The descriptor is not kept: the mapping has the name.
void* map_named(std::size_t bytes) noexcept {
  const UniqueFd file(make_memfd());
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return nullptr;
  void* const pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

}  // namespace

std::unique_ptr<NoticeBoard> NoticeBoard::create(const std::string& socket_path, std::uint16_t vrings) noexcept {
  const std::size_t bytes = sizeof(PortNotice) + vrings * sizeof(VringNotice);
  void* const pages = map_named(bytes);
  if (pages == nullptr) return nullptr;
  auto* const notice = new (pages) PortNotice;
  auto* const entries = reinterpret_cast<VringNotice*>(notice + 1);
  for (std::uint16_t i = 0; i < vrings; ++i) new (entries + i) VringNotice;
  notice->version = port_notice_version;
  notice->vrings = vrings;
  socket_path.copy(notice->socket_path.data(), notice->socket_path.size() - 1);
  notice->magic = port_notice_magic;
  std::unique_ptr<NoticeBoard> board(new (std::nothrow) NoticeBoard(*notice, bytes));
  if (board == nullptr) ::munmap(pages, bytes);
  return board;
}

NoticeBoard::~NoticeBoard() { ::munmap(&notice_, bytes_); }

// The reader is another process, whose reads are system calls: the fence keeps the changes behind the odd number, the
// release before the even one.
void NoticeBoard::begin() noexcept {
  std::atomic_ref(notice_.sequence).store(notice_.sequence + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
}

void NoticeBoard::end() noexcept {
  std::atomic_ref(notice_.sequence).store(notice_.sequence + 1, std::memory_order_release);
}

}  // namespace vhostx::backend
