#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two Linux guests on vhostx-switch: ping, and 64 MiB over TCP with the checksums compared.

Each variant gives the guests' devices other properties, checks in the guest that the driver really negotiated what the
variant is about, and does the same work.
"""

import argparse
from collections import namedtuple

from guest import Guest
from processes import check, check_equal, run_test
from traffic import MIB, PAYLOAD_MIB, fetch, fetch_in_flows, make_payload, many_small_fetches
from traffic import ping, ping_from_each_cpu, serve_drive
from vhostx_switch import VhostSwitch, describe

# VIRTIO 1.2, 5.1.3 and 6
CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF, MQ = 0, 1, 7, 11, 15, 22
INDIRECT_DESC, EVENT_IDX, VERSION_1 = 28, 29, 32
OFFLOADS = {CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4}

LARGEST_PLAIN_FRAME = 1514
BACK_MIB = 8

# device: QEMU properties of both guests' devices, or of the receiver's alone.
# has, lacks: feature bits that the driver of the receiver must have negotiated, or not.
# port: what is added to the --port of both.
Variant = namedtuple("Variant", "device receiver_device has lacks port", defaults=("", "", set(), set(), ""))

NO_OFFLOADS = (
    "csum=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,"
    "host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off"
)

VARIANTS = {
    "offloads": Variant(has=OFFLOADS | {MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1}),
    "two-copies": Variant(has=OFFLOADS | {MRG_RXBUF}, port=",zerocopy=off"),
    "plain-buffers": Variant("mrg_rxbuf=off", has=OFFLOADS, lacks={MRG_RXBUF}),
    "no-indirect-no-event-idx": Variant("indirect_desc=off,event_idx=off", lacks={INDIRECT_DESC, EVENT_IDX}),
    "legacy": Variant("disable-modern=on,disable-legacy=off", has=OFFLOADS, lacks={VERSION_1}),
    "legacy-plain-buffers": Variant("disable-modern=on,disable-legacy=off,mrg_rxbuf=off", lacks={VERSION_1, MRG_RXBUF}),
    # The sender leaves segmentation and checksums to others, the receiver takes neither: the switch has to do them.
    "receiver-without-offloads": Variant("", NO_OFFLOADS, lacks=OFFLOADS),
    "two-queue-pairs": Variant("mq=on", has=OFFLOADS | {MQ}),
}


def check_features(guest, variant):
    features = guest.virtio_features()
    check(variant.has <= features, f"{guest.name} lacks feature bits {variant.has - features} of {sorted(features)}")
    check(not variant.lacks & features, f"{guest.name} has feature bits {variant.lacks & features}")


def check_segmentation(stats):
    """With offloads on, the sender's frames are larger than the wire would take."""
    taken = stats["ports"][0]["from_guest"]
    mean = taken["bytes"] / taken["packets"]
    check(mean > LARGEST_PLAIN_FRAME, f"the sender's frames have {mean:.0f} bytes in the mean: no segmentation offload")


def check_way(stats, variant):
    """Whether what guests sent each other went from ring to ring, or by mbufs."""
    for port in stats["ports"]:
        moved, packets = port["to_guest"]["moved"], port["to_guest"]["packets"]
        if variant.port:
            check_equal(moved, 0, f"packets moved to {port['name']} without zero copy")
        else:  # how many, depends on how long a receiver's ring was full: what had to wait was copied
            check(0 < moved <= packets, f"{moved} of {packets} packets to {port['name']} were moved")


def queue_packets(guest, direction):
    """Packets of each queue, as the guest's driver counts them."""
    lines = guest.run("ethtool -S eth0").splitlines()
    counts = {line.split(":")[0].strip(): line.split(":")[1] for line in lines if line.count(":") == 1}
    return [int(counts[f"{direction}_queue_{queue}_packets"]) for queue in range(2)]


def check_both_pairs_used(sender, receiver):
    for guest in (sender, receiver):
        queues = guest.run("ls /sys/class/net/eth0/queues").split()
        check_equal(sorted(queues), ["rx-0", "rx-1", "tx-0", "tx-1"], f"queues of {guest.name}")
    for guest, direction in ((sender, "tx"), (sender, "rx"), (receiver, "tx"), (receiver, "rx")):
        counts = queue_packets(guest, direction)
        print(f"{guest.name} {direction} queues: {counts} packets")
        check(min(counts) > 50, f"{guest.name} used one {direction} queue only: {counts} packets")


def one_pair(switch, sender, receiver, payload):
    serve_drive(sender, PAYLOAD_MIB * MIB)
    there = fetch(receiver, sender.address, payload)
    print(f"64 MiB there: {there.mebibytes / there.seconds:.0f} MiB/s, sha256 {there.sha256}")
    receiver.run(f"dd if=/dev/vda of=/srv/part0 bs=1M count={BACK_MIB} && httpd -p 80 -h /srv")
    back = fetch(sender, receiver.address, payload, BACK_MIB)
    print(f"{BACK_MIB} MiB back: {back.mebibytes / back.seconds:.0f} MiB/s")
    check_segmentation(switch.stats())


def two_pairs(sender, receiver, payload):
    flows = 8
    serve_drive(sender, PAYLOAD_MIB * MIB, parts=flows)
    fetch_in_flows(receiver, sender.address, payload, flows, cpus=2)
    # A flow's hash picks its queue, so that eight may all meet on one; of 64 more than 50 do once in 10^8 runs.
    sender.run("echo small >/srv/small")
    many_small_fetches(receiver, sender.address, 64, cpus=2)
    ping_from_each_cpu(sender, receiver.address, cpus=2)
    ping_from_each_cpu(receiver, sender.address, cpus=2)
    check_both_pairs_used(sender, receiver)


def exchange(bench, binary, name):
    variant = VARIANTS[name]
    queues = 2 if name == "two-queue-pairs" else 1
    ports = [bench.path("sender"), bench.path("receiver")]
    switch = VhostSwitch(bench, binary, [f"{port},queues={queues}{variant.port}" for port in ports])
    payload = make_payload(bench)
    common = {"queues": queues, "cpus": queues, "drive": payload}
    sender = Guest(bench, 1, ports[0], device=variant.device, **common)
    receiver = Guest(bench, 2, ports[1], device=variant.receiver_device or variant.device, **common)
    sender.booted()
    check_features(receiver.booted(), variant)
    times = ping(receiver, sender.address)
    print(f"{len(times)} pings answered, median {sorted(times)[len(times) // 2]:.1f} ms")
    if queues == 2:
        two_pairs(sender, receiver, payload)
    else:
        one_pair(switch, sender, receiver, payload)
    stats = switch.stats()
    print(describe(stats))
    check_way(stats, variant)
    for guest in (sender, receiver):
        guest.power_off()
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("variant", choices=VARIANTS)
    arguments = parser.parse_args()
    run_test(exchange, arguments.vhostx_switch, arguments.variant)
