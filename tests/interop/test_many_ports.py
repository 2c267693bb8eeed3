#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""64 guests on the 64 ports of one vhostx-switch.

Every guest greets all others with a broadcast: each must get the greetings of the other 63, once, unchanged. By then the
switch has learned where everyone is, and every guest writes letters to each of the others: each letter must arrive at its
receiver and nowhere else. The guests sleep until their ring's call eventfd wakes them, so a notification that is not
sent fails the test too. At the end the switch's counters must agree, port by port.
"""

import argparse
import select
import time

from processes import Failure, check, check_equal, run_test
from vhost_user import NetGuest
from vhostx_switch import VhostSwitch, dropped

PORTS = 64
ROUND_TIMEOUT_S = 60.0


def mac(number):
    return bytes([0x52, 0x54, 0, 0, 1, number])


def frame(sender, receiver_mac, text):
    body = bytes((sender * 7 + position) % 251 for position in range(200 + sender))
    return receiver_mac + mac(sender) + b"\x88\xb5" + text.encode().ljust(32) + body


def letter(sender, receiver):
    return frame(sender, mac(receiver), f"letter from {sender} to {receiver}")


def greeting(sender):
    return frame(sender, b"\xff" * 6, f"greeting from {sender}")


class Mailbox:
    """Collects what all guests receive, woken by their call eventfds."""

    def __init__(self, guests):
        self.guests = guests
        self.poll = select.poll()
        self.guest_of = {guest.receive_ring.call: number for number, guest in enumerate(guests)}
        for call in self.guest_of:
            self.poll.register(call, select.POLLIN)

    def collect(self, expected):
        """Waits until each guest has as many frames as expected[number] lists, then compares them."""
        got = [[] for _ in self.guests]
        missing = sum(len(frames) for frames in expected)
        deadline = time.monotonic() + ROUND_TIMEOUT_S
        while missing > 0:
            ready = self.poll.poll(1000)
            if not ready and time.monotonic() > deadline:
                raise Failure(f"{missing} frames did not arrive, or their guests were not called")
            for call, _ in ready:
                number = self.guest_of[call]
                frames = self.guests[number].receive()
                got[number] += frames
                missing -= len(frames)
        for number, frames in enumerate(got):
            check_equal(sorted(frames), sorted(expected[number]), f"frames at guest {number}")


def everyone_meets(bench, binary):
    paths = [bench.path(f"port{number}") for number in range(PORTS)]
    switch = VhostSwitch(bench, binary, paths)
    idle_fds = switch.open_fds()
    guests = [NetGuest(path) for path in paths]
    mailbox = Mailbox(guests)
    switch.wait_started(paths)
    check(all(port["connected"] for port in switch.stats()["ports"]), "every port says that it is connected")

    for guest, number in zip(guests, range(PORTS)):
        # One at a time: 63 copies each, so that no guest's ring of 256 can overflow.
        guest.send(greeting(number))
        mailbox.collect([[] if other == number else [greeting(number)] for other in range(PORTS)])
    for distance in range(1, PORTS):
        for number, guest in enumerate(guests):
            guest.send(letter(number, (number + distance) % PORTS))
        mailbox.collect([[letter((number - distance) % PORTS, number)] for number in range(PORTS)])

    each = PORTS - 1
    for number, port in enumerate(switch.stats()["ports"]):
        taken, given = port["from_guest"], port["to_guest"]
        check_equal((taken["packets"], given["packets"]), (1 + each, each + each), f"packets of port {number}")
        check_equal(dropped(port), {}, f"drops of port {number}")
    for guest in guests:
        check_equal(guest.stop()[1], 1 + each, "the transmit ring's index at stop")
        guest.close()
    switch.wait_stats(lambda now: not any(port["connected"] for port in now["ports"]), "64 ports to be left")
    switch.wait_fds(idle_fds, "descriptors after all have left")
    switch.finish()
    print(f"{PORTS} guests exchanged {PORTS * each} greetings and {PORTS * each} letters")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    run_test(everyone_meets, parser.parse_args().vhostx_switch)
