#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What vhostx-switch knows of a guest moves with it: the addresses behind its port, and the port's counters.

The guest has a second address (macvlan), from which it has sent before. After the move it stays silent, and nothing announces that
address. A neighbour's frames to it arrive all the same, and go nowhere else: on another port of the same switch, and on another
switch, which never had a frame from it. From a port with state=stay nothing moves, and the same frames go to all ports. A port at
which the state does not fit makes the migration fail, and the guest goes on. Needs QEMU 10.0.
"""

import argparse

import interop_path  # noqa: F401
from guest import Guest
from migration import FULL_SPEED, MovingGuest
from processes import Skip, check, check_equal, run_test, wait_until
from qemu import qemu_program, qemu_version
from traffic import ping
from vhostx_switch import VhostSwitch

DEVICE_STATE = 1 << 19
SECOND_MAC = "52:54:00:00:01:02"
SECOND_ADDRESS = "10.0.1.2"
FRAMES = 5
ANNOUNCEMENTS = 5  # of QEMU, unless told otherwise


def need_device_state():
    version = qemu_version(qemu_program())
    if version < (10, 0):
        raise Skip("QEMU %d.%d moves no state of a network device's back-end; 10.0 and later do" % version)


class Side:
    """A switch with a neighbour of the guest, and a port where nobody is: it counts what goes to all ports.

    places: names of the ports for the guest, and what follows each in --port.
    """

    def __init__(self, bench, binary, number, places):
        self.bench = bench
        self.ports = {name: bench.path(name) for name in places}
        self.nobody = bench.path(f"nobody{number}")
        neighbour = bench.path(f"neighbour{number}")
        specs = [self.ports[name] + more for name, more in places.items()]
        self.switch = VhostSwitch(bench, binary, [neighbour, self.nobody, *specs], name=f"switch{number}")
        self.number = number
        self.neighbour_port = neighbour

    def boot_neighbour(self, guest_mac):
        self.neighbour = Guest(self.bench, self.number, self.neighbour_port).booted()
        self.neighbour.run(f"ip addr add 10.0.1.{self.number}/24 dev eth0")
        self.neighbour.run(f"arp -s {SECOND_ADDRESS} {SECOND_MAC}; arp -s 10.0.0.2 {guest_mac}")

    def stats_of(self, path):
        return next(port for port in self.switch.stats()["ports"] if port["name"] == path)

    def flooded(self):
        return self.stats_of(self.nobody)["switch_drops"].get("flood_not_ready", 0)

    def finish(self):
        self.neighbour.power_off()
        self.switch.finish()


class Lab:
    def __init__(self, bench, binary):
        self.first = Side(bench, binary, 1, {"stays": ",queues=2,state=stay", "one": ",queues=2", "two": ",queues=2"})
        self.second = Side(bench, binary, 3, {"three": ",queues=2", "narrow": ""})
        # No driver that announces all its addresses: QEMU has the back-end send a RARP frame, of the first one.
        self.guest = MovingGuest(bench, 2, self.first.ports["stays"], "guest_announce=off", modules=["macvlan"])
        self.guest.booted()
        self.side, self.port = self.first, self.first.ports["stays"]
        for side in (self.first, self.second):
            side.boot_neighbour(self.guest.mac)
        self.guest.run(f"ip link add link eth0 name second type macvlan && ip link set second address {SECOND_MAC} up")
        self.guest.run(f"ip addr add {SECOND_ADDRESS}/24 dev second; ip addr")
        for side in (self.first, self.second):
            self.guest.run(f"arp -s 10.0.1.{side.number} {side.neighbour.mac}; arp -s {side.neighbour.address} {side.neighbour.mac}")
        self.guest.run("echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all")
        self.speak()

    def speak(self):
        """The guest sends from both of its addresses."""
        ping(self.guest, f"10.0.1.{self.side.number}", 1)
        ping(self.guest, self.side.neighbour.address, 20)

    def counters(self):
        stats = self.side.stats_of(self.port)
        return {way: {what: stats[way][what] for what in ("packets", "bytes")} for way in ("from_guest", "to_guest")}

    def second_address(self):
        return {way: int(self.guest.run(f"cat /sys/class/net/second/statistics/{way}_packets")) for way in ("rx", "tx")}

    def move(self, side, name):
        check(self.device_state(), "QEMU has not accepted DEVICE_STATE")
        counted = self.change_places(side, name)
        self.check_addresses(name)
        self.check_counters(name, counted)
        self.guest.leave()

    def move_without_state(self, side, name):
        """What was learned is forgotten when the QEMU that was left has gone."""
        check(not self.device_state(), "QEMU has accepted DEVICE_STATE, which is not offered")
        self.change_places(side, name)
        self.guest.leave()
        wait_until(lambda: not self.first.stats_of(self.first.ports["stays"])["connected"], "the QEMU that was left to disconnect")
        self.check_addresses(name, flooded=FRAMES)
        self.speak()

    def device_state(self):
        return int(self.side.stats_of(self.port)["protocol_features"], 16) & DEVICE_STATE

    def change_places(self, side, name):
        """The counters of the port that was left."""
        mark = side.switch.mark()
        moved = self.guest.move(side.ports[name])
        counted = self.counters()
        self.side, self.port = side, side.ports[name]
        print(f"to port {name}: {moved.total_ms} ms, downtime {moved.downtime_ms} ms, {moved.away_ms:.1f} ms from stop to start", flush=True)
        self.wait_announced(mark)
        return counted

    def wait_announced(self, mark):
        """All RARP frames of the guest, which go to everybody, have passed: what it sends comes after them."""

        def announced():
            self.side.switch.mark()
            events = [event for event in self.side.switch.events[mark:] if event["event"] == "rarp_requested"]
            return len(events) >= ANNOUNCEMENTS

        wait_until(announced, f"QEMU to announce {self.guest.name}")
        self.guest.run(f"ping -c 1 -W 60 {self.side.neighbour.address}")

    def check_addresses(self, name, flooded=0):
        """flooded: how many of the frames go to all ports."""
        flooded_before, before = self.side.flooded(), self.second_address()
        status, said = self.side.neighbour.try_run(f"ping -c {FRAMES} -i 0.2 -W 1 {SECOND_ADDRESS}")
        check(status != 0, f"the guest has answered, and shown where it is: {said}")
        now = wait_until(lambda: self.arrived(before), f"{FRAMES} frames to the guest's second address at port {name}")
        check_equal(now["tx"], before["tx"], "frames from the guest's second address")
        check_equal(self.side.flooded() - flooded_before, flooded, f"frames that went to all ports beside {name}")
        print(f"  {now['rx'] - before['rx']} frames to {SECOND_MAC} came, {flooded} went to other ports", flush=True)

    def arrived(self, before):
        now = self.second_address()
        return now if now["rx"] >= before["rx"] + FRAMES else None

    def check_counters(self, name, counted):
        now = self.counters()
        for way, counts in counted.items():
            for what, number in counts.items():
                check(number > 0, f"the port that the guest left has counted no {what} {way}")
                check(now[way][what] >= number, f"{what} {way} at port {name}: {now[way][what]}, expected {number} or more")
        print(f"  counters: {counted} at the port that it left, {now} here", flush=True)

    def move_in_vain(self, side, name, reason):
        """The state does not fit at that port. With a return path the source hears of it, and the guest goes on by itself."""
        self.guest.here.monitor.run("migrate-set-capabilities", capabilities=[{"capability": "return-path", "state": True}])
        there = self.guest.begin_moving(side.ports[name], FULL_SPEED)
        self.guest.wait_end("failed")
        there.process.popen.wait(60)
        wait_until(lambda: reason in side.switch.errors(), f"the switch's log to say `{reason}`: {side.switch.errors()}")
        check_equal(self.guest.here.monitor.run("query-status")["status"], "running", "the guest that stays")
        print(f"not to port {name}: {reason}", flush=True)
        self.check_addresses("where it stayed")


def migrate(bench, binary):
    need_device_state()
    lab = Lab(bench, binary)
    lab.move_without_state(lab.first, "one")
    lab.move(lab.first, "two")
    lab.move(lab.second, "three")
    lab.move_in_vain(lab.second, "narrow", "the record has statistics of 4 vrings, expected at most 2")
    lab.move(lab.first, "one")
    lab.guest.power_off()
    for side in (lab.first, lab.second):
        side.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    run_test(migrate, parser.parse_args().vhostx_switch)
