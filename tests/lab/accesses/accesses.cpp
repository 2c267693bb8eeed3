// SPDX-License-Identifier: BSD-3-Clause
// A plugin of QEMU's emulator that counts the loads and stores of programs (not of the kernel) inside the machine, by
// virtual CPU and page:
//   qemu-system-x86_64 -accel tcg -plugin accesses-1.so,socket=PATH
// At the socket PATH it takes one connection at a time, and lines: "begin" counts from zero and answers ".", "end"
// stops counting and answers with the counts (see AccessTable::end) and ".".
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lab/accesses/access_table.hpp"
#include "tests/lab/accesses/qemu_plugin_api.hpp"

namespace vhostx::lab {

std::string AccessTable::end() {
  counting_ = false;
  std::string text;
  for (unsigned number = 0; number < vcpus_max; ++number) {
    const std::lock_guard lock(vcpus_[number].mutex);
    for (const auto& [pages, counts] : vcpus_[number].pages) {
      std::array<char, 96> line;
      std::snprintf(line.data(), line.size(), "%u %llx %llx %llu %llu\n", number,
                    static_cast<unsigned long long>(pages.address), static_cast<unsigned long long>(pages.place),
                    static_cast<unsigned long long>(counts.loads), static_cast<unsigned long long>(counts.stores));
      text += line.data();
    }
  }
  return text;
}

namespace {

constexpr std::uint64_t user_end = std::uint64_t{1} << 47;  // x86-64: the kernel's code lies above

// QEMU unloads plugins when its process ends, and its threads may still run then: never destroyed.
AccessTable& table() {
  static auto* const one = new AccessTable;
  return *one;
}

void on_access(unsigned vcpu, std::uint32_t access, std::uint64_t address, void*) {
  if (!table().counting()) return;
  const qemu_plugin_hwaddr* const place = qemu_plugin_get_hwaddr(access, address);
  if (place == nullptr || qemu_plugin_hwaddr_is_io(place)) return;
  const Pages pages{address >> page_shift, qemu_plugin_hwaddr_phys_addr(place) >> page_shift};
  table().count(vcpu, pages, qemu_plugin_mem_is_store(access));
}

void on_translation(std::uint64_t, qemu_plugin_tb* block) {
  const std::size_t count = qemu_plugin_tb_n_insns(block);
  for (std::size_t i = 0; i < count; ++i) {
    qemu_plugin_insn* const instruction = qemu_plugin_tb_get_insn(block, i);
    if (qemu_plugin_insn_vaddr(instruction) >= user_end) continue;
    qemu_plugin_register_vcpu_mem_cb(instruction, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, nullptr);
  }
}

bool write_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string answer_to(std::string_view line) {
  if (line == "end") return table().end() + ".\n";
  if (line != "begin") return "expected 'begin' or 'end'\n.\n";
  table().begin();
  return ".\n";
}

void serve(int socket) {
  std::string waiting;
  std::array<char, 256> chunk;
  for (ssize_t got; (got = ::read(socket, chunk.data(), chunk.size())) > 0;) {
    waiting.append(chunk.data(), static_cast<std::size_t>(got));
    for (std::size_t end; (end = waiting.find('\n')) != std::string::npos; waiting.erase(0, end + 1))
      if (!write_all(socket, answer_to(std::string_view(waiting).substr(0, end)))) return;
  }
}

void listen_for_ever(int listener) {
  for (int socket; (socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(socket)) serve(socket);
}

/// A socket that listens at `path`, or -1 with errno.
int listen_at(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  path.copy(address.sun_path, path.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0 || ::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket, 1) != 0)
    return -1;
  return socket;
}

}  // namespace
}  // namespace vhostx::lab

int qemu_plugin_install(std::uint64_t plugin, const qemu_info_t*, int argc, char** argv) {
  constexpr std::string_view key = "socket=";
  const std::string_view argument = argc == 1 ? argv[0] : "";
  if (!argument.starts_with(key)) {
    std::fprintf(stderr, "accesses: expected one argument, socket=PATH\n");
    return 1;
  }
  const int listener = vhostx::lab::listen_at(argument.substr(key.size()));
  if (listener < 0) {
    std::fprintf(stderr, "accesses: listening at %s: %s\n", argument.data() + key.size(), std::strerror(errno));
    return 1;
  }
  std::thread(vhostx::lab::listen_for_ever, listener).detach();
  qemu_plugin_register_vcpu_tb_trans_cb(plugin, vhostx::lab::on_translation);
  return 0;
}
