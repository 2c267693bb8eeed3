# SPDX-License-Identifier: BSD-3-Clause
"""Numbered, paced packets from one guest to another, and what became of them.

A back-end keeps the order of a flow. So the number that arrives tells of all before it: they have come already, or they
never will. A number that is behind is a packet that was doubled or overtaken.
"""

import random
import struct
import time

import interop_path  # noqa: F401
from processes import Failure

WINDOW = 64  # under way at most: fewer than a receiver has posted buffers for
PROBE_S = 0.1  # when everything under way is lost, one more packet this often finds out
STUCK_S = 60.0
ETHERTYPE = b"\x88\xb5"
NOISE = random.Random(1).randbytes(8192)
NUMBERS = struct.Struct(">IQ")  # the process's turn, the packet
HEADER_BYTES = 14 + NUMBERS.size


class Flow:
    def __init__(self, source_mac, target_mac, turn, packets_per_s):
        self.addresses = target_mac + source_mac + ETHERTYPE
        self.turn, self.period_s = turn, 1 / packets_per_s
        self.sent = 0
        self.expected = 0  # the number after the highest that came
        self.received = 0
        self.jumped_at_begin = 0  # before the rings ran
        self.stale = 0  # of the process before, which was killed
        now = time.monotonic()
        self.due = now + random.random() * self.period_s
        self.moved = now

    def packet(self, number, turn=None):
        turn = self.turn if turn is None else turn
        length = 20 + (number * 37 + turn) % 1400
        begin = number * 101 % 4096
        return self.addresses + NUMBERS.pack(turn, number) + NOISE[begin : begin + length]

    def jumped(self):
        return self.expected - self.received

    def arrived(self):
        return self.expected == self.sent

    def wait_s(self, now):
        return max(self.due - now, 0) if self.sent - self.expected < WINDOW else PROBE_S

    def send_due(self, guest, now):
        """One packet if it is time for one: bursts come of their own when this process was late."""
        if now < self.due:
            return
        if self.sent - self.expected >= WINDOW:
            if now - self.moved < PROBE_S:
                return
            self._check_stuck(now)
            self.moved += PROBE_S
        if guest.send(self.packet(self.sent)):
            self.sent += 1
        self.due = max(self.due + self.period_s, now - 8 * self.period_s)

    def probe(self, guest, now):
        """At the end: what was lost behind the last packet that came shows when one more comes."""
        if now - self.moved < PROBE_S:
            return
        self.moved = now
        if guest.send(self.packet(self.sent)):
            self.sent += 1

    def _check_stuck(self, now):
        if now - self.due > STUCK_S and self.sent - self.expected > WINDOW + STUCK_S / PROBE_S:
            raise Failure(f"{self.sent - self.expected} packets are under way and none arrives")

    def is_mine(self, frame):
        return frame[:14] == self.addresses

    def take(self, frame):
        turn, number = NUMBERS.unpack_from(frame, 14)
        if frame != self.packet(number, turn):
            raise Failure(f"packet {number} of turn {turn} came damaged")
        if turn < self.turn:
            self.stale += 1
            return
        if number < self.expected:
            raise Failure(f"packet {number} came doubled or late, {self.expected} was expected")
        if number >= self.sent:
            raise Failure(f"packet {number} came and was not sent: {self.sent} were")
        self.expected = number + 1
        self.received += 1
        self.moved = time.monotonic()
