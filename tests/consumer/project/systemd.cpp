// SPDX-License-Identifier: BSD-3-Clause
// Needs libvhostx_systemd.so at link time and when it starts. It is no service: the store is refused with words.
#include <cstdio>

#include <vhostx/systemd.hpp>

int main() {
  const auto store = vhostx::SystemdStore::open();
  if (store) return 1;
  std::printf("%s\n", store.error().message.c_str());
  return store.error().code == vhostx::ErrorCode::unsupported ? 0 : 1;
}
