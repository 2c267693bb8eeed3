#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts, each with Debian's Open vSwitch on our librte_vhost.so.23, joined by Geneve, with OVN as the control plane.

One logical switch is over both, with a guest on each: they ping, and one fetches 64 MiB from the other. Then the second guest's
port moves to the first host and back, as with a migration, while the guest goes on: its TCP connection lives, and OVN leads the
traffic there. The hosts are network namespaces, so that the guest itself can stay where it is.
"""

import argparse
import time

from guest import Guest
from ovn import Central, Chassis, need_ovn
from processes import check, check_equal, run_test, wait_until
from traffic import MIB, PAYLOAD_MIB, fetch, make_payload, ping, serve_drive, sha256, wait_ping
from two_hosts import two_hosts

MEMORY_MIB = 64  # each Open vSwitch's
SWITCH = "switch0"
PINGS = 10
HALF_MIB = 4  # of what is fetched before a move and after it
QUIET_BYTES = MIB // 2  # what OVN itself may say meanwhile
# Says the first half, and the second when it is told to.
HALVES = f"""#!/bin/sh
printf "Content-Type: application/octet-stream\\r\\n\\r\\n"
dd if=/dev/vda bs=1M count={HALF_MIB}
until [ -e /tmp/go-on-$QUERY_STRING ]; do sleep 0.1; done
dd if=/dev/vda bs=1M skip={HALF_MIB} count={HALF_MIB}
"""


def start_chassis(bench, library):
    hosts = two_hosts(bench)
    both = [Chassis(bench, host, library, hosts[0], MEMORY_MIB, 1 << index) for index, host in enumerate(hosts)]
    central = Central(bench, hosts[0])
    for chassis in both:
        chassis.join()
    central.wait_chassis(both)
    return central, both


def logical_switch(central, guests):
    """guests: {name of the logical port: number}, of which Guest makes address and MAC."""
    central.nbctl("ls-add", SWITCH)
    for name, number in guests.items():
        address = f"52:54:00:00:00:{number:02x} 10.0.0.{number}"
        central.nbctl("lsp-add", SWITCH, name, "--", "lsp-set-addresses", name, address, "--", "lsp-set-port-security", name, address)


def check_cable(both, before, mebibytes, tunnelled):
    """That so much went over the cable since `before`, or next to nothing."""
    for chassis, old in zip(both, before):
        grown = chassis.host.cable_bytes() - old
        right = grown >= mebibytes * MIB if tunnelled else grown < QUIET_BYTES
        check(right, f"{grown} bytes over the cable of {chassis.host.name}, of {mebibytes} MiB between guests")


def cable_bytes(both):
    return [chassis.host.cable_bytes() for chassis in both]


def exchange(guests, payload, both):
    first, second = guests
    wait_ping(second, first.address, 2)  # the first one waits until the hosts know each other's MACs, and is lost
    times = ping(second, first.address, PINGS)
    print(f"{PINGS} pings answered, median {sorted(times)[PINGS // 2]:.1f} ms")
    before = cable_bytes(both)
    there = fetch(second, first.address, payload)
    print(f"{PAYLOAD_MIB} MiB: {there.mebibytes / there.seconds:.1f} MiB/s, sha256 {there.sha256}", flush=True)
    check_cable(both, before, PAYLOAD_MIB, tunnelled=True)


def serve_halves(guest):
    guest.run("mkdir -p /srv/cgi-bin && cd /srv/cgi-bin && : >halves && chmod +x halves")
    for line in HALVES.splitlines():
        guest.run(f"echo '{line}' >>/srv/cgi-bin/halves")


class Move:
    """The second guest's port goes from one host to the other, and its connection to the first guest goes on."""

    def __init__(self, guests, path, central):
        self.first, self.second = guests
        self.path = path
        self.central = central
        self.number = 0

    def received(self):
        return int(self.second.run("stat -c %s /tmp/halves || echo 0").split()[-1])

    def begin_fetch(self):
        self.number += 1
        url = f"http://{self.first.address}/cgi-bin/halves?{self.number}"
        self.second.run(f"rm -f /tmp/halves; (wget -q -O /tmp/halves '{url}'; echo $? >/tmp/ended-{self.number}) >/dev/null 2>&1 &")
        wait_until(lambda: self.received() == HALF_MIB * MIB, "the first half")

    def end_fetch(self, payload):
        self.first.run(f"touch /tmp/go-on-{self.number}")
        wait_until(lambda: self.second.try_run(f"test -e /tmp/ended-{self.number}")[0] == 0, "the second half")
        said = self.second.run("sha256sum /tmp/halves").split()[0]
        check_equal(said, sha256(payload, 0, 2 * HALF_MIB * MIB), "checksum of both halves")

    def go(self, source, target):
        begun = time.monotonic()
        source.unplug("vhu2")
        target.plug("vhu2", "guest2", self.path)
        self.central.wait_port("guest2", target.host)
        wait_ping(self.second, self.first.address, 2)
        return time.monotonic() - begun


def move(step, payload, both, source, target, tunnelled):
    step.begin_fetch()
    seconds = step.go(source, target)
    before = cable_bytes(both)
    step.end_fetch(payload)
    check_cable(both, before, HALF_MIB, tunnelled)
    print(f"guest2's port from {source.host.name} to {target.host.name}: traffic there after {seconds:.1f} s, "
          f"{'over the cable' if tunnelled else 'within the host'}; its TCP connection goes on", flush=True)  # fmt: skip


def two_hosts_with_ovn(bench, library):
    need_ovn()
    central, both = start_chassis(bench, library)
    logical_switch(central, {"guest1": 1, "guest2": 2})
    payload = make_payload(bench)
    paths = [both[0].plug("vhu1", "guest1"), bench.path("guest2")]
    both[1].plug("vhu2", "guest2", paths[1])
    guests = [Guest(bench, n, path, server=n == 2, drive=payload) for n, path in enumerate(paths, start=1)]
    for guest, chassis in zip(guests, both):
        guest.booted()
        central.wait_port(guest.name, chassis.host)
    for chassis, other in zip(both, reversed(both)):
        check(f"remote_ip={other.host.address}" in chassis.tunnels(), f"tunnels of {chassis.host.name}: {chassis.tunnels()}")
    serve_drive(guests[0], PAYLOAD_MIB * MIB)
    exchange(guests, payload, both)
    serve_halves(guests[0])
    step = Move(guests, paths[1], central)
    move(step, payload, both, both[1], both[0], tunnelled=False)
    move(step, payload, both, both[0], both[1], tunnelled=True)
    for guest in guests:
        guest.power_off()
    for chassis in both:
        chassis.ovs.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="the folder of our librte_vhost.so.23; - for DPDK's own")
    arguments = parser.parse_args()
    run_test(two_hosts_with_ovn, None if arguments.library == "-" else arguments.library)
