#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest uses what vhostx offers by default (docs/features.md), and cannot reset a ring.

On each QEMU of this machine (see qemu_programs() in qemu.py) a guest has three devices, whose frames vhostx-switch sends
back to it:

  resized    its rings are to be resized while packets flow both ways (`ethtool -G`). QEMU tells no vhost-user back-end of a
             queue's reset, so that the guest would free memory that the back-end goes on writing into. Without
             VIRTIO_F_RING_RESET the command is refused; packets flow on, no ring breaks, the kernel reports nothing.
             Its port offers GPA_ADDRESSES too, which QEMU takes since 11.1: rings and memory are then named by guest
             addresses.
  announced  QEMU gives it an MTU, and it announces itself when QEMU says so. Its rings are packed ones, as those of the third.
  silent     cannot announce itself: QEMU asks the back-end to do so (SEND_RARP).

All three get more memory while they run.
"""

import argparse
import os
import re
from collections import namedtuple

from feature_table import OFFERED, ON_REQUEST, PROTOCOL, VIRTIO, bits_of
from guest import Machine, device_arguments, shared_memory_arguments
from monitor import Monitor, monitor_arguments
from processes import check, check_equal, run_test, wait_until
from qemu import qemu_programs, qemu_version
from vhostx_switch import VhostSwitch, describe

MTU = 1400
RING_SIZE = 1024  # so that 512 is a change
FRAMES = 200
PINGS = 3
DRIVER_OK = 4
STATION = "52:54:00:00:00:63"

# What other tests use: it needs several queue pairs, a guest that migrates, or a legacy driver.
MQ, LOG_ALL, ANY_LAYOUT, PROTOCOL_FEATURES = 22, 26, 27, 30

# What not all three devices have.
MTU_BIT, GUEST_ANNOUNCE, RING_PACKED = 3, 21, 34

# A protocol feature bit, offered on request: QEMU takes it since 11.1.
GPA_ADDRESSES = 21

# One that ports of vhostx-switch offer: QEMU takes it since 8.2, and uses it for network devices since 10.0 (lab.migration_state).
DEVICE_STATE = 19

DAMAGE = "Bad page|Bad pagetable|BUG|Oops|general protection|WARNING"

Device = namedtuple("Device", "name number properties")
DEVICES = [
    Device("resized", 1, f"rx_queue_size={RING_SIZE},tx_queue_size={RING_SIZE}"),
    Device("announced", 2, f"host_mtu={MTU},packed=on"),
    Device("silent", 3, "guest_announce=off,packed=on"),
]


class Guest(Machine):
    def __init__(self, bench, name, qemu, ports):
        arguments = shared_memory_arguments()
        for device in DEVICES:
            mac = f"52:54:00:00:00:{device.number:02x}"
            arguments += device_arguments(ports[device.name], mac, device.properties, number=device.number, qemu=qemu)
        monitor = bench.path(f"{name}.qmp")
        arguments += monitor_arguments(monitor)
        super().__init__(bench, name, arguments, memory_mib="256,slots=1,maxmem=1G", qemu=qemu)
        self.monitor = Monitor(monitor)
        bench.at_end(self.monitor.close)

    def interface(self, device):
        return self.run(f"grep -l 52:54:00:00:00:{device.number:02x} /sys/class/net/*/address").split("/")[4]

    def up(self, device):
        name = self.interface(device)
        self.run(f"echo 1 >/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        self.run(f"ip addr add 10.0.{device.number}.1/24 dev {name}; ip link set {name} up")

    def features(self, device):
        bits = self.run(f"cat /sys/class/net/{self.interface(device)}/device/features").strip()
        return {number for number, bit in enumerate(bits) if bit == "1"}

    def frames_received(self, device):
        return int(self.run(f"cat /sys/class/net/{self.interface(device)}/statistics/rx_packets"))


def port_of(stats, name):
    return next(port for port in stats["ports"] if os.path.basename(port["name"]).startswith(name))


def bits_in(text):
    return {number for number in range(64) if int(text, 16) >> number & 1}


def check_negotiated(switch, guest, device, expected, protocol):
    """The guest, and the back-end, of one device have what is expected, and nothing else of what could be."""
    seen, port = guest.features(device), port_of(switch.stats(), device.name)
    wanted = expected - {MQ, LOG_ALL, ANY_LAYOUT, PROTOCOL_FEATURES}
    check(wanted <= seen, f"the guest lacks bits {sorted(wanted - seen)} of {sorted(seen)}")
    check_equal(bits_in(port["features"]) - {PROTOCOL_FEATURES}, wanted, f"virtio features of {device.name}")
    check_equal(seen & bits_of(VIRTIO, ON_REQUEST), set(), f"bits of {device.name} that nobody asked for")
    check_equal(bits_in(port["protocol_features"]), protocol, f"protocol features of {device.name}")


def check_offloads(guest):
    said = guest.run(f"ethtool -k {guest.interface(DEVICES[0])}")
    for offload in ("tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-tcp-ecn-segmentation"):
        check(re.search(rf"^\s*{offload}: on", said, re.MULTILINE), f"{offload} is not on:\n{said}")
    check(re.search(r"^\s*tx-udp-segmentation: off \[fixed\]", said, re.MULTILINE), f"UDP segmentation:\n{said}")


def event(switch, kind, device):
    name = next(port["name"] for port in switch.stats()["ports"] if os.path.basename(port["name"]).startswith(device.name))
    return switch.wait_event(kind, port=name)


def check_mtu_and_status(switch, guest):
    announced = DEVICES[1]
    check_equal(event(switch, "mtu_set", announced)["mtu"], MTU, "MTU that QEMU told the back-end")
    check_equal(int(guest.run(f"cat /sys/class/net/{guest.interface(announced)}/mtu")), MTU, "MTU in the guest")
    for device in DEVICES:
        event(switch, "status_set", device)
        states = [one["status"] for one in switch.events if one["event"] == "status_set" and device.name in one["port"]]
        check(any(state & DRIVER_OK for state in states), f"no status of {device.name} has DRIVER_OK: {states}")


def announce(switch, guest):
    """The guest that can announces itself, by an ARP frame; for the other one the back-end is asked to."""
    _, announced, silent = DEVICES
    mark = switch.mark()
    before = port_of(switch.stats(), announced.name)["from_guest"]["packets"]
    guest.monitor.run("announce-self", initial=50, max=100, rounds=5, step=50)
    asked = switch.wait_event("rarp_requested", mark)
    check(silent.name in os.path.basename(asked["port"]), f"RARP asked for {asked}")
    check_equal(asked["mac"], f"52:54:00:00:00:{silent.number:02x}", "whose RARP")
    switch.wait_stats(
        lambda now: port_of(now, announced.name)["from_guest"]["packets"] > before, "the guest to announce itself"
    )
    rarps = [one["port"] for one in switch.events[mark:] if one["event"] == "rarp_requested"]
    check(not any(silent.name not in os.path.basename(port) for port in rarps), f"RARP asked of {rarps}")


def add_memory(switch, guest):
    """ADD_MEM_REG while the rings run."""
    mark = switch.mark()
    guest.monitor.run("object-add", **{"qom-type": "memory-backend-memfd", "id": "more", "size": 128 << 20, "share": True})
    guest.monitor.run("device_add", driver="pc-dimm", id="dimm", memdev="more")
    changed = switch.wait_event("memory_changed", mark)
    check(changed["regions"] >= 2, f"regions after memory was added: {changed}")


def begin_traffic(guest, device):
    """Frames without end, for a station that is not there: what the switch sends back fills the receive ring."""
    name = guest.interface(device)
    guest.run(f"arp -i {name} -s 10.0.{device.number}.9 {STATION}")
    command = f"ping -i 0.002 -s 1000 10.0.{device.number}.9 >/dev/null 2>&1 &"
    guest.run(" ".join([command] * PINGS))


def check_flow(switch, guest, device, what):
    """So many frames go both ways from now on, and reach the guest."""
    before, received = port_of(switch.stats(), device.name), guest.frames_received(device)

    def moved(now):
        port = port_of(now, device.name)
        return all(
            port[way]["packets"] >= before[way]["packets"] + FRAMES for way in ("from_guest", "to_guest")
        )

    switch.wait_stats(moved, f"frames at the switch {what}")
    wait_until(lambda: guest.frames_received(device) >= received + FRAMES, f"frames in the guest {what}")


def resize_rings(switch, guest):
    resized = DEVICES[0]
    begin_traffic(guest, resized)
    check_flow(switch, guest, resized, "before")
    for ring in ("rx", "tx"):
        status, said = guest.try_run(f"ethtool -G {guest.interface(resized)} {ring} 512")
        print(f"ethtool -G {ring} 512: status {status}, {said.strip()}", flush=True)
        check_flow(switch, guest, resized, f"after ethtool -G {ring} 512")
        check(status != 0, f"the guest has reset its {ring} ring, and nobody told the back-end")
    guest.run("killall ping")
    for port in switch.stats()["ports"]:
        check_equal(port["vrings_broken"], 0, f"broken rings of {port['name']}")
    _, damage = guest.try_run(f"dmesg | grep -E '{DAMAGE}'")
    check_equal(damage, "", "what the guest's kernel reports")


def one_qemu(bench, binary, qemu, number, extra):
    ports = {device.name: bench.path(f"{device.name}{number}") for device in DEVICES}
    offer = "gpa_addresses" + (f"+{extra}" if extra else "")
    arguments = [f"{ports['resized']},offer={offer}", ports["announced"], ports["silent"]]
    switch = VhostSwitch(bench, binary, arguments, mode="mac", extra=["--topology", "loop"], name=f"switch{number}")
    guest = Guest(bench, f"guest{number}", qemu, ports).booted()
    for device in DEVICES:
        guest.up(device)
    default, protocol = bits_of(VIRTIO, OFFERED), bits_of(PROTOCOL, OFFERED)
    takes_guest_addresses = qemu_version(qemu) >= (11, 1)
    taken_always = {DEVICE_STATE} if qemu_version(qemu) >= (8, 2) else set()
    for device in DEVICES[1 if extra else 0 :]:
        taken = {GPA_ADDRESSES} if device.name == "resized" and takes_guest_addresses else set()
        missing = {"resized": {MTU_BIT, RING_PACKED}, "announced": set(), "silent": {MTU_BIT, GUEST_ANNOUNCE}}[device.name]
        check_negotiated(switch, guest, device, default - missing, protocol | taken | taken_always)
    check_offloads(guest)
    check_mtu_and_status(switch, guest)
    announce(switch, guest)
    add_memory(switch, guest)
    resize_rings(switch, guest)
    print(describe(switch.stats()))
    guest.power_off()
    switch.finish()


def every_qemu(bench, binary, extra):
    for number, qemu in enumerate(qemu_programs()):
        print(f"* {qemu}", flush=True)
        one_qemu(bench, binary, qemu, number, extra)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("--offer", metavar="FEATURES", help="what `resized` offers beside the default: with ring_reset the "
                        "test is to fail")  # fmt: skip
    options = parser.parse_args()
    run_test(every_qemu, options.vhostx_switch, options.offer)
