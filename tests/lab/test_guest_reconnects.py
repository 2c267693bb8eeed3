#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest keeps its network while the other side of its vhost-user sockets is killed, fifty times.

The guest has two devices, one with split rings and one with packed rings. vhostx-switch mirrors its frames (mode mac, each port
looped on itself); the guest sends pings without end by way of both, so that frames go both ways. Two roles:

  server  vhostx-switch owns the sockets and is killed with SIGKILL; QEMU (reconnect=1) finds the new one, which has to
          replace the stale socket files.
  client  QEMU owns the sockets; vhostx-switch connects to them, is killed, and a new one connects.

After each restart frames must go both ways again on both devices. The guest's driver never notices.
"""

import argparse

from guest import Guest, device_arguments
from processes import check_equal, run_test
from vhostx_switch import VhostSwitch, describe

FRAMES_MOVED = 3
RING_PACKED = 34
DEVICES = ["split", "packed"]


def start_switch(bench, binary, role):
    ports = [f"{bench.path(name)},role={role}" for name in DEVICES]
    return VhostSwitch(bench, binary, ports, mode="mac", extra=["--topology", "loop"], wait_ready=role == "server")


def wait_frames(switch):
    def moved(now):
        return all(port[way]["packets"] >= FRAMES_MOVED for port in now["ports"] for way in ("from_guest", "to_guest"))

    return switch.wait_stats(moved, "the guest's frames to go both ways on both devices")


def start_guest(bench, server):
    packed = device_arguments(bench.path("packed"), "52:54:00:00:01:01", "packed=on", server=server, number=1)
    return Guest(bench, 1, bench.path("split"), server=server, arguments=packed)


def begin_pings(guest):
    guest.run("echo 1 >/proc/sys/net/ipv6/conf/eth1/disable_ipv6; ip addr add 10.0.1.1/24 dev eth1; ip link set eth1 up")
    for number in range(len(DEVICES)):
        guest.run(f"arp -i eth{number} -s 10.0.{number}.99 52:54:00:00:00:63")
        guest.run(f"ping -i 0.05 10.0.{number}.99 >/dev/null 2>&1 &")


def survives(bench, binary, role, times):
    switch = start_switch(bench, binary, "server") if role == "server" else None
    guest = start_guest(bench, server=role == "client")
    if role == "client":
        switch = start_switch(bench, binary, "client")
    guest.booted()
    begin_pings(guest)
    for _ in range(times):
        wait_frames(switch)
        switch.kill()
        switch = start_switch(bench, binary, role)
    last = wait_frames(switch)
    print(f"{times} back-ends killed; the last one:\n{describe(last)}")
    packed = [bool(int(port["features"], 16) >> RING_PACKED & 1) for port in last["ports"]]
    check_equal(packed, [False, True], "whether the rings of the devices are packed")
    guest.power_off()
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("role", choices=["server", "client"], help="of vhostx-switch")
    parser.add_argument("--times", type=int, default=50)
    arguments = parser.parse_args()
    run_test(survives, arguments.vhostx_switch, arguments.role, arguments.times)
