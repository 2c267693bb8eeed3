#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest keeps its network while the other side of its vhost-user socket is killed, fifty times.

vhostx-switch mirrors the guest's frames (mode mac, one port looped on itself); the guest sends pings without
end, so that frames go both ways. Two roles:

  server  vhostx-switch owns the socket and is killed with SIGKILL; QEMU (reconnect=1) finds the new one, which has to
          replace the stale socket file.
  client  QEMU owns the socket; vhostx-switch connects to it, is killed, and a new one connects.

After each restart frames must go both ways again. The guest's driver never notices.
"""

import argparse

from guest import Guest
from processes import run_test
from vhostx_switch import VhostSwitch, describe

FRAMES_MOVED = 3


def start_switch(bench, binary, role):
    port = f"{bench.path('guest')},role={role}"
    return VhostSwitch(bench, binary, [port], mode="mac", extra=["--topology", "loop"], wait_ready=role == "server")


def wait_frames(switch):
    def moved(now):
        port = now["ports"][0]
        return min(port["from_guest"]["packets"], port["to_guest"]["packets"]) >= FRAMES_MOVED

    return switch.wait_stats(moved, "the guest's frames to go both ways")


def survives(bench, binary, role, times):
    switch = start_switch(bench, binary, "server") if role == "server" else None
    guest = Guest(bench, 1, bench.path("guest"), server=role == "client")
    if role == "client":
        switch = start_switch(bench, binary, "client")
    guest.booted()
    guest.run("arp -i eth0 -s 10.0.0.99 52:54:00:00:00:63; ping -i 0.05 10.0.0.99 >/dev/null 2>&1 &")
    for _ in range(times):
        wait_frames(switch)
        switch.kill()
        switch = start_switch(bench, binary, role)
    print(f"{times} back-ends killed; the last one:\n{describe(wait_frames(switch))}")
    guest.power_off()
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("role", choices=["server", "client"], help="of vhostx-switch")
    parser.add_argument("--times", type=int, default=50)
    arguments = parser.parse_args()
    run_test(survives, arguments.vhostx_switch, arguments.role, arguments.times)
