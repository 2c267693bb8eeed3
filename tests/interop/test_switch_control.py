#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch ctl: its commands, and ports that come and go while guests of other ports exchange packets.

vhostx-bench is the guest: each packet carries a number, so one that is lost, doubled or damaged is found out.
"""

import argparse
import json
import os
import re
import stat
import subprocess

from processes import Failure, check, check_equal, run_test, wait_until
from vhostx_switch import VhostSwitch, dropped

TIMEOUT_S = 60
TIMES = 100
TRAFFIC = ["--sizes", "64,1518", "--duration", "2", "--rounds", "2", "--no-loss", "--json"]


class Ctl:
    """vhostx-switch ctl on one socket."""

    def __init__(self, binary, path):
        self.argv = [binary, "ctl", "--control", path]

    def run(self, *command, status=0):
        done = subprocess.run([*self.argv, *command], capture_output=True, text=True, timeout=TIMEOUT_S)
        if done.returncode != status:
            raise Failure(f"ctl {command}: status {done.returncode}, expected {status}: {done.stdout}{done.stderr}")
        return done.stdout if status == 0 else done.stderr

    def ask(self, *command):
        return json.loads(self.run("--json", *command))

    def refused(self, expected, *command, status=1):
        message = self.run(*command, status=status)
        check(re.search(expected, message), f"ctl {command}: {message!r}, expected /{expected}/")


def start(bench, binary, ports, mode="switch", extra=()):
    path = bench.path("control")
    switch = VhostSwitch(bench, binary, ports, mode=mode, extra=["--control", path, *extra])
    check_equal(switch.wait_event("ready")["control"], path, "the ready line")
    return switch, Ctl(binary, path)


def names(ctl):
    return [port["name"] for port in ctl.ask("ports")]


def commands(bench, binary, bench_binary):
    """Each command once, and what is refused."""
    a, b, c = (bench.path(name) for name in "abc")
    switch, ctl = start(bench, binary, [a, f"{b},mac=52:54:00:00:00:0b"])
    check_equal(stat.S_IMODE(os.stat(bench.path("control")).st_mode), 0o600, "mode of the control socket")
    followed = bench.start("events", [*ctl.argv, "events", "--json"])
    # Until it follows, nothing is told: a level that is set twice tells nothing either. A port that comes and goes does.
    def is_told():
        ctl.run("add-port", c)
        ctl.run("remove-port", c)
        return all(f'"{event}"' in followed.log() for event in ("port_added", "port_removed"))

    wait_until(is_told, "events to be followed")

    check_equal(names(ctl), [a, b], "ports")
    check_equal(ctl.ask("add-port", f"{c},queues=2,mac=52:54:00:00:00:0c"), {"port": c}, "add-port")
    check(os.path.exists(c), "the new port's socket is there")
    port = ctl.ask("ports")[2]
    check_equal((port["name"], port["queue_pairs"], port["connected"]), (c, 2, False), "the new port")
    ctl.refused("there is a port .* already", "add-port", c)
    ctl.refused("port .*b has it", "add-port", f"{bench.path('d')},mac=52:54:00:00:00:0b")
    ctl.refused("zerocopy=lend goes with", "add-port", f"{bench.path('d')},zerocopy=lend")
    ctl.refused("control", "add-port", bench.path("control"))  # somebody listens there
    ctl.refused("1 to 128", "add-port", f"{c},queues=0", status=2)
    check_equal(names(ctl), [a, b, c], "ports, after what was refused")
    check_equal(ctl.ask("stats")["ports"][2]["name"], c, "a port of stats")
    check_equal(ctl.ask("remove-port", c)["name"], c, "remove-port")
    check(not os.path.exists(c), "the removed port's socket is gone")
    ctl.refused("there is no port", "remove-port", c)
    ctl.run("add-port", f"{c},mac=52:54:00:00:00:0c")  # its address is free again
    ctl.run("remove-port", c)

    check_equal(ctl.ask("log-level"), {"level": "warning"}, "log-level")
    check_equal(ctl.ask("log-level", "debug"), {"level": "debug"}, "log-level")
    log = bench.path("vhostx-switch.errors.log")  # of the library's own lines
    check("debug" not in open(log).read(), "no line of level debug so far")
    ctl.refused("debug, info, warning or error", "log-level", "loud", status=2)

    ctl.run("add-port", c)
    pair = ["--connect", a, "--connect", c, "--bidirectional", "--duration", "0.1", "--rounds", "1"]
    done = subprocess.run([bench_binary, *pair], capture_output=True, text=True, timeout=TIMEOUT_S)
    check_equal(done.returncode, 0, done.stderr)
    wait_until(lambda: ctl.ask("addresses") == [], "the first guests' addresses to be forgotten")
    # The ports' guests have gone, and with them their addresses: what is learned is looked at while they are there.
    guests = bench.start("guests", [bench_binary, *pair[:5], "--duration", "60", "--rounds", "1"])
    wait_until(lambda: len(ctl.ask("addresses")) == 2, "two addresses to be learned")
    learned = ctl.ask("addresses")
    check_equal(sorted(one["port"] for one in learned), sorted([a, c]), "whose addresses")
    check(all(one["age"] < 60 for one in learned), f"ages: {learned}")
    check_equal(len(ctl.ask("addresses", a)), 1, "addresses of one port")
    check(a in ctl.run("addresses"), "addresses as text")
    check(ctl.ask("flush-addresses", c)["flushed"] <= 1, "flush-addresses of one port")
    check(ctl.ask("flush-addresses")["flushed"] <= 2, "flush-addresses")
    ctl.refused("there is no port", "addresses", bench.path("d"))
    check_equal(ctl.ask("disconnect", a), {"port": a}, "disconnect")
    connected = {port["name"]: port["connected"] for port in ctl.ask("ports")}
    check_equal(connected, {a: False, b: False, c: True}, "who is connected")  # vhostx-bench does not connect again
    ctl.refused("has no front-end", "disconnect", a)
    ctl.refused("there is no port", "disconnect", bench.path("d"))
    guests.kill()
    wait_until(lambda: "vhostx: debug: " in open(log).read(), "lines of level debug")
    check("front-end connected" in "".join(json.loads(line)["text"] for line in followed.log().splitlines()), "texts")
    check(a in ctl.run("ports") and "mbufs in use" in ctl.run("stats"), "text for people")

    for port in (a, b, c):
        ctl.run("remove-port", port)
    check_equal(ctl.ask("ports"), [], "ports, at last")
    summary = switch.finish()
    check_equal(summary["ports"], [], "ports of the summary")
    check_equal(summary["process"]["mbufs_in_use"], 0, "mbufs at the end")
    check_equal(followed.popen.wait(TIMEOUT_S), 1, "status of a follower whose switch has ended")
    ctl.refused("there is no socket .*--control", "ports")


def refusals(bench, binary, _bench_binary):
    """What a mode or the bound does not allow; a switch that begins without ports."""
    a = bench.path("a")
    for mode in ("io", "mac"):
        switch, ctl = start(bench, binary, [a, bench.path("b")], mode=mode)
        ctl.refused("pairs the ports", "add-port", bench.path("c"))
        ctl.refused("pairs the ports", "remove-port", a)
        check_equal(len(names(ctl)), 2, "ports")
        switch.finish()
    switch, ctl = start(bench, binary, [])
    for i in range(128):
        ctl.run("add-port", bench.path(f"p{i}"))
    ctl.refused("128 ports", "add-port", a)
    ctl.run("remove-port", bench.path("p7"))
    ctl.run("add-port", a)
    check_equal(len(names(ctl)), 128, "ports")
    check_equal(len(switch.finish()["ports"]), 128, "ports of the summary")


def come_and_go(bench, switch, ctl, bench_binary, traffic, guest, spec):
    """TIMES ports come and go under traffic; every tenth has a guest when it goes. What of it the others notice is nothing."""
    third = bench.path("third")
    count = 0
    while count < TIMES:
        running = bench.start("traffic", [bench_binary, *traffic, *TRAFFIC])
        while running.alive():
            mark = switch.mark()
            ctl.run("add-port", third + spec)
            if count % 10 == 0:
                inside = bench.start("guest", [bench_binary, "--connect", third, *guest, "--duration", "60"])
                switch.wait_started([third], since=mark)
            ctl.run("remove-port", third)
            if count % 10 == 0:
                inside.kill()
            count += 1
        check_equal(running.popen.wait(TIMEOUT_S), 0, f"status of the traffic: {running.log()[-2000:]}")
    print(f"{count} ports came and went", flush=True)


def learning(bench, binary, bench_binary):
    """Two guests in both directions through a learning switch of two workers; others' guests listen."""
    a, b = bench.path("a"), bench.path("b")
    switch, ctl = start(bench, binary, [a, b], extra=["--workers", "2"])
    pair = ["--connect", a, "--connect", b, "--bidirectional"]
    come_and_go(bench, switch, ctl, bench_binary, pair, ["--mode", "rx"], ",queues=3")
    summary = switch.finish()
    for port in summary["ports"]:
        lost = {cause: count for cause, count in dropped(port).items() if "not_ready" not in cause}
        check_equal(lost, {}, f"what {port['name']} dropped")
    check_equal(summary["process"]["mbufs_in_use"], 0, "mbufs at the end")


def looping(bench, binary, bench_binary):
    """Each port with itself: a port ends while its own guest sends and receives."""
    a = bench.path("a")
    switch, ctl = start(bench, binary, [a], mode="io", extra=["--topology", "loop"])
    come_and_go(bench, switch, ctl, bench_binary, ["--connect", a], ["--mode", "loopback"], ",zerocopy=lend")
    summary = switch.finish()
    check_equal(dropped(summary["ports"][0]), {}, "what the first port dropped")
    check_equal(summary["process"]["mbufs_in_use"], 0, "mbufs at the end")


PARTS = {"commands": commands, "refusals": refusals, "learning": learning, "looping": looping}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("switch")
    parser.add_argument("bench")
    parser.add_argument("part", choices=PARTS)
    arguments = parser.parse_args()
    run_test(PARTS[arguments.part], arguments.switch, arguments.bench)


if __name__ == "__main__":
    main()
