#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest fetches a file from another one over TCP while one vhostx-switch follows the other.

vhostx-keeper holds their connections. The vhostx-switch is killed, hands over to the next one (--take-over), and ends in order, in
turn. Each new one says that it has taken both connections over; QEMU has the same sockets as at first; each file's checksum is right.
"""

import argparse
import random
import time

import interop_path  # noqa: F401
from guest import Guest
from keeper import Keeper
from monitor import Monitor, monitor_arguments
from processes import check, check_equal, open_sockets, run_test
from traffic import MIB, PAYLOAD_MIB, FetchAgain, make_payload, ping, serve_drive
from vhostx_switch import VhostSwitch

PAUSE_S = 0.5  # at most, from packets to the next end


class Switches:
    """One vhostx-switch after the other, on the same two ports."""

    def __init__(self, bench, binary, keeper, ports):
        self.bench, self.binary, self.keeper, self.ports = bench, binary, keeper, ports
        self.count = 0
        self.current = self.start()

    def start(self, *extra):
        self.count += 1
        extra = [*self.keeper.arguments(), *extra]
        return VhostSwitch(self.bench, self.binary, self.ports, extra=extra, name=f"switch-{self.count}")

    def kill(self):
        self.current.kill()
        self.current = self.start()

    def end(self):
        self.current.finish()
        self.current = self.start()

    def upgrade(self):
        before, self.current = self.current, self.start("--take-over")
        check_equal(before.process.popen.wait(60), 0, "exit status of the vhostx-switch that handed over")

    def wait_adopted(self):
        for port in self.ports:
            event = self.current.wait_event("connected", port=port.split(",")[0])
            check_equal(event.get("adopted", False), True, f"{port} was taken over")


class WatchedGuest(Guest):
    """A guest whose QEMU says what it sees of its back-end."""

    def __init__(self, bench, number, port_socket, **how):
        path = bench.path(f"monitor{number}")
        super().__init__(bench, number, port_socket, arguments=monitor_arguments(path), **how)
        self.monitor = Monitor(path)
        bench.at_end(self.monitor.close)

    def remember(self):
        self.sockets = open_sockets(self.process.pid)

    def check_same_connection(self):
        (chardev,) = [one for one in self.monitor.run("query-chardev") if one["label"] == "c0"]
        check(not chardev["filename"].startswith("disconnected"), f"{self.name}'s chardev: {chardev}")
        check_equal(open_sockets(self.process.pid), self.sockets, f"sockets of {self.name}'s QEMU")


def lives(bench, switch_binary, keeper_binary, kinds):
    keeper = Keeper(bench, keeper_binary)
    payload = make_payload(bench)
    sockets = [bench.path("a"), bench.path("b")]
    switches = Switches(bench, switch_binary, keeper, [sockets[0], sockets[1] + ",role=client"])
    a = WatchedGuest(bench, 1, sockets[0], drive=payload)  # with split rings, and the other one with packed rings
    b = WatchedGuest(bench, 2, sockets[1], device="packed=on", server=True)
    for guest in (a, b):
        guest.booted()
    ping(b, a.address)
    for guest in (a, b):
        guest.remember()
    serve_drive(a, PAYLOAD_MIB * MIB)
    files = FetchAgain(b, a.address, payload)
    held = None
    for kind in kinds:
        files.wait_progress()
        time.sleep(random.random() * PAUSE_S)
        getattr(switches, kind)()
        switches.wait_adopted()
        for guest in (a, b):
            guest.check_same_connection()
        held = held or keeper.open_fds()
        check_equal(keeper.open_fds(), held, "descriptors of the keeper")
    files.wait_progress()
    fetched = files.finish()
    ends = ", ".join(f"{kind} {kinds.count(kind)}" for kind in dict.fromkeys(kinds))
    print(f"{ends}: {fetched} times {PAYLOAD_MIB} MiB with equal sums, the same two connections")
    for guest in (a, b):
        guest.power_off()
    switches.current.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("keeper", help="vhostx-keeper")
    parser.add_argument("--times", type=int, default=3, help="of each kind of end (3)")
    arguments = parser.parse_args()
    run_test(lives, arguments.vhostx_switch, arguments.keeper, ["kill", "upgrade", "end"] * arguments.times)
