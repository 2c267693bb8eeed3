#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The same poll-mode guest on vhostx and on the kernel's own back-end, in one virtual machine, in turn.

Inside a machine with two CPUs runs dpdk-testpmd twice, with a virtio-user port each: one on a vhostx-switch, one on
/dev/vhost-net with a TAP. The guests transmit on CPU 1; the back-ends (the switch's worker, the kernel's vhost thread) take the packets
on CPU 0. Rounds alternate, and while one guest transmits the other back-end is stopped or asleep. Fails when one of them
carries nothing; the rates are for reading. Under software emulation they are those of an emulated machine.
"""

import argparse
import json
import re
import statistics

from host_root import HostRootMachine
from processes import Skip, check, go_first, need_program, run_test

TAP = "tap0"
QUEUE_SIZE = 256
MACHINE = {"cpus": 2, "memory_mib": 1280, "huge_pages": 256}
STATS = r"Tx-pps:"
TOTALS = r"TX-packets: ([0-9]+) +TX-dropped: ([0-9]+) +TX-total: ([0-9]+)"


class TransmittingGuest:
    """A testpmd in the machine, on CPU 1, that transmits when it is told to."""

    def __init__(self, machine, name, devargs):
        self.machine, self.name = machine, name
        program = need_program("dpdk-testpmd", "dpdk-dev")
        vdev = f"net_virtio_user0,{devargs},queues=1,queue_size={QUEUE_SIZE},mrg_rxbuf=1,in_order=0,packed_vq=0"
        argv = ["stdbuf", "-oL", program, "--lcores", "0@1,1@1", "--no-pci", "--in-memory", "--single-file-segments"]
        argv += ["--file-prefix", name, "-m", "64", "--vdev", vdev, "--", "-i", "--total-num-mbufs=4096"]
        argv += [f"--txd={QUEUE_SIZE}", f"--rxd={QUEUE_SIZE}"]
        machine.begin_program(name, argv)
        machine.type(name, "set fwd txonly")
        machine.wait_line(name, "Set txonly packet forwarding mode")

    def say(self, line, pattern):
        """Types a line and waits for one more answer of this pattern than there was."""
        seen = self.machine.count_lines(self.name, pattern)
        self.machine.type(self.name, line)
        self.machine.wait_line(self.name, pattern, seen)

    def transmit(self, size, seconds):
        """(packets a second, share of packets for which the ring had no room)."""
        self.machine.type(self.name, f"set txpkts {size}")
        self.say("start", "packet forwarding - ports=1")
        self.say("show port stats 0", STATS)  # rates are counted from here
        self.machine.run(f"sleep {seconds}")
        self.say("show port stats 0", STATS)
        self.say("stop", r"^Done\.")
        rate = re.search(r"Tx-pps:\s+(\d+)", self.machine.log_end(self.name, STATS)[0])
        totals = re.search(TOTALS, self.machine.log_end(self.name, TOTALS)[0])
        return int(rate[1]), int(totals[2]) / max(int(totals[3]), 1)


class VhostxWay:
    """vhostx-switch, its worker on CPU 0, polling; stopped between its turns."""

    label = "vhostx"

    def __init__(self, machine, binary):
        self.machine = machine
        switch = ["taskset", "1", binary, "--port", "/tmp/port", "--mode", "rxonly", "--busy-poll", "--stats", "0.2", "--json"]
        machine.begin_program("switch", switch)
        machine.wait_line("switch", '"ready"')
        self.guest = TransmittingGuest(machine, "vhostx-guest", "path=/tmp/port")
        machine.signal("switch", "STOP")

    def taken(self):
        lines = self.machine.log_end("switch", '^."event":"stats"')
        return json.loads(lines[0])["ports"][0]["from_guest"]["packets"] if lines else 0

    def transmit(self, size, seconds):
        self.machine.signal("switch", "CONT")
        rate = self.guest.transmit(size, seconds)
        self.machine.signal("switch", "STOP")
        return rate


class KernelWay:
    """/dev/vhost-net with a TAP that is up and has no address; the kernel's vhost thread on CPU 0."""

    label = "kernel"
    # Since Linux 6.4 it is a thread of the process that asked for it.
    PIN = 'for task in /proc/[0-9]*/task/*; do case $(cat $task/comm) in vhost-*) taskset -p 1 ${task##*/};; esac; done'

    def __init__(self, machine):
        self.machine = machine
        if machine.try_run("test -e /dev/vhost-net && test -e /dev/net/tun")[0] != 0:
            raise Skip("the virtual machine's kernel has no vhost_net or no tun module")
        self.guest = TransmittingGuest(machine, "kernel-guest", f"path=/dev/vhost-net,iface={TAP}")
        machine.run(f"echo 1 >/proc/sys/net/ipv6/conf/{TAP}/disable_ipv6; ip link set {TAP} up")
        check("affinity" in machine.run(self.PIN), "the kernel has no vhost thread")

    def taken(self):
        return int(self.machine.run(f"cat /sys/class/net/{TAP}/statistics/rx_packets"))

    def transmit(self, size, seconds):
        return self.guest.transmit(size, seconds)


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def show(size, rounds):
    """rounds: for each, the (packets a second, refused share) of both ways."""
    print(f"\n{size} bytes, transmit, {len(rounds)} rounds each")
    for way, results in zip((VhostxWay, KernelWay), zip(*rounds)):
        low, median, high = quartiles([pps / 1e3 for pps, _ in results])
        refused = statistics.median(share for _, share in results)
        print(f"  {way.label:7} {median:9.1f} kpps ({low:.1f} to {high:.1f}); found the ring full for {refused:.0%} of its packets")
    low, median, high = quartiles([ours[0] / max(theirs[0], 1) for ours, theirs in rounds])
    print(f"  ratio   {median:9.2f} ({low:.2f} to {high:.2f})")


def compare(bench, options):
    machine = HostRootMachine(bench, "machine", **MACHINE, modules=["tun", "vhost_net"])
    go_first(machine.process.pid)
    machine.booted()
    for path in (options.vhostx_switch, need_program("dpdk-testpmd", "dpdk-dev")):
        machine.need_file(path)
    ways = (VhostxWay(machine, options.vhostx_switch), KernelWay(machine))
    for size in options.sizes:
        rounds = []
        for _ in range(options.rounds):
            before = [way.taken() for way in ways]
            rounds.append([way.transmit(size, options.seconds) for way in ways])
            for way, packets in zip(ways, before):
                check(way.taken() > packets, f"{way.label}: no packet of {size} bytes reached the back-end")
        show(size, rounds)
    machine.power_off()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1518], help="bytes of a frame (64 1518)")
    parser.add_argument("--rounds", type=int, default=1, help="for each size and way (1)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a round (0.5)")
    run_test(compare, parser.parse_args())
