#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Memory slots come and go under traffic, and no packet is lost, damaged or out of order.

Two guests send numbered packets to each other through vhostx-switch without a pause, also while ADD_MEM_REG and
REM_MEM_REG are under way: the traffic goes on between request and ack. The packets lie in the very slots that come
and go, the freshest first. Never more packets are under way than the receiver has posted buffers, so each must arrive.
"""

import argparse
import random

from processes import Skip, check, check_equal, run_test, wait_until
from vhost_user import NetGuest
from vhostx_switch import VhostSwitch, describe, dropped

SLOT_BYTES = 64 << 10
SLOTS_WANTED = 400
ROUNDS = 2  # the second finds what the first left behind; a third would find the same
WINDOW = 64
NOISE = random.Random(1).randbytes(8192)


class Flow:
    """Numbered packets from one guest to the other."""

    def __init__(self, sender, receiver, label):
        self.sender, self.receiver, self.label = sender, receiver, label
        self.sent = self.received = 0

    def packet(self, number):
        length = 60 + number * 37 % 1400
        begin = number * 101 % 4096
        header = b"\x52\x54\x00\x00\x02" + self.label + b"\x52\x54\x00\x00\x03" + self.label + b"\x88\xb5"
        return header + number.to_bytes(8, "big") + NOISE[begin : begin + length]

    def step(self):
        while self.sent - self.received < WINDOW and self.sender.send(self.packet(self.sent)):
            self.sent += 1
        for frame in self.receiver.receive():
            check(frame == self.packet(self.received), f"packet {self.received} of flow {self.label} came damaged")
            self.received += 1


class Traffic:
    def __init__(self, left, right):
        self.flows = [Flow(left, right, b"A"), Flow(right, left, b"B")]

    def step(self):
        for flow in self.flows:
            flow.step()

    def until(self, condition, what):
        wait_until(lambda: self.step() or condition(), what)

    def received(self):
        return sum(flow.received for flow in self.flows)

    def drain(self):
        for flow in self.flows:
            flow.sender = QUIET
        self.until(lambda: all(flow.received == flow.sent for flow in self.flows), "the last packets")


class Quiet:
    """Sends nothing any more."""

    def send(self, _):
        return False


QUIET = Quiet()


def add(guest, traffic):
    slot = guest.add_slot(SLOT_BYTES, while_waiting=traffic.step)
    traffic.step()  # its buffers are the next to be used
    return slot


def remove(guest, slot, traffic):
    guest.retire_slot(slot)
    traffic.until(lambda: slot.outstanding == 0, "the rings to give a slot's buffers back")
    guest.remove_slot(slot, while_waiting=traffic.step)


def slots_come_and_go(bench, binary):
    paths = [bench.path("left"), bench.path("right")]
    switch = VhostSwitch(bench, binary, paths, mode="io")
    left, right = (NetGuest(path) for path in paths)
    switch.wait_started(paths)
    slots = min(left.slots_max - 1, SLOTS_WANTED)
    if slots < 8:
        raise Skip(f"the back-end takes {left.slots_max} memory slots")
    traffic = Traffic(left, right)
    traffic.until(lambda: traffic.received() > 1000, "packets over the first slot alone")
    fds = switch.open_fds()
    pick = random.Random(2)
    for turn in range(ROUNDS):
        added = [(guest, add(guest, traffic)) for _ in range(slots) for guest in (left, right)]
        print(f"round {turn}: {slots} slots added at either guest, {traffic.received()} packets so far", flush=True)
        pick.shuffle(added)
        for guest, slot in added:
            remove(guest, slot, traffic)
        switch.wait_fds(fds, "descriptors after all slots are gone")
    for guest in (left, right):
        last = add(guest, traffic)
        traffic.until(lambda slot=last: slot.outstanding > 0, "a slot that came after all this to be used")
    traffic.drain()
    stats = switch.stats()
    print(describe(stats))
    for port, flow, back in zip(stats["ports"], traffic.flows, reversed(traffic.flows)):
        check_equal((port["from_guest"]["packets"], port["to_guest"]["packets"]), (flow.sent, back.sent), "packets")
        check_equal(dropped(port), {}, "drops")
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    run_test(slots_come_and_go, parser.parse_args().vhostx_switch)
