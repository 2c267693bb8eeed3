#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""testpmd's virtio-user, in every way it drives split and packed rings, against vhostx-switch; no packet may be lost.

What is exact here: vhostx-switch loops the port on itself. testpmd sends two bursts and from then on forwards what it
receives (mode io), so that never more than 64 packets are under way in rings of 256: the loop paces itself, nothing
can overflow, and so nothing may be dropped. After some twenty thousand packets forwarding stops, the last 64 are taken
in (mode rxonly), and now four counts must be equal to the packet and to the byte: what testpmd sent, what the switch
took from the ring, what the switch put into the other, what testpmd received. They are counted by two programs which
know nothing of each other.
"""

import argparse
import subprocess

from processes import Skip, check, check_equal, need_program, run_test, wait_until
from testpmd import Testpmd, free_huge_pages, has_avx512
from vhostx_switch import VhostSwitch, describe, dropped

PACKETS_MIN = 20000
LOOP = ["--topology", "loop"]
HUGE_PAGES_NEEDED = 64 // 2
RING_PACKED, IN_ORDER = 34, 35  # VIRTIO 1.2, 6

# virtio-user's devargs; each line is another receive or transmit function of DPDK's driver.
SPLIT = {
    "mergeable": {"mrg_rxbuf": 1},
    "plain": {"mrg_rxbuf": 0},
    "mergeable, in order": {"mrg_rxbuf": 1, "in_order": 1},
    "plain, in order": {"mrg_rxbuf": 0, "in_order": 1},
    "vectorised": {"mrg_rxbuf": 0, "in_order": 0, "vectorized": 1},
    "vectorised, in order": {"mrg_rxbuf": 0, "in_order": 1, "vectorized": 1},
    "mergeable, vectorised asked": {"mrg_rxbuf": 1, "vectorized": 1},
    "mergeable, ring of 1024": {"mrg_rxbuf": 1, "queue_size": 1024},
    "plain, ring of 64": {"mrg_rxbuf": 0, "queue_size": 64},
    "two queue pairs": {"mrg_rxbuf": 1, "queues": 2},
}

# The same on packed rings, whose size need not be a power of two. Vectorised functions are another scenario.
PACKED = {
    f"packed, {mode}": {**devargs, "packed_vq": 1} for mode, devargs in SPLIT.items() if "vectorized" not in devargs
} | {
    "packed, mergeable, ring of 200": {"packed_vq": 1, "mrg_rxbuf": 1, "queue_size": 200},
    "packed, plain, in order, ring of 97": {"packed_vq": 1, "mrg_rxbuf": 0, "in_order": 1, "queue_size": 97},
    "packed, plain, ring of 33": {"packed_vq": 1, "mrg_rxbuf": 0, "queue_size": 33},
}

# DPDK's driver has vectorised functions for packed rings that are used in order, and receives so where buffers are not merged.
PACKED_VECTORISED = {
    "packed, vectorised": {"packed_vq": 1, "mrg_rxbuf": 0, "in_order": 1, "vectorized": 1},
    "packed, vectorised, two queue pairs": {"packed_vq": 1, "mrg_rxbuf": 0, "in_order": 1, "vectorized": 1, "queues": 2},
    "packed, mergeable, vectorised sending": {"packed_vq": 1, "mrg_rxbuf": 1, "in_order": 1, "vectorized": 1},
}

MODES = SPLIT | PACKED | PACKED_VECTORISED

# The mode's vectorised functions, as the driver names them.
VECTORISED = {
    "vectorised": ["vectorized Rx"],
    "packed, vectorised": ["packed ring vectorized Rx", "packed ring vectorized Tx"],
    "packed, vectorised, two queue pairs": ["packed ring vectorized Rx", "packed ring vectorized Tx"],
    "packed, mergeable, vectorised sending": ["packed ring vectorized Tx"],
}

# Lengths of the segments of each packet testpmd makes: a chain of descriptors each. A jumbo packet fills several
# receive buffers, which only a mergeable guest takes.
SHAPES = {"64 bytes": "64", "1518 bytes": "1518", "three segments": "64,700,700", "jumbo": "2000,2000,2000"}
SHAPES_OF_ALL = ["64 bytes", "1518 bytes", "three segments"]
JUMBO_OPTIONS = ["--max-pkt-len=9000", "--enable-scatter"]


def first_bursts(mode):
    """How many bursts of 32 packets go round: a ring must have room for all, each in three descriptors."""
    return 2 if MODES[mode].get("queue_size", 256) >= 2 * 32 * 3 else 1


def shapes_of(mode):
    return SHAPES_OF_ALL + (["jumbo"] if MODES[mode].get("mrg_rxbuf") else [])


def check_functions(guest, mode):
    """Whether testpmd's driver chose what the mode is about. Packed rings need AVX-512 for it, on x86."""
    chosen = guest.datapath()
    if not all(function in chosen for function in VECTORISED.get(mode, [])):
        check("packed" in mode and not has_avx512(), f"testpmd chose {chosen} for {mode}")
        raise Skip(f"the CPU has no AVX-512, so that testpmd chose {chosen} for {mode}")


def circulate(switch, guest, mode):
    """Sends packets round for a while, gathers the last ones, compares the counts of both ends."""
    before = switch.stats()["ports"][0]
    sent_before = before["from_guest"]["packets"]
    guest.start("io", first_bursts(mode))
    switch.wait_stats(
        lambda now: now["ports"][0]["from_guest"]["packets"] >= sent_before + PACKETS_MIN, "packets to go round"
    )
    guest.stop()
    guest.start("rxonly")
    wait_until(lambda: (lambda s: s.rx_packets == s.tx_packets)(guest.port_stats()), "the last packets to come back")
    guest.stop()
    compare(switch.stats(), guest.port_stats())


def compare(stats, seen):
    port = stats["ports"][0]
    print(describe(stats))
    taken, given = port["from_guest"], port["to_guest"]
    check_equal(seen.tx_packets, taken["packets"], "packets testpmd sent, the switch took")
    check_equal(given["packets"], taken["packets"], "packets the switch took and gave")
    check_equal(seen.rx_packets, given["packets"], "packets the switch gave, testpmd received")
    check_equal(seen.tx_bytes, taken["bytes"], "bytes testpmd sent, the switch took")
    check_equal(seen.rx_bytes, given["bytes"], "bytes the switch gave, testpmd received")
    check_equal((dropped(port), seen.rx_lost, seen.tx_lost), ({}, 0, 0), "packets lost at either end")


def one_mode(bench, binary, mode, shapes, huge_pages=False, prefix=(), port="", counter=None):
    socket = bench.path(f"vhost{len(bench.processes)}")
    queues = MODES[mode].get("queues", 1)
    in_order = bool(MODES[mode].get("in_order"))
    port += ",offer=in_order" if in_order else ""
    switch = VhostSwitch(bench, binary, [f"{socket},queues={queues}{port}"], mode="io", extra=LOOP, prefix=prefix)
    options = [f"--rxq={queues}", f"--txq={queues}", *(JUMBO_OPTIONS if "jumbo" in shapes else [])]
    guest = Testpmd(bench, socket, huge_pages=huge_pages, options=options, **MODES[mode]).ready()
    features = int(switch.stats()["ports"][0]["features"], 16)
    check_equal(bool(features >> IN_ORDER & 1), in_order, f"whether {features:#x} has IN_ORDER")
    check_equal(bool(features >> RING_PACKED & 1), "packed" in mode, f"whether {features:#x} has RING_PACKED")
    check_functions(guest, mode)
    for shape in shapes:
        print(f"{mode}, {shape}{', huge pages' if huge_pages else ''} ({', '.join(guest.datapath())}):", flush=True)
        guest.command(f"set txpkts {SHAPES[shape]}", r"testpmd> ")
        circulate(switch, guest, mode)
    if counter:
        taken = switch.stats()["ports"][0]["from_guest"]
        check(taken[counter] > 0, f"no packet was counted as '{counter}': {taken}")
    guest.end()
    switch.finish()


def all_of(modes):
    def run(bench, binary):
        for mode in modes:
            one_mode(bench, binary, mode, shapes_of(mode))

    return run


def two_copies(bench, binary):
    """As the switch does it with packets that have to become mbufs."""
    for mode in ("mergeable", "plain", "packed, mergeable", "packed, plain"):
        one_mode(bench, binary, mode, shapes_of(mode), port=",zerocopy=off")


def lent(bench, binary):
    """Large packets as mbufs in the guest's own buffers, which the worker gives back when they are copied into others."""
    for mode in ("mergeable", "plain", "packed, mergeable", "packed, plain"):
        one_mode(bench, binary, mode, shapes_of(mode), port=",zerocopy=lend", counter="lent")


def in_huge_pages(bench, binary):
    if free_huge_pages() < HUGE_PAGES_NEEDED:
        raise Skip(f"{free_huge_pages()} free huge pages of 2 MiB, {HUGE_PAGES_NEEDED} are needed")
    for mode in ("mergeable", "packed, mergeable"):
        one_mode(bench, binary, mode, SHAPES, huge_pages=True)


def hiding_huge_pages():
    """Starts a program on what looks to it like a machine without huge pages."""
    prefix = [need_program("unshare", "util-linux"), "--mount", "sh", "-c"]
    prefix += ['mount -t tmpfs none /sys/kernel/mm/hugepages && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("hiding huge pages needs root and a mount namespace")
    return prefix


def without_huge_pages(bench, binary):
    one_mode(bench, binary, "mergeable", ["64 bytes"], prefix=hiding_huge_pages())


SCENARIOS = {"modes": all_of(SPLIT), "packed": all_of(PACKED), "packed-vectorised": all_of(PACKED_VECTORISED), "two-copies": two_copies, "lent": lent,
             "huge-pages": in_huge_pages, "no-huge-pages": without_huge_pages}  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("scenario", choices=SCENARIOS, help="of testpmd: all modes of split or packed rings, some with zerocopy=off or zerocopy=lend, or in huge pages; of the switch: none")
    arguments = parser.parse_args()
    run_test(SCENARIOS[arguments.scenario], arguments.vhostx_switch)
