#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest moves from one QEMU to the next, and from port to port of vhostx-switch, under checked traffic.

The guest and a neighbour, which stays, send each other numbered datagrams, and the guest fetches a file. While it moves, the guest
leaves what it receives in its sockets, where the back-end has written it. After the move all of that must be whole. Then the
guest receives the rest: the file's checksum is right, the lost datagrams are those of the time without a guest, and none came
twice or out of order. The QEMU that was moved to is the source of the next move.
"""

import argparse
import os
from collections import namedtuple

import interop_path  # noqa: F401
from guest import Guest
from migration import MIB, MovingGuest
from numbered_flow import NumberedFlow
from processes import Failure, check, check_equal, run_test, wait_until
from traffic import make_payload, ping, ping_from_each_cpu, serve_drive, sha256
from two_hosts import CABLE, two_hosts
from vhostx_switch import VhostSwitch, describe, dropped

# silent: the guest sends no datagrams and fetches nothing. before: what comes before each move. hosts: 2: each has a switch.
Variant = namedtuple("Variant", "about device queues silent before server hosts", defaults=("", 1, False, None, False, 1))

VARIANTS = {
    "one": Variant("one queue pair"),
    "two": Variant("two queue pairs and two CPUs", "mq=on", queues=2),
    "announce": Variant("the guest sends nothing itself: its driver's announcement shows the switch the new port", silent=True),
    "no-announce": Variant("its driver cannot announce it either: QEMU has the back-end send a RARP frame (SEND_RARP)",
                           "guest_announce=off", silent=True),
    "cancel": Variant("each move is first begun and cancelled midway: the guest stays, and misses nothing", before="cancel"),
    "killed": Variant("each move is first begun, and the destination is killed midway: the same", before="kill"),
    "reconnect": Variant("before each move the back-end is killed, and QEMU connects to another one", before="restart"),
    "server": Variant("QEMU listens on the sockets, and vhostx-switch connects", server=True),
    "two-switches": Variant("source and destination are ports of two switches, which TAPs and a cable join", hosts=2),
}  # fmt: skip

RING_PACKED = 34
INTERVAL_US = 2000  # between two datagrams, times the flows
# A write of the guest's own moves the whole page, and would hide that the back-end's does not. Linux writes into the buffers of small
# packets, and clears pages when it allocates them, unless told otherwise.
MTU = 9000
KERNEL_WORDS = "init_on_alloc=0"
FILE_MIB = 8
CHUNK_KIB = 128  # of the file, which the guest's reader takes at a time
PAUSE_US = 10000
UDP_PAGES = 32768  # for all that the guest leaves in its sockets
RECEIVE_WINDOW = 96 << 10  # of TCP: a burst of more might find the guest's ring full
HELD = 500  # datagrams that come to the guest while it moves, after its memory was sent over once
SLOW = 16 * MIB  # bytes a second, for a migration that is to be interrupted
MIDWAY_MIB = 8
SETTLING_MS = 1000  # a guest that has just arrived may be given the CPU so late
REORDERED = 32  # queue pairs start one after the other: a flow begins in the first one, and may go on in the second
TAP = "vhostx-tap0"
DAMAGE = "Bad page|Bad pagetable|BUG|Oops|general protection|WARNING|NETDEV WATCHDOG"


class Download:
    """The guest fetches the neighbour's file: one half while it moves, the other one afterwards. Between the two the connection
    stands still, with its receive queue full."""

    CHUNKS = FILE_MIB * 1024 // CHUNK_KIB

    def __init__(self, guest, address, expected):
        self.guest, self.expected = guest, expected
        chunk = f"dd bs={CHUNK_KIB}k count=1 iflag=fullblock 2>/dev/null; usleep {PAUSE_US}"
        half = f"for i in $(seq {self.CHUNKS // 2}); do {chunk}; done"
        wait = f"until [ -e /tmp/moved ]; do usleep {PAUSE_US}; done"
        self.reader = f"wget -q -O - http://{address}/part0 | {{ {half}; {wait}; {half}; }} >/tmp/fetching"
        guest.run(f"echo 4096 {RECEIVE_WINDOW} {RECEIVE_WINDOW} >/proc/sys/net/ipv4/tcp_rmem")

    def begin(self):
        self.guest.run("rm -f /tmp/moved; [ ! -e /tmp/fetched ] || mv /tmp/fetched /tmp/kept")
        self.guest.run(f"({self.reader}; mv /tmp/fetching /tmp/fetched) >/dev/null 2>&1 &")

    def finish(self):
        """Its checksum is right now, and so is that of the file before, which has moved in the page cache."""
        self.guest.run(f"touch /tmp/moved; until [ -e /tmp/fetched ]; do usleep {PAUSE_US}; done")
        for line in self.guest.run("sha256sum $(ls /tmp/fetched /tmp/kept 2>/dev/null)").splitlines():
            check_equal(line.split()[0], self.expected, f"checksum of {line.split()[1]} in {self.guest.name}")


class Switches:
    """One switch with all ports, or two, of which the second has the last port."""

    def __init__(self, bench, binary, ports, variant):
        self.bench, self.binary, self.variant = bench, binary, variant
        role = ",role=client" if variant.server else ""
        specs = [f"{port},queues={variant.queues}{role}" for port in ports]
        self.specs = [specs] if variant.hosts == 1 else [specs[:-1], specs[-1:]]
        self.hosts = two_hosts(bench) if variant.hosts == 2 else []
        self.start()

    def start(self):
        self.switches = [self._switch(index, specs) for index, specs in enumerate(self.specs)]
        for host in self.hosts:
            wait_until(lambda: TAP in host.run("ip", "-brief", "link"), "the switch's TAP")
            host.run("ip", "link", "add", "bridge", "type", "bridge")
            for port in (TAP, CABLE):
                host.run("ip", "link", "set", port, "mtu", str(MTU), "master", "bridge", "up")
            host.run("ip", "link", "set", "bridge", "up")

    def _switch(self, index, specs):
        host = {"extra": ["--tap", TAP], "prefix": self.hosts[index].prefix} if self.hosts else {}
        return VhostSwitch(self.bench, self.binary, specs, wait_ready=not self.variant.server, name=f"switch{index}", **host)

    def restart(self):
        """Without a farewell."""
        for switch in self.switches:
            switch.kill()
        self.start()

    def stats(self):
        return {"ports": [port for switch in self.switches for port in switch.stats()["ports"]]}

    def no_room(self):
        """Packets for which the rings of their receivers had no room, or too few buffers: an emulated guest may get no CPU for long."""
        causes = [dropped(port) for port in self.stats()["ports"]]
        return sum(lost.get("ring_full", 0) + lost.get("few_buffers", 0) for lost in causes)

    def finish(self):
        for switch in self.switches:
            switch.finish()


class Flow:
    """Numbered datagrams both ways. An end is named by what it receives."""

    def __init__(self, lab, program, number):
        guest, neighbour = lab.guest, lab.neighbour
        self.to_guest = NumberedFlow(guest, neighbour.address, program, lab.interval_us, number)
        self.to_neighbour = NumberedFlow(neighbour, guest.address, program, lab.interval_us, number)
        self.one_way = lab.variant.silent

    def begin(self):
        self.to_neighbour.order("start")
        if not self.one_way:
            self.to_guest.order("start")

    def end(self):
        for end in (self.to_guest, self.to_neighbour):
            end.order("stop")

    def reports(self):
        return self.to_guest.report(), self.to_neighbour.report()

    def since(self, before):
        return self.to_guest.since(before[0]), self.to_neighbour.since(before[1])

    def hold(self):
        self.to_guest.order("hold")

    def catch_up(self):
        sent = self.to_neighbour.report().sent
        self.to_guest.order("go")
        self.to_guest.wait_received(sent, "datagrams to reach the guest where it is now")
        if not self.one_way:
            sent = self.to_guest.report().sent
            self.to_neighbour.wait_received(sent, "datagrams from the guest where it is now")


class Lab:
    def __init__(self, bench, binary, program, variant, packed):
        self.variant, self.packed = variant, packed
        self.interval_us = INTERVAL_US * variant.queues
        ports = [bench.path(name) for name in ("neighbour", "first", "second")]
        self.switches = Switches(bench, binary, ports, variant)
        payload = make_payload(bench, FILE_MIB)
        device = ",".join(word for word in (variant.device, "packed=on" if packed else "") if word)
        self.neighbour = Guest(bench, 1, ports[0], device, variant.queues, variant.queues, variant.server, payload,
                               [program])  # fmt: skip
        self.guest = MovingGuest(bench, 2, ports[1], device, variant.queues, variant.server,
                                 cpus=variant.queues, programs=[program], kernel_words=KERNEL_WORDS)  # fmt: skip
        for guest in (self.neighbour, self.guest):
            guest.booted()
            guest.run(f"ip link set eth0 mtu {MTU}; echo {UDP_PAGES} {UDP_PAGES} {UDP_PAGES} >/proc/sys/net/ipv4/udp_mem")
        self.wait_ping()
        # Nobody asks for an address: the answer would show the switch where the guest is.
        for one, other in ((self.neighbour, self.guest), (self.guest, self.neighbour)):
            one.run(f"arp -s {other.address} {other.mac}")
        serve_drive(self.neighbour, FILE_MIB * MIB)
        self.download = Download(self.guest, self.neighbour.address, sha256(payload))
        self.here, self.there = ports[1:]
        self.flows = [Flow(self, program, number) for number in range(variant.queues)]

    def wait_ping(self):
        wait_until(lambda: self.neighbour.try_run(f"ping -c 1 -W 1 {self.guest.address}")[0] == 0, "the guests to meet")

    def begin_load(self):
        for flow in self.flows:
            flow.hold()
        if not self.variant.silent:
            self.download.begin()

    def finish_load(self):
        """After a move, or where there was none."""
        for flow in self.flows:
            flow.catch_up()
        if not self.variant.silent:
            self.download.finish()

    def move(self):
        self.begin_load()
        moved = self.guest.move(self.there, self.wait_sent)
        self.finish_load()
        self.guest.leave()
        self.here, self.there = self.there, self.here
        return moved

    def wait_sent(self):
        sent = [flow.to_neighbour.report().sent for flow in self.flows]
        for flow, before in zip(self.flows, sent):
            wait_until(lambda: flow.to_neighbour.report().sent > before + HELD // len(sent), "datagrams to be sent")

    def move_in_vain(self):
        self.begin_load()
        there = self.guest.begin_moving(self.there, SLOW)
        self.guest.wait_progress(lambda told: told["ram"]["transferred"] >= MIDWAY_MIB * MIB, "be half way")
        if self.variant.before == "cancel":
            self.guest.cancel()
            there.process.popen.wait(60)
        else:
            there.process.kill()
            self.guest.wait_end("failed")
        self.finish_load()

    def restart_back_end(self):
        self.switches.restart()
        for flow in self.flows:
            flow.catch_up()


def check_way(report, lost_most, no_room, name, reordered_most=0):
    """Of what was sent to `name`, nothing came damaged, twice or out of order. Datagrams are lost in one piece, `lost_most` at most;
    others only where a ring had no room. Returns how many were lost in this piece."""
    for what in ("damaged", "duplicated"):
        check_equal(getattr(report, what), 0, f"datagrams {what} on their way to {name}: {report}")
    check(report.reordered <= reordered_most, f"{report.reordered} datagrams came to {name} out of order: {report}")
    gap = max((last - first + 1 for first, last in report.runs), default=0) if lost_most else 0
    check(gap <= lost_most, f"{gap} datagrams to {name} were lost at once, expected {lost_most:.0f} at most: {report}")
    check(report.lost - gap <= no_room, f"datagrams to {name} were lost, beside {gap} in one piece and {no_room} without room: {report}")
    return gap


def before_the_move(lab):
    if lab.variant.before == "restart":
        lab.restart_back_end()  # a restart may lose what was on its way, or send it twice
        return
    reports = [flow.reports() for flow in lab.flows]
    no_room = lab.switches.no_room()
    lab.move_in_vain()
    no_room = lab.switches.no_room() - no_room
    for flow, report in zip(lab.flows, reports):
        there, back = flow.since(report)
        check_way(there, 0, no_room, lab.guest.name)
        check_way(back, 0, no_room, lab.neighbour.name)


def one_round(lab, number):
    if lab.variant.before:
        before_the_move(lab)
    reports = [flow.reports() for flow in lab.flows]
    no_room = lab.switches.no_room()
    moved = lab.move()
    no_room = lab.switches.no_room() - no_room
    told = f"{moved.total_ms} ms, {moved.ram_bytes / MIB:.0f} MiB in {moved.passes} passes, downtime {moved.downtime_ms} ms"
    print(f"move {number}: {told}, {moved.away_ms:.1f} ms from stop to start", flush=True)
    for flow, report in zip(lab.flows, reports):
        there, back = flow.since(report)
        absent_ms = max(moved.away_ms, moved.downtime_ms)  # an emulator that has stopped its guest may wait for the CPU, too
        most = (absent_ms + SETTLING_MS) * 1000 / lab.interval_us
        gap = check_way(there, most, no_room, lab.guest.name, REORDERED if lab.variant.queues > 1 else 0)
        check_way(back, 0, no_room, lab.neighbour.name)
        print(f"  {there.received} datagrams came, {there.lost} were lost, {gap} of them in one piece ({gap * lab.interval_us // 1000} ms)"
              f", {there.reordered} out of order; back {back.received} and {back.lost}", flush=True)  # fmt: skip
    check_kernel(lab.guest)
    ping(lab.neighbour, lab.guest.address, 1)
    if lab.variant.queues > 1:
        ping_from_each_cpu(lab.guest, lab.neighbour.address, lab.variant.queues, 10)


def check_kernel(guest):
    _, damage = guest.try_run(f"dmesg | grep -E -A 12 '{DAMAGE}' | head -n 60")
    check_equal(damage, "", f"what the kernel of {guest.name} reports")


def check_end(lab):
    for guest in (lab.neighbour, lab.guest):
        check_kernel(guest)
    stats = lab.switches.stats()
    print(describe(stats))
    for port in stats["ports"]:
        check_equal(port["vrings_broken"], 0, f"broken rings of {port['name']}")
    for port in (port for port in stats["ports"] if port["connected"]):
        check_equal(bool(int(port["features"], 16) >> RING_PACKED & 1), lab.packed, f"whether rings of {port['name']} are packed")


def tell_losses(lab):
    """Where datagrams may have been lost: in the switches, and in the kernels."""
    for port in lab.switches.stats()["ports"]:
        print(f"{port['name']}: {dropped(port)}", flush=True)
    counters = "grep -E 'Udp:|Ip:' /proc/net/snmp; cat /proc/net/softnet_stat; grep . /sys/class/net/eth0/statistics/[rt]x_[de]r*"
    for guest in (lab.neighbour, lab.guest):
        print(f"{guest.name}:\n{guest.try_run(counters)[1]}", flush=True)


def migrate(bench, binary, program, name, rounds, packed):
    lab = Lab(bench, binary, program, VARIANTS[name], packed)
    for flow in lab.flows:
        flow.begin()
    for number in range(1, rounds + 1):
        try:
            one_round(lab, number)
        except Failure:
            tell_losses(lab)
            raise
    for flow in lab.flows:
        flow.end()
    check_end(lab)
    for guest in (lab.neighbour, lab.guest):
        guest.power_off()
    lab.switches.finish()


if __name__ == "__main__":
    about = "\n".join(f"  {name:12} {variant.about}" for name, variant in VARIANTS.items())
    parser = argparse.ArgumentParser(description=f"{__doc__}\n{about}", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("numbered_flow", help="the program that runs in the guests")
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--packed", action="store_true", help="the guests have packed rings")
    arguments = parser.parse_args()
    run_test(migrate, arguments.vhostx_switch, os.path.abspath(arguments.numbered_flow), arguments.variant, arguments.rounds,
             arguments.packed)  # fmt: skip
