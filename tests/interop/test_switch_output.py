#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What reaches vhostx-switch's standard output while a front-end makes noise or nobody reads, and when its TAP goes."""

import argparse
import fcntl
import os
import signal
import subprocess
import time

from processes import check, check_equal, die_with_parent, need_program, need_to_make_taps, run_test, wait_until
from vhost_user import NetGuest
from vhostx_switch import VhostSwitch

NET_SET_MTU = 20
PROTOCOL_MTU = 1 << 4
EVENTS = 20_000
AT_ONCE, PER_SECOND = 208, 50  # a port with two vrings
TAP = "vhostx-tap1"
ETHERNET = 14


class NoisyGuest(NetGuest):
    protocol_wanted = NetGuest.protocol_wanted | PROTOCOL_MTU

    def make_noise(self, events=EVENTS):
        for mtu in range(events):
            self.front_end.send(NET_SET_MTU, (1000 + mtu % 8000).to_bytes(8, "little"))
        self.front_end.tell(NET_SET_MTU, (1234).to_bytes(8, "little"))  # waits: all before it was handled


def events(bench, binary):
    path = bench.path("port")
    switch = VhostSwitch(bench, binary, [path])
    guest = NoisyGuest(path)
    switch.wait_started([path])
    begin = time.monotonic()
    guest.make_noise()
    told = lambda: [event for event in switch.events if event["event"] == "mtu_set"]
    wait_until(lambda: switch.stats() and told() and told()[-1]["mtu"] == 1234, "the last MTU to be told")
    left_out = sum(event["count"] for event in switch.events if event["event"] == "events_left_out")
    check(len(told()) <= AT_ONCE + PER_SECOND * (time.monotonic() - begin) + 1, f"{len(told())} lines")
    check_equal(len(told()) + left_out, EVENTS + 1, "events told and left out")
    check_equal(switch.stats()["process"]["events_lost"], left_out, "events_lost")
    guest.close()
    switch.wait_event("disconnected")
    switch.finish()


def start_unread(bench, binary, *extra):
    """With a pipe that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    bench.at_end(lambda: os.close(reader))
    path = bench.path("port")
    process = subprocess.Popen([binary, "--port", path, *extra], stdout=writer, stderr=subprocess.PIPE,
                               preexec_fn=die_with_parent)  # fmt: skip
    bench.at_end(process.kill)
    os.close(writer)
    wait_until(lambda: os.path.exists(path), "the socket")
    return process, path


def unread(bench, binary):
    for extra in (("--json", "--stats", "0.01"), ("--stats", "0.01")):
        process, path = start_unread(bench, binary, *extra)
        guest = NoisyGuest(path)
        guest.make_noise(2000)
        time.sleep(1)  # statistics come, too
        guest.close()
        process.send_signal(signal.SIGTERM)
        check_equal(process.wait(30), 0, "exit status")
        check("not written to standard output" in process.stderr.read().decode(), "a word about what was not written")
        check(not os.path.exists(path), "the socket is removed")


def hangup(bench, binary):
    """SIGHUP ends the switch only if its terminal is gone: tests/tools/stats_terminal.py has one that goes."""
    for prefix, name in (([], "switch"), (["nohup"], "immune")):
        switch = VhostSwitch(bench, binary, [bench.path("port")], prefix=prefix, name=name)
        os.kill(switch.pid, signal.SIGHUP)
        switch.stats()
        switch.finish()


def cpu_ticks(pid):
    """Of all its threads, in user and kernel mode."""
    with open(f"/proc/{pid}/stat") as file:
        return sum(int(field) for field in file.read().rsplit(")", 1)[1].split()[11:13])


def frame(source, destination=b"\xff" * 6):
    return destination + source + b"\x88\xb5" + bytes(46)


def tap(bench, binary):
    need_to_make_taps()
    path = bench.path("port")
    switch = VhostSwitch(bench, binary, [path], mode="io", extra=["--tap", TAP],
                         prefix=[need_program("unshare", "util-linux"), "--net"])  # fmt: skip
    prefix = [need_program("nsenter", "util-linux"), "--net", "--target", str(switch.pid)]
    ip = lambda *words: subprocess.run([*prefix, "ip", *words], check=True)
    guest = NetGuest(path)
    switch.wait_started([path])
    source = b"\x52\x54\x00\x00\x00\x02"

    def send_until(condition, what):
        return wait_until(lambda: guest.send(frame(source)) is not None and condition(), what)

    send_until(lambda: switch.stats()["ports"][1]["to_guest"]["packets"], "a frame to reach the TAP")
    ip("link", "set", TAP, "down")
    send_until(lambda: switch.mark() and [e for e in switch.events if e["event"] == "tap_down"], "tap_down")
    check_equal(switch.stats()["ports"][1]["link"], "down", "link")
    ip("link", "set", TAP, "up")
    send_until(lambda: switch.mark() and [e for e in switch.events if e["event"] == "tap_up"], "tap_up")
    ip("link", "del", TAP)
    gone = switch.wait_event("tap_gone")
    check_equal(gone["port"], TAP, "port")
    before = switch.stats()["ports"][1]
    check_equal((before["link"], before["connected"]), ("gone", False), "the TAP's state")
    ticks = cpu_ticks(switch.pid)
    time.sleep(2)
    used = (cpu_ticks(switch.pid) - ticks) / os.sysconf("SC_CLK_TCK")
    check(used < 0.5, f"{used} s of CPU in 2 s of nothing to do")
    guest.send(frame(source))
    switch.wait_stats(
        lambda now: now["ports"][1]["switch_drops"]["not_ready"] > before["switch_drops"]["not_ready"],
        "frames for the TAP to be counted",
    )
    summary = switch.finish()
    check_equal(summary["ports"][1]["link"], "gone", "link in the summary")
    check_equal(len([e for e in switch.events if e["event"] == "tap_gone"]), 1, "tap_gone events")
    with open(bench.path("vhostx-switch.errors.log")) as file:
        check_equal(file.read().count("is gone"), 1, "warnings that it is gone")


SCENARIOS = {"events": events, "unread": unread, "hangup": hangup, "tap": tap}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("scenario", choices=SCENARIOS)
    arguments = parser.parse_args()
    run_test(SCENARIOS[arguments.scenario], arguments.vhostx_switch)
