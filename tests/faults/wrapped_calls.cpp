// SPDX-License-Identifier: BSD-3-Clause
// What the linker puts in the place of the library's calls (ld, --wrap): the call, or its failure.
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <poll.h>

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>

#include "tests/faults/injector.hpp"

using vhostx::test::Call;
using vhostx::test::fails;

// A function and its replacement have the same parameters.
#define VHOSTX_WRAP(result, failure, name, parameters, arguments) \
  result __real_##name parameters;                                \
  result __wrap_##name parameters;                                \
  result __wrap_##name parameters { return fails(Call::name) ? (failure) : __real_##name arguments; }

extern "C" {

VHOSTX_WRAP(void*, nullptr, aligned_alloc, (std::size_t alignment, std::size_t size), (alignment, size))
VHOSTX_WRAP(int, -1, accept4, (int fd, sockaddr* address, socklen_t* size, int flags), (fd, address, size, flags))
VHOSTX_WRAP(int, -1, bind, (int fd, const sockaddr* address, socklen_t size), (fd, address, size))
VHOSTX_WRAP(int, -1, connect, (int fd, const sockaddr* address, socklen_t size), (fd, address, size))
VHOSTX_WRAP(int, -1, epoll_create1, (int flags), (flags))
VHOSTX_WRAP(int, -1, epoll_wait, (int set, epoll_event* events, int most, int ms), (set, events, most, ms))
VHOSTX_WRAP(int, -1, eventfd, (unsigned count, int flags), (count, flags))
VHOSTX_WRAP(int, -1, fstat, (int fd, struct stat* status), (fd, status))
VHOSTX_WRAP(int, -1, fstatfs, (int fd, struct statfs* status), (fd, status))
VHOSTX_WRAP(int, -1, getsockopt, (int fd, int level, int name, void* value, socklen_t* size),
            (fd, level, name, value, size))
VHOSTX_WRAP(int, -1, listen, (int fd, int backlog), (fd, backlog))
VHOSTX_WRAP(int, -1, lstat, (const char* path, struct stat* status), (path, status))
VHOSTX_WRAP(int, -1, madvise, (void* at, std::size_t size, int advice), (at, size, advice))
VHOSTX_WRAP(long, -1, mbind,
            (void* at, unsigned long size, int mode, const unsigned long* nodes, unsigned long most, unsigned flags),
            (at, size, mode, nodes, most, flags))
VHOSTX_WRAP(int, -1, mincore, (void* at, std::size_t size, unsigned char* pages), (at, size, pages))
VHOSTX_WRAP(void*, MAP_FAILED, mmap, (void* at, std::size_t size, int access, int flags, int fd, off_t offset),
            (at, size, access, flags, fd, offset))
VHOSTX_WRAP(long, -1, move_pages,
            (int pid, unsigned long count, void** pages, const int* nodes, int* status, int flags),
            (pid, count, pages, nodes, status, flags))
VHOSTX_WRAP(int, -1, poll, (pollfd * watched, nfds_t count, int ms), (watched, count, ms))
VHOSTX_WRAP(ssize_t, -1, read, (int fd, void* bytes, std::size_t size), (fd, bytes, size))
VHOSTX_WRAP(ssize_t, -1, readlink, (const char* path, char* bytes, std::size_t size), (path, bytes, size))
VHOSTX_WRAP(ssize_t, -1, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags))
VHOSTX_WRAP(int, -1, rte_extmem_register,
            (void* at, std::size_t size, std::uint64_t* addresses, unsigned count, std::size_t page),
            (at, size, addresses, count, page))
VHOSTX_WRAP(ssize_t, -1, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
VHOSTX_WRAP(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
VHOSTX_WRAP(int, -1, timerfd_create, (int clock, int flags), (clock, flags))
VHOSTX_WRAP(int, -1, unlink, (const char* path), (path))
VHOSTX_WRAP(ssize_t, -1, write, (int fd, const void* bytes, std::size_t size), (fd, bytes, size))

// Only what adds a descriptor takes memory, and can fail. Asio wakes its loop by a change.
int __real_epoll_ctl(int set, int what, int fd, epoll_event* event);
int __wrap_epoll_ctl(int set, int what, int fd, epoll_event* event);
int __wrap_epoll_ctl(int set, int what, int fd, epoll_event* event) {
  return what == EPOLL_CTL_ADD && fails(Call::epoll_ctl) ? -1 : __real_epoll_ctl(set, what, fd, event);
}

// Those with parameters that vary: the library hands one on, or (membarrier) three.
int __real_fcntl(int fd, int what, long argument);
int __wrap_fcntl(int fd, int what, long argument);
int __wrap_fcntl(int fd, int what, long argument) { return fails(Call::fcntl) ? -1 : __real_fcntl(fd, what, argument); }
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
  return fails(Call::syscall) ? -1 : __real_syscall(number, a, b, c, d, e, f);
}

}  // extern "C"
