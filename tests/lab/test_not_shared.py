#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two Linux guests whose memory vhostx-switch cannot see, as QEMU is often started by mistake, and one whose memory it can.

The first has a memory back-end with share=off, the second has no memory back-end at all. Each brings its interface up and sends.
The switch says what is wrong, once for each, and says nothing of the third guest.
"""

import argparse

from guest import MEMORY_MIB, Machine, device_arguments, vhost_user_arguments
import interop_path  # noqa: F401
from processes import check_equal, run_test, wait_until
from vhostx_switch import NOT_SHARED, VhostSwitch

PRIVATE = ["-object", f"memory-backend-memfd,id=m0,size={MEMORY_MIB}M,share=off", "-numa", "node,memdev=m0"]


def send(guest):
    guest.run("ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up")
    guest.try_run("ping -c 3 -W 1 10.9.0.2")  # nobody answers: what counts is that it asks


def warnings(switch, port):
    return [line for line in switch.errors().splitlines() if port in line and NOT_SHARED in line]


def three_guests(bench, switch_binary):
    ports = [bench.path(name) for name in ("private", "none", "shared")]
    switch = VhostSwitch(bench, switch_binary, ports)
    memory = [PRIVATE, [], None]
    guests = []
    for number, (port, arguments) in enumerate(zip(ports, memory), 1):
        mac = f"52:54:00:00:00:{number:02x}"
        device = vhost_user_arguments(port, mac) if arguments is None else arguments + device_arguments(port, mac)
        guests.append(Machine(bench, f"guest{number}", device))
    for guest in guests:
        guest.booted()
        send(guest)
    for port in ports[:2]:
        wait_until(lambda: warnings(switch, port), f"the switch to say that the memory of {port} is not shared")
    switch.wait_stats(lambda now: now["ports"][2]["from_guest"]["packets"] > 0, "packets of the guest whose memory is shared")
    for guest in guests:
        guest.power_off()
    switch.finish(not_shared=True)
    for port, expected in zip(ports, (1, 1, 0)):
        said = warnings(switch, port)
        check_equal(len(said), expected, f"warnings of {port}, {said}")
    print(*(line for port in ports for line in warnings(switch, port)), sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("switch")
    arguments = parser.parse_args()
    run_test(three_guests, arguments.switch)
