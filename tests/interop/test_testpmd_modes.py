#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""testpmd's virtio-user, in every way it drives a split ring, against vhostx-switch; no packet may be lost.

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
from testpmd import Testpmd, free_huge_pages
from vhostx_switch import VhostSwitch, describe, dropped

PACKETS_MIN = 20000
LOOP = ["--topology", "loop"]
HUGE_PAGES_NEEDED = 64 // 2
IN_ORDER = 35  # VIRTIO 1.2, 6

# virtio-user's devargs; each line is another receive or transmit function of DPDK's driver.
MODES = {
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

# Lengths of the segments of each packet testpmd makes: a chain of descriptors each. A jumbo packet fills several
# receive buffers, which only a mergeable guest takes.
SHAPES = {"64 bytes": "64", "1518 bytes": "1518", "three segments": "64,700,700", "jumbo": "2000,2000,2000"}
SHAPES_OF_ALL = ["64 bytes", "1518 bytes", "three segments"]
JUMBO_OPTIONS = ["--max-pkt-len=9000", "--enable-scatter"]


def circulate(switch, guest, label):
    """Sends packets round for a while, gathers the last ones, compares the counts of both ends."""
    before = switch.stats()["ports"][0]
    sent_before = before["from_guest"]["packets"]
    guest.start("io", first_bursts=2 if "ring of 64" not in label else 1)
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
    check(mode != "vectorised" or "vectorized Rx" in guest.datapath(), f"testpmd chose {guest.datapath()} for {mode}")
    for shape in shapes:
        print(f"{mode}, {shape}{', huge pages' if huge_pages else ''} ({', '.join(guest.datapath())}):", flush=True)
        guest.command(f"set txpkts {SHAPES[shape]}", r"testpmd> ")
        circulate(switch, guest, mode)
    if counter:
        taken = switch.stats()["ports"][0]["from_guest"]
        check(taken[counter] > 0, f"no packet was counted as '{counter}': {taken}")
    guest.end()
    switch.finish()


def every_mode(bench, binary):
    for mode in MODES:
        one_mode(bench, binary, mode, SHAPES_OF_ALL + (["jumbo"] if MODES[mode].get("mrg_rxbuf") else []))


def two_copies(bench, binary):
    """As the switch does it with packets that have to become mbufs."""
    one_mode(bench, binary, "mergeable", SHAPES, port=",zerocopy=off")
    one_mode(bench, binary, "plain", SHAPES_OF_ALL, port=",zerocopy=off")


def lent(bench, binary):
    """Large packets as mbufs in the guest's own buffers, which the worker gives back when they are copied into others."""
    one_mode(bench, binary, "mergeable", SHAPES, port=",zerocopy=lend", counter="lent")
    one_mode(bench, binary, "plain", SHAPES_OF_ALL, port=",zerocopy=lend", counter="lent")


def in_huge_pages(bench, binary):
    if free_huge_pages() < HUGE_PAGES_NEEDED:
        raise Skip(f"{free_huge_pages()} free huge pages of 2 MiB, {HUGE_PAGES_NEEDED} are needed")
    one_mode(bench, binary, "mergeable", SHAPES, huge_pages=True)


def hiding_huge_pages():
    """Starts a program on what looks to it like a machine without huge pages."""
    prefix = [need_program("unshare", "util-linux"), "--mount", "sh", "-c"]
    prefix += ['mount -t tmpfs none /sys/kernel/mm/hugepages && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("hiding huge pages needs root and a mount namespace")
    return prefix


def without_huge_pages(bench, binary):
    one_mode(bench, binary, "mergeable", ["64 bytes"], prefix=hiding_huge_pages())


SCENARIOS = {"modes": every_mode, "two-copies": two_copies, "lent": lent,
             "huge-pages": in_huge_pages, "no-huge-pages": without_huge_pages}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("scenario", choices=SCENARIOS, help="of testpmd: all modes, two with zerocopy=off or zerocopy=lend, or one in huge pages; of the switch: none")
    arguments = parser.parse_args()
    run_test(SCENARIOS[arguments.scenario], arguments.vhostx_switch)
