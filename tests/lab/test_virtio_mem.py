#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two Linux guests, whose memory grows and shrinks by virtio-mem under checked traffic.

Each guest has a virtio-mem device of several memory slots (dynamic-memslots=on: QEMU 8.2 and later). QEMU adds a slot to the
back-end's memory when the guest plugs its first block (ADD_MEM_REG), and removes the slot when the guest has unplugged its
last one (REM_MEM_REG). Both guests fetch a file from each other again and again, and compare its checksum.

  rounds  memory is plugged and unplugged under this traffic. The guests use it for movable pages. Each time they write the
          file anew, to the memory that came last, so that the buffers which they send lie in the slots that come and go.
  rings   memory is plugged that the guests' kernels use for everything. Their drivers start anew: the rings now lie in a slot
          of the device. Then a part of the memory is unplugged under traffic.
"""

import argparse
import time
from collections import Counter

import interop_path  # noqa: F401
from guest import Machine, device_arguments, drive_arguments, shared_memory_arguments
from monitor import Monitor, monitor_arguments
from probe import Observer
from processes import check, check_equal, run_test, wait_until
from qemu import need_dynamic_memslots
from traffic import MIB, make_payload, ping, sha256
from vhostx_switch import VhostSwitch, describe

DEVICE_GIB = 4  # in slots of 1 GiB: QEMU makes no smaller ones
PLUGGED = 128 * MIB  # Linux adds memory in blocks of this size, and removes it so
BLOCK = 2 * MIB  # which the device plugs and unplugs one by one
FILE_MIB = 1
FETCHES = 2  # of each guest, in each state of the memory
PAUSE_US = 300000  # between two fetches, and between two looks of an emulated guest
ASK_AGAIN_S = 2
DAMAGE = "Bad page|Bad pagetable|BUG|Oops|general protection|WARNING"


class Guest(Machine):
    def __init__(self, bench, number, port, drive):
        self.address = f"10.0.0.{number}"
        monitor = bench.path(f"guest{number}.qmp")
        arguments = [*shared_memory_arguments(), *device_arguments(port, f"52:54:00:00:00:{number:02x}")]
        arguments += ["-object", f"memory-backend-memfd,id=more,size={DEVICE_GIB}G,share=on,reserve=off"]
        arguments += ["-device", f"virtio-mem-pci,id=mem,memdev=more,requested-size=0,block-size={BLOCK},dynamic-memslots=on"]
        arguments += [*drive_arguments(drive), *monitor_arguments(monitor)]
        super().__init__(bench, f"guest{number}", arguments, self.address, memory_mib="256,maxmem=8G", modules=["virtio_mem"])
        self.monitor = Monitor(monitor)
        bench.at_end(self.monitor.close)

    def plugged(self):
        return self.monitor.run("qom-get", path="mem", property="size")

    def request(self, size):
        self.monitor.run("qom-set", path="mem", property="requested-size", value=size)

    def use_new_memory(self, zone):
        self.run(f"echo online_{zone} >/sys/devices/system/memory/auto_online_blocks")

    def offer_file(self):
        """Writes it anew: Linux takes pages from the memory that came last first."""
        self.run(f"dd if=/dev/vda of=/srv/new bs=1M count={FILE_MIB} && mv /srv/new /srv/file")

    def begin_fetching(self, address):
        fetch = f"wget -q -O - http://{address}/file | sha256sum >>/tmp/sums; usleep {PAUSE_US}"
        self.run(": >/tmp/sums; rm -f /tmp/stop /tmp/stopped")
        self.run(f"(while [ ! -e /tmp/stop ]; do {fetch}; done; touch /tmp/stopped) >/dev/null 2>&1 &")

    def stop_fetching(self):
        self.run(f"touch /tmp/stop; until [ -e /tmp/stopped ]; do usleep {PAUSE_US}; done")

    def begin_waiting(self, fetches):
        """Until so many more fetches are done; answer() tells when."""
        self.begin(f"n=$(($(wc -l </tmp/sums) + {fetches})); until [ $(wc -l </tmp/sums) -ge $n ]; do usleep {PAUSE_US}; done")

    def check_fetched(self, expected):
        """Each time it was fetched so far, the file was undamaged."""
        sums = {line.split()[0] for line in self.run("cat /tmp/sums").splitlines()}
        check_equal(sums, {expected}, f"checksums of what {self.name} fetched")

    def start_driver_anew(self):
        self.run("device=$(basename $(readlink /sys/class/net/eth0/device)); cd /sys/bus/virtio/drivers/virtio_net"
                 " && echo $device >unbind && echo $device >bind")  # fmt: skip
        self.run("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        self.run(f"ip addr add {self.address}/24 dev eth0 && ip link set eth0 up")


class Lab:
    """The switch and two guests. What QEMU tells the back-end of the first one goes by way of vhostx-probe."""

    def __init__(self, bench, binary, probe):
        self.ports = [bench.path("port1"), bench.path("port2")]
        traced = bench.path("traced")
        payload = make_payload(bench, FILE_MIB)
        self.sum = sha256(payload)
        self.switch = VhostSwitch(bench, binary, self.ports)
        self.observer = Observer(bench, probe, "trace", traced, "--connect", self.ports[0])
        sockets = [traced, self.ports[1]]
        self.guests = [Guest(bench, number, socket, payload) for number, socket in enumerate(sockets, 1)]
        for guest in self.guests:
            guest.booted()
            guest.offer_file()
            guest.run("httpd -p 80 -h /srv")

    def begin_traffic(self):
        first, second = self.guests
        ping(first, second.address, 2)
        first.begin_fetching(second.address)
        second.begin_fetching(first.address)

    def end_traffic(self):
        for guest in self.guests:
            guest.stop_fetching()

    def check_traffic(self, what):
        for guest in self.guests:
            guest.begin_waiting(FETCHES)
        for guest in self.guests:
            status, said = guest.answer(200)
            check_equal((status, said), (0, ""), f"waiting for {guest.name} to fetch files {what}")
            guest.check_fetched(self.sum)

    def resize(self, size, done):
        """Requests so much more memory for both guests, until done(bytes plugged).

        A guest that could not unplug a page, because it is being sent, tries again after 5 seconds, then 10, then 20. Another
        request makes it try at once.
        """
        for guest in self.guests:
            guest.request(size)
        asked = time.monotonic()

        def all_done():
            nonlocal asked
            late = [guest for guest in self.guests if not done(guest.plugged())]
            if late and time.monotonic() > asked + ASK_AGAIN_S:
                asked = time.monotonic()
                for guest in late:
                    guest.request(size + BLOCK)
                    guest.request(size)
            return not late

        wait_until(all_done, f"the guests to have {size // MIB} MiB more", 200)

    def resize_slots(self, size):
        """The same, and each guest's slots then come or go."""
        mark = self.switch.mark()
        self.resize(size, lambda plugged: plugged == size)
        for port in self.ports:
            regions = self.switch.wait_event("memory_changed", mark, port)["regions"]
            check_equal(regions, 2 if size else 1, f"memory regions of {port} with {size // MIB} MiB plugged")

    def memory_changes(self):
        self.switch.mark()
        return [sum(event["event"] == "memory_changed" and event["port"] == port for event in self.switch.events)
                for port in self.ports]  # fmt: skip


def rounds(lab, count):
    for guest in lab.guests:
        guest.use_new_memory("movable")
    before = lab.memory_changes()
    lab.begin_traffic()
    for _ in range(count):
        lab.resize_slots(PLUGGED)
        for guest in lab.guests:
            guest.offer_file()
        lab.check_traffic("with more memory")
        lab.resize_slots(0)
        lab.check_traffic("with less memory")
    lab.end_traffic()
    changes = [after - first for after, first in zip(lab.memory_changes(), before)]
    check_equal(changes, [2 * count] * 2, "changes of the ports' memory")
    print(f"{count} rounds: the memory of each guest changed {2 * count} times under traffic", flush=True)


def region_of(state, address):
    """Which of the regions this front-end address lies in, by its place in the table."""
    inside = [place for place, region in enumerate(state["regions"])
              if 0 <= address - region["front_end_address"] < region["size"]]  # fmt: skip
    check_equal(len(inside), 1, f"regions of address {address:#x}")
    return inside[0]


def slots_of_rings(state):
    return {region_of(state, address) for ring in state["vrings"] for address in ring["addresses"].values()}


def rings(lab):
    for guest in lab.guests:
        guest.use_new_memory("kernel")
    lab.resize_slots(PLUGGED)
    mark = lab.switch.mark()
    for guest in lab.guests:
        guest.start_driver_anew()
    lab.switch.wait_started(lab.ports, since=mark)
    state = lab.observer.wait_state(
        lambda now: all(not ring["stopped"] for ring in now["vrings"]) and slots_of_rings(now) == {1},
        "the rings of guest 1 in a slot of its virtio-mem device"
    )  # fmt: skip
    at = state["vrings"][0]["addresses"]["descriptors"] - state["regions"][1]["front_end_address"]
    print(f"ring 0 of guest 1 lies {at:#x} bytes behind the begin of the slot", flush=True)
    lab.begin_traffic()
    lab.check_traffic("with rings in the slot")
    lab.resize(0, lambda plugged: plugged < PLUGGED)  # what the kernel uses stays plugged
    lab.check_traffic("with a part of the slot unplugged")
    lab.end_traffic()
    left = ", ".join(f"{guest.plugged() // MIB} MiB" for guest in lab.guests)
    print(f"still plugged of {PLUGGED // MIB} MiB, as rings and buffers lie there: {left}", flush=True)


def grow_and_shrink(bench, binary, probe, count):
    need_dynamic_memslots()
    lab = Lab(bench, binary, probe)
    rounds(lab, count)
    rings(lab)
    for port in lab.switch.stats()["ports"]:
        check_equal(port["vrings_broken"], 0, f"broken rings of {port['name']}")
    for guest in lab.guests:
        _, damage = guest.try_run(f"dmesg | grep -E '{DAMAGE}'")
        check_equal(damage, "", f"what the kernel of {guest.name} reports")
        guest.power_off()
    print(describe(lab.switch.finish()))
    check_equal(lab.observer.violations(), [], "violations between QEMU and vhostx-switch")
    told = Counter(message["name"] for message in lab.observer.messages() if message["way"] == "front_end_requests")
    check(min(told["ADD_MEM_REG"], told["REM_MEM_REG"]) >= count, f"what QEMU sent: {told}")
    print(f"QEMU sent for guest 1: {told['ADD_MEM_REG']} ADD_MEM_REG, {told['REM_MEM_REG']} REM_MEM_REG")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("vhostx_probe", help="tells what QEMU says to the back-end")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    run_test(grow_and_shrink, arguments.vhostx_switch, arguments.vhostx_probe, arguments.rounds)
