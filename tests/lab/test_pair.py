#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two Linux guests on vhostx-switch: ping, and 16 or 64 MiB over TCP with the checksums compared.

Each variant gives the guests' devices other properties, checks in the guest that the driver really negotiated what the
variant is about, and does the same work. The guests boot once: they have a pair of devices for each variant, of which one
is up at a time.
"""

import argparse
import time
from collections import namedtuple

from guest import Machine, device_arguments, drive_arguments, shared_memory_arguments
from processes import check, check_equal, run_test
from telemetry import Telemetry
from traffic import MIB, fetch, fetch_in_flows, make_payload, many_small_fetches
from traffic import ping, ping_from_each_cpu, serve_drive
from vhostx_switch import VhostSwitch, describe

# VIRTIO 1.2, 5.1.3 and 6
CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF, MQ = 0, 1, 7, 11, 15, 22
GUEST_TSO6, GUEST_ECN, HOST_TSO6, HOST_ECN = 8, 9, 12, 13
ANY_LAYOUT, INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED = 27, 28, 29, 32, 34
OFFLOADS = {CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4}
PACKED = OFFLOADS | {VERSION_1, RING_PACKED}

LARGEST_PLAIN_FRAME = 1514
MEMORY_MIB = 512  # a payload to offer, one received, and what each device's driver posts

# device: QEMU properties of both guests' devices, or of the receiver's alone.
# has, lacks: feature bits that the driver of the receiver must have negotiated, or not.
# port: what is added to the --port of both. queues: pairs of both. ipv6: large frames of IPv6, with congestion marks.
# mib, back_mib: how much the receiver fetches, and the sender; an emulated guest takes its time for each, and for its checksum.
Variant = namedtuple("Variant", "device receiver_device has lacks port queues ipv6 mib back_mib",
                     defaults=("", "", set(), set(), "", 1, False, 16, 8))  # fmt: skip

NO_OFFLOADS = (
    "csum=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,"
    "host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off"
)

VARIANTS = {
    "offloads": Variant(has=OFFLOADS | {MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1}, mib=64),
    "two-copies": Variant(has=OFFLOADS | {MRG_RXBUF}, port=",zerocopy=off"),
    "plain-buffers": Variant("mrg_rxbuf=off", has=OFFLOADS, lacks={MRG_RXBUF}),
    "no-indirect-no-event-idx": Variant("indirect_desc=off,event_idx=off", lacks={INDIRECT_DESC, EVENT_IDX}),
    "legacy": Variant("disable-modern=on,disable-legacy=off", has=OFFLOADS | {ANY_LAYOUT}, lacks={VERSION_1}),
    "legacy-plain-buffers": Variant("disable-modern=on,disable-legacy=off,mrg_rxbuf=off", lacks={VERSION_1, MRG_RXBUF}),
    # The sender leaves segmentation and checksums to others, the receiver takes neither: the switch has to do them.
    "receiver-without-offloads": Variant("", NO_OFFLOADS, lacks=OFFLOADS),
    "ipv6-and-ecn": Variant(has={GUEST_TSO6, GUEST_ECN, HOST_TSO6, HOST_ECN}, ipv6=True),
    "packed": Variant("packed=on", has=PACKED | {MRG_RXBUF, INDIRECT_DESC, EVENT_IDX}, mib=64, back_mib=64),
    "packed-two-copies": Variant("packed=on", has=PACKED | {MRG_RXBUF}, port=",zerocopy=off"),
    "packed-plain-buffers": Variant("packed=on,mrg_rxbuf=off", has=PACKED, lacks={MRG_RXBUF}),
    "packed-no-indirect-no-event-idx": Variant(
        "packed=on,indirect_desc=off,event_idx=off", has=PACKED, lacks={INDIRECT_DESC, EVENT_IDX}
    ),
    # The sender's rings are split ones: packets move between rings of different kinds.
    "two-queue-pairs": Variant("mq=on", "mq=on,packed=on", has=PACKED | {MQ}, queues=2),
}


class PairGuest(Machine):
    """A machine with one device on each of the ports. number: 1 is the sender, 2 the receiver."""

    def __init__(self, bench, number, ports, variants, drive):
        self.number = number
        arguments = [*shared_memory_arguments(MEMORY_MIB), *drive_arguments(drive)]
        for index, (port, variant) in enumerate(zip(ports, variants)):
            device = variant.receiver_device if number == 2 and variant.receiver_device else variant.device
            arguments += device_arguments(port, self._mac(index), device, variant.queues, number=index)
        cpus = max(variant.queues for variant in variants)
        super().__init__(
            bench, ("sender", "receiver")[number - 1], arguments, cpus=cpus, memory_mib=MEMORY_MIB, modules=["sch_netem"]
        )

    def _mac(self, index):
        return f"52:54:00:00:{index:02x}:{self.number:02x}"

    def take(self, index):
        """Brings the interface up that is on port `index`."""
        self.interface = self.run(f"grep -l {self._mac(index)} /sys/class/net/*/address").split("/")[4]
        self.address = f"10.0.{index}.{self.number}"
        self.run(f"echo 1 >/proc/sys/net/ipv6/conf/{self.interface}/disable_ipv6")
        self.run(f"ip addr add {self.address}/24 dev {self.interface} && ip link set {self.interface} up")

    def leave(self):
        self.run(f"ip link set {self.interface} down && ip addr flush dev {self.interface}")

    def virtio_features(self):
        """What its driver negotiated, as numbers of feature bits."""
        bits = self.run(f"cat /sys/class/net/{self.interface}/device/features").strip()
        return {number for number, bit in enumerate(bits) if bit == "1"}


def check_features(guest, variant):
    features = guest.virtio_features()
    check(variant.has <= features, f"{guest.name} lacks feature bits {variant.has - features} of {sorted(features)}")
    check(not variant.lacks & features, f"{guest.name} has feature bits {variant.lacks & features}")


def check_segmentation(port):
    """With offloads on, the sender's frames are larger than the wire would take."""
    taken = port["from_guest"]
    mean = taken["bytes"] / taken["packets"]
    check(mean > LARGEST_PLAIN_FRAME, f"the sender's frames have {mean:.0f} bytes in the mean: no segmentation offload")


def check_way(ports, variant):
    """Whether what guests sent each other went from ring to ring, or by mbufs."""
    for port in ports:
        moved, packets = port["to_guest"]["moved"], port["to_guest"]["packets"]
        if variant.port:
            check_equal(moved, 0, f"packets moved to {port['name']} without zero copy")
        else:  # how many, depends on how long a receiver's ring was full: what had to wait was copied
            check(0 < moved <= packets, f"{moved} of {packets} packets to {port['name']} were moved")


def check_both_pairs_used(switch, ports, guests):
    """By the switch's count of each vring: what a guest's driver tells of its queues differs from one Linux to the next."""
    telemetry = Telemetry("vhostx-switch", switch.pid)
    for guest, port in zip(guests, ports):
        queues = guest.run(f"ls /sys/class/net/{guest.interface}/queues").split()
        check_equal(sorted(queues), ["rx-0", "rx-1", "tx-0", "tx-1"], f"queues of {guest.name}")
        for first, direction in ((0, "rx"), (1, "tx")):
            counts = [telemetry.ask(f"/vhostx/vring,{port},{vring}")["packets"] for vring in (first, first + 2)]
            print(f"{guest.name} {direction} queues: {counts} packets")
            check(min(counts) > 50, f"{guest.name} used one {direction} queue only: {counts} packets")


def one_pair(sender, receiver, payload, variant):
    serve_drive(sender, variant.mib * MIB)
    there = fetch(receiver, sender.address, payload, variant.mib)
    print(f"{variant.mib} MiB there: {there.mebibytes / there.seconds:.0f} MiB/s, sha256 {there.sha256}")
    serve_drive(receiver, variant.back_mib * MIB)
    back = fetch(sender, receiver.address, payload, variant.back_mib)
    print(f"{variant.back_mib} MiB back: {back.mebibytes / back.seconds:.0f} MiB/s")


def two_pairs(sender, receiver, payload, mib):
    """Work that spreads over both queues of both guests."""
    flows = 8
    serve_drive(sender, mib * MIB, parts=flows)
    fetch_in_flows(receiver, sender.address, payload, mib, flows, cpus=2)
    # A flow's hash picks its queue, so that eight may all meet on one; of 64 more than 50 do once in 10^8 runs.
    sender.run("echo small >/srv/small")
    many_small_fetches(receiver, sender.address, 64, cpus=2)
    ping_from_each_cpu(sender, receiver.address, cpus=2)
    ping_from_each_cpu(receiver, sender.address, cpus=2)


def congestion_marks(guest):
    """How many packets of IPv6 have come with the mark of congestion."""
    return int(guest.run("grep Ip6InCEPkts /proc/net/snmp6").split()[1])


def over_ipv6(sender, receiver, payload, mib):
    """The sender's queue discipline marks some packets with congestion in place of dropping them. The receiver echoes the
    mark, and the sender's next segment says that it has reduced its window: as a large one it is TSO with ECN."""
    for number, guest in enumerate((sender, receiver), 1):
        guest.run(f"cd /proc/sys/net/ipv6/conf/{guest.interface} && echo 0 >accept_dad && echo 0 >disable_ipv6")
        guest.run("echo 1 >/proc/sys/net/ipv4/tcp_ecn")
        guest.run(f"ip -6 addr add fd00::{number}/64 dev {guest.interface}")
    serve_drive(sender, mib * MIB)
    sender.run(f"/sbin/tc qdisc replace dev {sender.interface} root netem loss 3% ecn")
    back = fetch(receiver, "[fd00::1]", payload, mib)
    print(f"{mib} MiB over IPv6: {back.mebibytes / back.seconds:.0f} MiB/s")
    marks = congestion_marks(receiver)
    print(f"{marks} packets with the mark of congestion")
    check(marks > 0, "no packet came with the mark of congestion")


def exchange(switch, sender, receiver, payload, index, variant):
    """What the guests do by way of their devices number `index`."""
    for guest in (sender, receiver):
        guest.take(index)
    check_features(receiver, variant)
    times = ping(receiver, sender.address)
    print(f"{len(times)} pings answered, median {sorted(times)[len(times) // 2]:.1f} ms")
    if variant.ipv6:
        over_ipv6(sender, receiver, payload, variant.mib)
    elif variant.queues == 2:
        two_pairs(sender, receiver, payload, variant.mib)
    else:
        one_pair(sender, receiver, payload, variant)
    stats = switch.stats()
    ports = stats["ports"][2 * index : 2 * index + 2]
    print(describe({"ports": ports}))
    if variant.queues == 1:  # else there are many small packets too
        check_segmentation(ports[0])
    check_way(ports, variant)
    if variant.queues == 2:
        check_both_pairs_used(switch, [port["name"] for port in ports], (sender, receiver))
    for guest in (sender, receiver):
        guest.leave()


def meet(bench, binary, names):
    begun = time.monotonic()
    variants = [VARIANTS[name] for name in names]
    ports = [[bench.path(f"{name}-{end}") for name in names] for end in ("sender", "receiver")]
    arguments = [f"{port},queues={variant.queues}{variant.port}" for *pair, variant in zip(*ports, variants) for port in pair]
    switch = VhostSwitch(bench, binary, arguments)
    payload = make_payload(bench)
    sender, receiver = (PairGuest(bench, number, of_guest, variants, payload) for number, of_guest in enumerate(ports, 1))
    for guest in (sender, receiver):
        guest.booted()
    for index, name in enumerate(names):
        print(f"* {name}, {time.monotonic() - begun:.0f} s after the begin", flush=True)
        exchange(switch, sender, receiver, payload, index, variants[index])
    for guest in (sender, receiver):
        guest.power_off()
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("variants", nargs="*", metavar="variant", help=f"all of {', '.join(VARIANTS)}, or only these")
    arguments = parser.parse_args()
    if unknown := set(arguments.variants) - set(VARIANTS):
        parser.error(f"no such variant: {', '.join(unknown)}")
    run_test(meet, arguments.vhostx_switch, arguments.variants or list(VARIANTS))
