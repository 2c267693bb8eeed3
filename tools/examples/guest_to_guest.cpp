// SPDX-License-Identifier: BSD-3-Clause
// Joins two guests and copies each packet once, from guest to guest. As a bridge does, it does not forward what is
// meant for the bridge itself (IEEE 802.1Q, 8.6.3: 01:80:C2:00:00:00 to 0F).
//   guest_to_guest -l 0 --in-memory --no-pci -- /tmp/a.sock /tmp/b.sock
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>

#include <rte_eal.h>
#include <rte_mbuf.h>

#include <vhostx/vhostx.hpp>

namespace {

volatile std::sig_atomic_t stopping = 0;

// The head is a private copy: the guest cannot change it after the decision.
bool is_forwarded(const vhostx::PeekedPacket& packet) {
  const unsigned char reserved[5] = {0x01, 0x80, 0xC2, 0x00, 0x00};
  return std::memcmp(packet.head, reserved, sizeof reserved) != 0 || packet.head[5] > 0x0F;
}

void forward(vhostx::Transfer& transfer, vhostx::Vring& from, vhostx::Vring& to) {
  const auto count = transfer.begin(from, vhostx::Transfer::burst_max);
  if (count == 0) return;  // no burst has begun
  std::uint8_t numbers[vhostx::Transfer::burst_max];
  std::uint16_t wanted = 0;
  for (std::uint8_t i = 0; i < count; ++i)
    if (is_forwarded(transfer.packet(i))) numbers[wanted++] = i;
  transfer.move(numbers, wanted, to);  // what it did not take is dropped here
  transfer.end(count);                 // returns the sender's buffers
}

int fail(const vhostx::Error& error) {
  std::fprintf(stderr, "guest_to_guest: %s\n", error.message.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int eal_words = rte_eal_init(argc, argv);
  if (eal_words < 0) return 1;
  if (eal_words + 2 >= argc) rte_exit(1, "usage: guest_to_guest EAL-OPTIONS -- SOCKET SOCKET\n");
  std::signal(SIGINT, [](int) { stopping = 1; });
  std::signal(SIGTERM, [](int) { stopping = 1; });

  auto backend = vhostx::Backend::create();
  if (!backend) return fail(backend.error());
  auto transfer = vhostx::Transfer::create();
  if (!transfer) return fail(transfer.error());
  std::unique_ptr<vhostx::Port> ports[2];
  for (int i = 0; i < 2; ++i) {
    auto port = backend->open_port({.socket_path = argv[eal_words + 1 + i]});
    if (!port) return fail(port.error());
    ports[i] = *std::move(port);
  }
  while (stopping == 0) {
    forward(**transfer, ports[0]->from_guest(), ports[1]->to_guest());
    forward(**transfer, ports[1]->from_guest(), ports[0]->to_guest());
  }
  for (auto& port : ports) port.reset();
  return rte_eal_cleanup();
}
