// SPDX-License-Identifier: BSD-3-Clause
// Needs libvhostx_telemetry.so at link time and when it starts; without ports there is nothing to publish.
#include <cstdio>

#include <vhostx/telemetry.hpp>

int main() {
  auto* const publish = &vhostx::PublishedPort::publish;
  return std::printf("%p\n", reinterpret_cast<void*>(publish)) > 0 ? 0 : 1;
}
