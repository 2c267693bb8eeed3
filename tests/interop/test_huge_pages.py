#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch starts on ordinary pages where huge pages are free, and are not to be had.

Between the look at how many are free and their use another process may take them. A control group whose limit is under what the
switch needs makes the same of it each time.
"""

import argparse

from control_group import ControlGroup
from processes import Skip, check_equal, run_test
from testpmd import free_huge_pages
from vhost_user import NetGuest
from vhostx_switch import VhostSwitch

MIB = 1 << 20
NEEDED = 56  # of 2 MiB: what a switch of one port asks for
LIMIT = 8 * MIB


def in_vain(bench, binary, *limit):
    if free_huge_pages() < NEEDED:
        raise Skip(f"{free_huge_pages()} free huge pages of 2 MiB, {NEEDED} are needed")
    group = ControlGroup(bench, "hugetlb", [limit])
    path = bench.path("port")
    switch = VhostSwitch(bench, binary, [path], prefix=group.prefix)
    check_equal(switch.wait_event("ready")["memory"], "as the EAL options say", "the memory of the ready event")
    guest = NetGuest(path)
    switch.wait_event("vring_started")
    guest.close()
    switch.finish()
    with open(bench.path("vhostx-switch.errors.log")) as file:
        check_equal(file.read().count("starts again on ordinary pages"), 1, "warnings that it starts again")


SCENARIOS = {
    "touched": lambda bench, binary: in_vain(bench, binary, "2MB.limit_in_bytes", "2MB.max", LIMIT),
    "reserved": lambda bench, binary: in_vain(bench, binary, "2MB.rsvd.limit_in_bytes", "2MB.rsvd.max", LIMIT),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("scenario", choices=SCENARIOS, help="what the limit is for: pages that are used, or reserved already")
    arguments = parser.parse_args()
    run_test(SCENARIOS[arguments.scenario], arguments.vhostx_switch)
