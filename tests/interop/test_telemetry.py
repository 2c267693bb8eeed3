#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch with a guest, asked by dpdk-telemetry.py; what it says is compared to vhostx-switch's own JSON."""

import argparse

from processes import check, check_equal, run_test
from telemetry import Telemetry
from testpmd import Testpmd
from vhostx_switch import VhostSwitch

PREFIX = "vhostx-switch"


def start(bench, binary):
    socket = bench.path("vhost")
    switch = VhostSwitch(bench, binary, [socket + ",zerocopy=lend"], mode="io", extra=["--topology", "loop"])
    telemetry = Telemetry(PREFIX, switch.pid)
    guest = Testpmd(bench, socket).ready()
    return socket, switch, telemetry, guest


def check_counters(telemetry, switch, socket):
    """Counters of a moment between two statistics."""
    before = switch.stats()["ports"][0]
    told = telemetry.ask(f"/vhostx/port,{socket}")
    after = switch.stats()["ports"][0]
    for direction in ("from_guest", "to_guest"):
        check_equal(set(told[direction]), set(before[direction]), f"the counters' names {direction}")
        for name, value in told[direction].items():
            if name != "drops":
                check(before[direction][name] <= value <= after[direction][name], f"{direction} {name}: {value}")
        check(told[direction]["packets"] > 0, f"packets moved {direction}")
    for name in ("connections", "features", "vrings_started", "vrings_broken", "memory_regions", "memory_bytes"):
        check_equal(told[name], after[name], name)
    check_equal((told["connected"], told["role"], told["zero_copy"]), (1, "server", 1), "connection, role and zero copy")


def check_details(telemetry, switch, socket):
    names = telemetry.ask("/vhostx/list")
    check_equal(names, {"count": 1, "first": 0, "ports": [socket]}, "the list of ports")
    for index, direction in enumerate(("to_guest", "from_guest")):
        vring = telemetry.ask(f"/vhostx/vring,{socket},{index}")
        check_equal((vring["vring"], vring["direction"], vring["started"], vring["broken"]), (index, direction, 1, 0), "vring")
        check(vring["kick_fd"] >= 0, f"a kick descriptor: {vring['kick_fd']}")
        check_equal(set(vring["loans"]), {"outstanding", "overdue", "oldest_age_us"}, "loans")
    memory = telemetry.ask(f"/vhostx/memory,{socket}")
    port = switch.stats()["ports"][0]
    check_equal((memory["memory_regions"], memory["memory_bytes"]), (port["memory_regions"], port["memory_bytes"]), "memory")
    check(memory["region_0"]["guest_address"].startswith("0x"), f"a region: {memory['region_0']}")
    numa = telemetry.ask(f"/vhostx/numa,{socket}")
    shown = set(port["placement"][0]) - {"vring", "worker", "lcore", "lcore_node", "mempool_node"}
    for row in (0, 1):
        check(shown <= set(numa[f"vring_{row}"]), f"placement as in the JSON: {numa[f'vring_{row}']}")


def check_refusals(telemetry, socket):
    for command, expected in (
        ("/vhostx/port", "no port is named: expected"),
        ("/vhostx/port,nobody", "no port is named 'nobody'"),
        ("/vhostx/vring," + socket, "expected NAME,INDEX"),
        (f"/vhostx/vring,{socket},2", "INDEX is 2: expected 0 to 1"),
        (f"/vhostx/vring,{socket},-1", "expected a number"),
        (f"/vhostx/memory,{socket},x", "FIRST is 'x'"),
        ("/vhostx/numa,nobody", "no port is named 'nobody'"),
        ("/vhostx/list,x", "FIRST is 'x'"),
    ):
        told = telemetry.ask(command)
        check(expected in told.get("error", ""), f"{command}: {told}, expected an error with {expected!r}")


def scenario(bench, binary):
    socket, switch, telemetry, guest = start(bench, binary)
    guest.start("io", first_bursts=2)
    switch.wait_stats(lambda now: now["ports"][0]["to_guest"]["packets"] > 1000, "packets to circulate")
    check_counters(telemetry, switch, socket)
    check_details(telemetry, switch, socket)
    check_refusals(telemetry, socket)
    mark = switch.mark()
    guest.kill()
    switch.wait_event("disconnected", mark, port=socket)
    told = telemetry.ask(f"/vhostx/port,{socket}")
    check_equal((told["connected"], told["memory_regions"], told["vrings_started"]), (0, 0, 0), "after the guest has gone")
    check_equal(telemetry.ask(f"/vhostx/memory,{socket}")["memory_regions"], 0, "regions after the guest has gone")
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vhostx_switch", help="the program under test")
    run_test(scenario, parser.parse_args().vhostx_switch)
