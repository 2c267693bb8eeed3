#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch on a socket that systemd-socket-activate has bound: it serves the guest that made it start, and leaves the socket."""

import argparse
import os

from processes import check, need_program, run_test, wait_until
from vhost_user import NetGuest
from vhostx_switch import VhostSwitch

FRAME = bytes(range(12)) + b"\x88\xb5" + bytes(46)


def activated(bench, binary):
    need_program("systemd-socket-activate", "systemd")
    served, idle = bench.path("served"), bench.path("idle")
    switch = VhostSwitch(
        bench, binary, [served], mode="io", extra=["--topology", "loop"], wait_ready=False,
        prefix=["systemd-socket-activate", "--listen", served, "--listen", idle],
    )  # fmt: skip
    wait_until(lambda: os.path.exists(idle), "systemd-socket-activate to listen")
    guest = NetGuest(served)
    switch.wait_started([served])
    check(guest.send(FRAME), "the guest's ring is full")
    wait_until(lambda: FRAME in guest.receive(), "the frame to come back")
    with open(bench.path("vhostx-switch.errors.log"), encoding="utf-8") as errors:
        check(f"systemd listens on '{idle}', which is no --port" in errors.read(), "the idle socket is not reported")
    guest.close()
    switch.wait_event("disconnected")
    switch.finish()
    check(os.path.exists(served), "the switch removed a socket that is not its own")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vhostx_switch", help="the program under test")
    run_test(activated, parser.parse_args().vhostx_switch)
