#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Rings, indirect tables and buffers of a guest that lie over the border of two memory slots of QEMU's virtio-mem.

A Linux guest plugs so much memory that its virtio-mem device has two slots (dynamic-memslots=on: QEMU 8.2 and later). In it a
driver of ours (driver_over_border.py) takes the network device, lays one structure after the other over the border between the
two, and sends back what it receives. Numbered packets, which another front-end sends by way of vhostx-switch, must all come back,
in order and undamaged.
"""

import argparse
import os
import shutil

from driver_over_border import OBJECTS
from guest import device_arguments, shared_memory_arguments
from host_root import ROOT, SHARE, HostRootMachine
from monitor import Monitor, monitor_arguments
from probe import Observer
from processes import check, check_equal, run_test, wait_until
from qemu import need_dynamic_memslots
from test_memory_slots import QUIET, Flow
from traffic import MIB
from vhost_user import NetGuest
from vhostx_switch import VhostSwitch, describe, dropped

PROGRAM = "driver_over_border.py"
ECHO = "echo"
MEMORY_MIB = 512
GIB = 1 << 30
# Linux adds memory in blocks of 128 MiB, each within the device and at such an address. The device begins 1 MiB behind a block, so
# that the border, 1 GiB further on, is in the middle of a huge page of the guest.
BLOCK = 128 * MIB
DEVICE = 4 * GIB + MIB
BORDER = DEVICE + GIB
LAST_BLOCK = BORDER // BLOCK
HUGE_PAGES = 16  # in the last block; among them the one with the border
PLUGGED = LAST_BLOCK * BLOCK - (4 * GIB + BLOCK) + 2 * HUGE_PAGES * MIB
PACKETS = 130  # twice as many as a ring has entries


class Guest(HostRootMachine):
    def __init__(self, bench, port):
        monitor = bench.path("qmp")
        memory = shared_memory_arguments(MEMORY_MIB)
        more = ["-object", "memory-backend-memfd,id=more,size=4G,share=on,reserve=off", "-device",
                f"virtio-mem-pci,id=mem,memdev=more,memaddr={DEVICE},requested-size=0,block-size=1M,dynamic-memslots=on"]  # fmt: skip
        arguments = [*memory, *more, *device_arguments(port, "52:54:00:00:00:02"), *monitor_arguments(monitor)]
        super().__init__(bench, "guest", 1, f"{MEMORY_MIB},maxmem=8G", modules=["virtio_mem"], arguments=arguments)
        self.monitor = Monitor(monitor)
        bench.at_end(self.monitor.close)

    def plug(self):
        """The last block is used as late as can be, so that nothing else lies where the border is."""
        self.run("echo offline >/sys/devices/system/memory/auto_online_blocks")
        self.monitor.run("qom-set", path="mem", property="requested-size", value=PLUGGED)
        wait_until(lambda: self.monitor.run("qom-get", path="mem", property="size") == PLUGGED, "the guest to plug memory", 120)
        # QEMU has plugged the memory before the guest's driver adds the block.
        state = f"/sys/devices/system/memory/memory{LAST_BLOCK}/state"
        self.run(f"until [ -e {state} ]; do usleep 20000; done")
        self.run(f"echo online_movable >{state} && echo {HUGE_PAGES} >/proc/sys/vm/nr_hugepages")

    def take_device(self):
        """From Linux's driver; copies ours to where it can run."""
        address = self.run("basename $(readlink -f /sys/class/net/eth0/device/..)").strip()
        self.device = f"/sys/bus/pci/devices/{address}"
        self.run(f"echo {address} >{self.device}/driver/unbind && echo 1 >{self.device}/enable")
        shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), PROGRAM), self.share)
        self.run(f"cp {SHARE}/{PROGRAM} {ROOT}/tmp")

    def begin_echo(self):
        self.begin_program(ECHO, ["/usr/bin/python3", f"/tmp/{PROGRAM}", self.device, BORDER])

    def wait_echo(self, across):
        self.wait_line(ECHO, f"^{across}: ", timeout_s=120)
        print(self.log_end(ECHO, f"^{across}: ")[0], flush=True)

    def go_on(self):
        self.signal(ECHO, "USR1")


def region_of(state, address):
    """Its place in the table; none: not there."""
    return next((place for place, region in enumerate(state["regions"])
                if 0 <= address - region["front_end_address"] < region["size"]), None)  # fmt: skip


def check_ring_part(observer, across):
    """What QEMU told the back-end of the ring: the part that is named lies in two regions."""
    ring, part = across.split("-")
    number = {"receive": 0, "transmit": 1}[ring]

    def lies_over_the_border(state):  # the states before are of the rings before
        if not all(not one["stopped"] and one["addresses"] for one in state["vrings"]):
            return False
        begin, size = state["vrings"][number]["addresses"][part], state["vrings"][number]["size"]
        end = begin + {"descriptors": 16 * size, "available": 6 + 2 * size, "used": 6 + 8 * size}[part] - 1
        return [region_of(state, address) for address in (begin, end)] == [1, 2]

    observer.wait_state(lies_over_the_border, f"{across} begins in region 1 and ends in region 2")


def exchange(front_end, number):
    flow = Flow(front_end, front_end, bytes([number]))

    def enough():
        flow.step()
        if flow.sent >= PACKETS:
            flow.sender = QUIET
        return flow.sent == flow.received >= PACKETS

    wait_until(enough, f"{PACKETS} packets to come back", 120)


def lie_over_the_border(bench, binary, probe):
    need_dynamic_memslots()
    ports = [bench.path("port0"), bench.path("port1")]
    traced = bench.path("traced")
    switch = VhostSwitch(bench, binary, ports, mode="io")
    observer = Observer(bench, probe, "trace", traced, "--connect", ports[1])
    guest = Guest(bench, traced)
    front_end = NetGuest(ports[0])
    guest.booted()
    guest.take_device()
    guest.plug()
    switch.wait_event("memory_changed", port=ports[1])
    mark = switch.mark()
    guest.begin_echo()
    for number, across in enumerate(OBJECTS):
        guest.wait_echo(across)
        switch.wait_started([ports[1]], since=mark)
        if across.split("-")[1] in ("descriptors", "available", "used"):
            check_ring_part(observer, across)
        exchange(front_end, number)
        mark = switch.mark()
        guest.go_on()
    guest.wait_end(ECHO)
    stats = switch.stats()
    print(describe(stats))
    for port in stats["ports"]:
        check_equal(port["vrings_broken"], 0, f"broken rings of {port['name']}")
        check_equal(dropped(port), {}, "drops")
    check(stats["ports"][1]["from_guest"]["packets"] >= PACKETS * len(OBJECTS), "packets that came back")
    check_equal(observer.violations(), [], "violations between QEMU and vhostx-switch")
    guest.power_off()
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("vhostx_probe", help="tells where QEMU says that the rings are")
    arguments = parser.parse_args()
    run_test(lie_over_the_border, arguments.vhostx_switch, arguments.vhostx_probe)
