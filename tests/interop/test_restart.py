#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Either side is killed under traffic and started again, ten times or --times; the other side carries on and leaks nothing.

SIGKILL, so that nobody says goodbye. testpmd's virtio-user is the front-end: as a client of vhostx-switch's socket, or
(server=1) as the owner of the socket that vhostx-switch connects to. Traffic is two bursts that circulate (see
test_testpmd_modes.py); it has to be seen moving before each kill and again after each restart. Each time round the
surviving vhostx-switch must come down to the descriptors that it had open the first time round.

Front-ends come with split and packed rings in turn; back-ends are killed as often under a front-end of either kind.

Server role with the back-end killed needs a front-end that reconnects as a client: tests/lab/test_guest_reconnects.py.
"""

import argparse
import os
import random
import time

from processes import run_test, wait_until
from testpmd import Testpmd
from vhostx_switch import VhostSwitch

TIMES = 10
PACKETS_MOVED = 200
MOMENT_S = 0.02  # after traffic was seen, up to so long: another instant of its work each time


def start_switch(bench, binary, role, wait_ready=True):
    port = f"{bench.path('vhost')},role={role}"
    return VhostSwitch(bench, binary, [port], mode="io", extra=["--topology", "loop"], wait_ready=wait_ready)


def start_guest(bench, server, packed=False):
    if server and os.path.exists(bench.path("vhost")):
        os.unlink(bench.path("vhost"))  # a killed testpmd leaves its socket file, and a new one does not replace it
    return Testpmd(bench, bench.path("vhost"), server=int(server), packed_vq=int(packed))


def wait_traffic(switch):
    """Packets move in both directions, counted from now."""
    first = switch.stats()["ports"][0]

    def moved(now):
        port = now["ports"][0]
        return all(
            port[direction]["packets"] >= first[direction]["packets"] + PACKETS_MOVED
            for direction in ("from_guest", "to_guest")
        )

    switch.wait_stats(moved, "packets to circulate")


def an_instant_later():
    time.sleep(random.random() * MOMENT_S)


def front_end_killed(bench, binary, switch_role, times):
    """The front-end dies and comes back; the back-end is one process throughout."""
    switch = start_switch(bench, binary, switch_role, wait_ready=switch_role == "server")
    busy, idle = SameFds(switch, "busy"), SameFds(switch, "idle")
    for turn in range(times + 1):
        guest = start_guest(bench, switch_role == "client", packed=turn % 2 == 1).ready()
        guest.start("io", first_bursts=2)
        wait_traffic(switch)
        busy.reach_again()
        mark = switch.mark()
        an_instant_later()
        guest.kill()
        switch.wait_event("disconnected", mark, port=bench.path("vhost"))
        idle.reach_again()
    print(f"role={switch_role}: {times} front-ends killed; descriptors: {idle.first} without one, {busy.first} with one")
    switch.finish()


class SameFds:
    """After each turn no more descriptors than after the first. Other threads close them, some after the event: waited for."""

    def __init__(self, switch, state):
        self.switch, self.state, self.first = switch, state, None

    def reach_again(self):
        if self.first is None:
            self.first = self._settled()
        wait_until(lambda: self.switch.open_fds() <= self.first, f"{self.first} descriptors or fewer when {self.state}")

    def _settled(self):
        """Two looks, one round of statistics apart, agree."""

        def look():
            before = self.switch.open_fds()
            self.switch.stats()
            return before if self.switch.open_fds() == before else None

        return wait_until(look, "the number of descriptors to settle")


def back_end_killed(bench, binary, times):
    """The back-end dies and comes back, in the client role; the front-end owns the socket and is one process."""
    for packed in (False, True):
        under_one_guest(bench, binary, times, packed)


def under_one_guest(bench, binary, times, packed):
    guest = start_guest(bench, server=True, packed=packed)
    switch = start_switch(bench, binary, "client", wait_ready=False)
    guest.ready()
    for _ in range(times):
        guest.start("io", first_bursts=2)
        wait_traffic(switch)
        an_instant_later()
        switch.kill()
        guest.stop()
        switch = start_switch(bench, binary, "client", wait_ready=False)
        switch.wait_event("connected")
        switch.wait_started([bench.path("vhost")])
    guest.start("io", first_bursts=2)
    wait_traffic(switch)
    kind = "packed" if packed else "split"
    print(f"role=client, {kind} rings: {times} back-ends killed, the traffic went on {times} times", flush=True)
    guest.end()
    switch.finish()


SCENARIOS = {
    "front-end-of-server": lambda bench, binary, times: front_end_killed(bench, binary, "server", times),
    "front-end-of-client": lambda bench, binary, times: front_end_killed(bench, binary, "client", times),
    "back-end-as-client": back_end_killed,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--times", type=int, default=TIMES, help=f"how often ({TIMES})")
    arguments = parser.parse_args()
    run_test(SCENARIOS[arguments.scenario], arguments.vhostx_switch, arguments.times)
