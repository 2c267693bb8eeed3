#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two guests of the soak and the flows between them, in a process of its own that may be killed.

    pair.py '{"name": ..., "left": SOCKET, "right": SOCKET, ...}'      (see soak.PairPlan)

It sleeps until a guest is called or a packet is due, does one disturbance after the other, and at SIGTERM waits for
what is under way, leaves, and prints one line of JSON: what it sent, got, and what of it is unexplained.
"""

import json
import mmap
import random
import select
import signal
import socket
import struct
import sys
import time

import interop_path  # noqa: F401
from disturbances import DISTURBANCES
from flow import Flow
from guest import SoakGuest
from processes import Bench, Failure

LEFT, RIGHT = "left", "right"
OTHER = {LEFT: RIGHT, RIGHT: LEFT}
STATE = struct.Struct("=4Q")  # sent, expected, of either flow: for who looks after this process was killed
POLL_MAX_S = 0.1
PAIR_IN_MAC = 4  # the byte


def mac(pair, side):
    return bytes([0x52, 0x54, 0, 0x50, pair, 1 if side == LEFT else 2])


class Pair:
    def __init__(self, plan, bench):
        self.plan, self.bench = plan, bench
        self.random = random.Random(plan["seed"])
        self.paths = {side: plan[side] for side in OTHER}
        self.listeners = {side: listen(path) if plan["listen"] else None for side, path in self.paths.items()}
        self.flows = {
            side: Flow(mac(plan["number"], side), mac(plan["number"], OTHER[side]), plan["turn"], plan["rate"])
            for side in OTHER
        }  # by the side that sends
        self.taken, self.given = dict.fromkeys(OTHER, 0), dict.fromkeys(OTHER, 0)  # of guests that have left
        self.foreign = {}  # frames that the left guest got though they were for another pair, by that one's number
        self.untaken = 0
        self.counts = {"connections": 0}
        self.stopping = False
        with open(plan["state"], "r+b") as file:
            self.state = mmap.mmap(file.fileno(), STATE.size)
        self.guests = {}
        for side in OTHER:
            self.guests[side] = self.connect(side, self.paths[side])

    def connect(self, side, path):
        self.counts["connections"] += 1
        listener = self.listeners[side] if path == self.paths[side] else None
        return SoakGuest(path, listener, self.plan["memory_by_table"])

    # ---- traffic

    def step(self, wait_max_s=POLL_MAX_S, sending=True):
        """Waits for a call or for the next packet's time, and does what is due."""
        now = time.monotonic()
        wait_s = min([wait_max_s] + [flow.wait_s(now) for flow in self.flows.values() if sending])
        calls = [guest.receive_ring.call for guest in self.guests.values()]
        select.select(calls, [], [], wait_s)
        now = time.monotonic()
        for side, guest in self.guests.items():
            if sending:
                self.flows[side].send_due(guest, now)
            self.receive(side, guest)
        self.publish_state()

    def while_waiting(self):
        self.step(wait_max_s=0.001)

    def receive(self, side, guest):
        flow = self.flows[OTHER[side]]
        for frame in guest.receive():
            if flow.is_mine(frame):
                flow.take(frame)
            elif side == LEFT:  # a learning switch floods what it does not know
                self.foreign[frame[PAIR_IN_MAC]] = self.foreign.get(frame[PAIR_IN_MAC], 0) + 1

    def exchange(self, seconds):
        end = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < end:
            self.step(wait_max_s=min(POLL_MAX_S, max(end - time.monotonic(), 0)))

    def until(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            if time.monotonic() > deadline:
                raise Failure(f"waited 60 s in vain: {what}")
            self.step()

    def drain(self):
        """Until all that was sent has come or is known to be lost."""
        deadline = time.monotonic() + 60
        while not all(flow.arrived() for flow in self.flows.values()):
            if time.monotonic() > deadline:
                raise Failure("waited 60 s in vain for the last packets")
            self.step(sending=False)
            for side, flow in self.flows.items():
                if not flow.arrived():
                    flow.probe(self.guests[side], time.monotonic())

    def begin(self):
        """Rings start a moment after their first kick, and a packet before that is rightly dropped: until one has come
        either way nothing counts as undisturbed."""
        for side, flow in self.flows.items():
            flow.probe(self.guests[side], flow.due + 1)
        self.drain()
        for flow in self.flows.values():
            flow.jumped_at_begin = flow.jumped()

    def publish_state(self):
        left, right = self.flows[LEFT], self.flows[RIGHT]
        STATE.pack_into(self.state, 0, left.sent, left.expected, right.sent, right.expected)

    # ---- the end of a connection

    def replace(self, side, path):
        """A new guest at `path` after the old one's connection has ended. The new one is served once the old session
        is over: then the old rings hold still, and are looked at a last time."""
        old = self.guests[side]
        self.guests[side] = self.connect(side, path)
        self.account(side, old)

    def account(self, side, guest):
        self.receive(side, guest)
        self.untaken += guest.untaken()
        self.taken[side] += guest.transmit_ring.reaped
        self.given[side] += guest.receive_ring.reaped
        guest.close()

    def leave(self):
        self.drain()
        for side, guest in self.guests.items():
            guest.stop()
            self.account(side, guest)

    # ---- the process

    def run(self):
        kinds = [DISTURBANCES[name] for name in self.plan["disturbances"]]
        self.begin()
        while not self.stopping:
            self.exchange(self.random.uniform(0.05, 2 * self.plan["pause_s"]))
            if kinds and not self.stopping:
                disturb = self.random.choice(kinds)
                disturb(self)
                self.counts[disturb.__name__] = self.counts.get(disturb.__name__, 0) + 1
        self.stopping = False  # what follows waits for packets again
        self.leave()

    def report(self):
        flows = self.flows.values()
        return {
            "name": self.plan["name"],
            "number": self.plan["number"],
            "sent": sum(flow.sent for flow in flows),
            "received": sum(flow.received for flow in flows),
            "jumped": sum(flow.jumped() for flow in flows),
            "jumped_at_begin": sum(flow.jumped_at_begin for flow in flows),
            "stale": sum(flow.stale for flow in flows),
            "untaken": self.untaken,
            "foreign": self.foreign,
            "taken": self.taken,
            "given": self.given,
            "counts": self.counts,
        }


def listen(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener


def main():
    plan = json.loads(sys.argv[1])
    with Bench() as bench:
        pair = Pair(plan, bench)

        def stop(*_):
            pair.stopping = True

        signal.signal(signal.SIGTERM, stop)
        print(json.dumps({"started": plan["name"]}), flush=True)
        pair.run()
        print(json.dumps(pair.report()), flush=True)


if __name__ == "__main__":
    main()
