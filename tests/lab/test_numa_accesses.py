#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The accesses of vhostx-switch's workers to ring state, mbufs and guest memory, by node, counted by the emulator: before it has
followed guests that moved to the other node, and after. After, all of them are node-local.
"""

import argparse

from accesses import KINDS, AccessCounter, Kinds, by_kind
from numa_machine import NumaMachine
from numa_programs import NumaGuests, NumaSwitch
from processes import Skip, check, check_equal, go_first, run_test

PORTS = ("/tmp/port0", "/tmp/port1")
LOOK_EVERY_MS = 20000  # long, so that there is a time before it has looked
PACKETS = 2000


class Lab:
    def __init__(self, bench, options):
        self.counter = AccessCounter(bench, options.plugins)
        self.machine = NumaMachine(bench, "machine", arguments=self.counter.arguments)
        go_first(self.machine.process.pid)
        self.machine.booted()
        self.machine.leave_drivers("mempool_ring")
        self.counter.connect()
        for path in (options.vhostx_switch, options.numa_guests):
            self.machine.need_file(path)
        # zerocopy=off: else packets go from guest to guest without mbufs.
        ports = [port + ",zerocopy=off" for port in PORTS] if options.copies == 2 else PORTS
        extra = ("--numa-interval", LOOK_EVERY_MS)
        self.switch = NumaSwitch(self.machine, "switch", options.vhostx_switch, ports, 2, extra)
        guests = [f"{port},nodes=0" for port in PORTS]
        # As fast as it goes: bursts are full, and few polls find nothing.
        self.guests = NumaGuests(self.machine, "guests", options.numa_guests, guests, ["--rate", 0])

    def carried(self, stats):
        return sum(port["from_guest"]["packets"] for port in stats["ports"])

    def count(self, moves=()):
        """{kind: Accesses} of the workers while they carried some thousand packets, and how many these were; None if the switch has
        looked meanwhile. moves: (guest, node), done before the first of these packets."""
        stats = self.switch.stats()
        kinds = Kinds(stats, self.machine.address_space(self.switch.pid))
        cpus = {cpu for worker in stats["workers"]
                for cpu in self.machine.cpus_of_thread(self.switch.pid, worker["tid"])}  # fmt: skip
        seen = self.switch.count("placement_changed")
        first = self.guests.check_traffic(hold=True)
        for guest, node in moves:
            self.guests.move(guest, node)
        self.counter.begin()
        self.guests.go()
        enough = self.carried(self.switch.stats()) + PACKETS
        self.switch.wait_stats(lambda now: self.carried(now) >= enough, "packets to be carried")
        packets = self.guests.check_traffic(first, hold=True) - first
        counts = {cpu: pages for cpu, pages in self.counter.end().items() if cpu in cpus}
        looked = self.switch.count("placement_changed") != seen
        self.guests.go()
        return None if looked else (by_kind(counts, kinds, self.machine), packets)


def show(title, counted):
    accesses, packets = counted
    print(f"{title}: {packets} packets; loads and stores of the workers a packet")
    for kind in KINDS:
        local, remote = accesses[kind]
        share = f"{local / (local + remote):.2%} local" if local + remote else "none"
        print(f"  {kind:16} {local / packets:8.1f} local {remote / packets:8.1f} remote   {share}")


def check_local(accesses, followed):
    for kind in followed:
        check(accesses[kind].local > 0, f"no access to {kind} was counted")
        check_equal(accesses[kind].remote, 0, f"accesses to {kind} on another node, with {accesses[kind].local} on the worker's own")


def count_settled(lab, node):
    """What is counted while all is on the node and the switch finds nothing to change."""
    while True:
        lab.switch.wait_on((node, node), timeout_s=4 * LOOK_EVERY_MS / 1000)
        counted = lab.count()
        if counted:
            return counted


def run(bench, options):
    lab = Lab(bench, options)
    followed = [kind for kind in KINDS[:3] if kind != "mbufs" or options.copies == 2]
    counted = count_settled(lab, 0)
    show("guests on node 0", counted)
    check_local(counted[0], followed)
    for node in (1, 0, 1, 0, 1):  # now and then it looks while we count
        counted = lab.count([(guest, node) for guest in range(len(PORTS))])
        lab.switch.wait_on((node, node), timeout_s=4 * LOOK_EVERY_MS / 1000)
        if counted:
            break
    if not counted:
        raise Skip("the machine is too slow: the switch has looked each time before enough packets were counted")
    show(f"moved to node {node}, not followed yet", counted)
    check(counted[0]["guest memory"].remote > 0, "guest memory that moved away is not seen on another node")
    counted = count_settled(lab, node)
    show(f"moved to node {node}, followed", counted)
    check_local(counted[0], followed)
    lab.guests.quit()
    lab.switch.finish()
    lab.machine.power_off()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("numa_guests", help="the guests")
    parser.add_argument("plugins", help="the folder of accesses-N.so, one for each version of QEMU's interface")
    parser.add_argument("--copies", type=int, choices=(1, 2), default=2, help="of each packet (2: by way of an mbuf)")
    run_test(run, parser.parse_args())
