#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch --metrics: what it says with a guest, and that hostile clients hold up neither it nor packets."""

import argparse
import os
import socket as sockets
import subprocess

from metrics import parse, raw_socket, request, scrape, urlopen, value
from processes import check, check_equal, run_test, wait_until
from testpmd import Testpmd
from vhostx_switch import VhostSwitch

CONNECTIONS = 100
GARBAGE = b"\x00\xff\r\n\r\n" * 4000


def start(bench, binary, where, name="vhostx-switch"):
    path = bench.path("vhost-" + name)
    switch = VhostSwitch(bench, binary, [path], mode="io", extra=["--topology", "loop", "--metrics", where], name=name)
    return path, switch, switch.wait_event("ready")["metrics"]


def packets(where, port):
    return value(scrape(where), "vhostx_vring_packets_total", port=port, vring="1", direction="from_guest")


def check_values(switch, where, port):
    before = switch.stats()["ports"][0]
    samples = scrape(where)
    after = switch.stats()["ports"][0]
    for index, direction in (("0", "to_guest"), ("1", "from_guest")):
        labels = {"port": port, "vring": index, "direction": direction}
        check_equal(value(samples, "vhostx_vring_is_started", **labels), 1, f"vring {index} is started")
        for name, low in before[direction].items():
            if name != "drops":
                told = value(samples, f"vhostx_vring_{name}_total", **labels)
                check(low <= told <= after[direction][name], f"{direction} {name}: {told}")
        for cause in before[direction]["drops"]:
            value(samples, "vhostx_vring_drops_total", cause=cause, **labels)
    check_equal(value(samples, "vhostx_port_connected", port=port), 1, "connected")
    check_equal(value(samples, "vhostx_port_memory_bytes", port=port), after["memory_bytes"], "bytes of memory")


def check_http(where):
    check_equal(request(where, url="/")[0], 404, "status of another path")
    status, headers, _ = request(where, method="POST")
    check_equal((status, headers["Allow"]), (405, "GET, HEAD"), "status of another method")
    check_equal(request(where, method="HEAD")[2], "", "the body of a HEAD")


def hostile_clients(where):
    """Connections that are held open, each in the middle of something."""
    held = []
    for i in range(CONNECTIONS):
        client = raw_socket(where)
        held.append(client)
        try:
            if i % 3 == 0:
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
            elif i % 3 == 1:
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 50)  # and reads nothing
            else:
                client.setblocking(False)
                client.send(GARBAGE)
        except (BrokenPipeError, ConnectionResetError, BlockingIOError):
            pass  # it was let go already
    return held


def check_hostile(where, port, switch):
    before = packets(where, port)
    held = hostile_clients(where)
    for _ in range(10):
        scrape(where)
    wait_until(lambda: packets(where, port) > before, "packets to flow beside hostile clients")
    for client in held:
        client.close()
    idle = raw_socket(where)
    check_equal(idle.recv(1), b"", "what an idle client is told before it is let go")
    idle.close()


def guest_scenario(bench, binary, where):
    port, switch, served = start(bench, binary, where)
    guest = Testpmd(bench, port).ready()
    guest.start("io", first_bursts=2)
    switch.wait_stats(lambda now: now["ports"][0]["to_guest"]["packets"] > 1000, "packets to circulate")
    check_values(switch, served, port)
    check_http(served)
    if served.startswith("http"):
        parse(urlopen(served))
    check_hostile(served, port, switch)
    fds = switch.open_fds()
    for client in hostile_clients(served):
        client.close()
    wait_until(lambda: switch.open_fds() <= fds, "descriptors of clients that have gone to be closed")
    switch.finish()
    return served


def unix(bench, binary):
    where = "unix:" + bench.path("metrics.sock")
    guest_scenario(bench, binary, where)
    check(not os.path.exists(bench.path("metrics.sock")), "the socket's file is removed at the end")
    _, switch, _ = start(bench, binary, where, "killed")
    refused(bench, binary, where, "already in use", 1)
    switch.kill()
    _, switch, served = start(bench, binary, where, "again")  # a file that was left behind is replaced
    scrape(served)
    os.remove(bench.path("metrics.sock"))
    _, other, elsewhere = start(bench, binary, where, "other")  # whose file it is now
    switch.finish()
    scrape(elsewhere)
    other.finish()


def tcp(bench, binary):
    guest_scenario(bench, binary, "127.0.0.1:0")
    if sockets.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
        _, switch, served = start(bench, binary, "[::1]:0", "ipv6")
        scrape(served)
        switch.finish()


def refused(bench, binary, where, expected, status):
    done = subprocess.run(
        [binary, "--port", bench.path("refused"), "--metrics", where], capture_output=True, text=True, timeout=60
    )
    check_equal(done.returncode, status, f"status of --metrics {where}: {done.stderr}")
    check(expected in done.stderr, f"--metrics {where}: {done.stderr!r}, expected {expected!r}")


def refusals(bench, binary):
    for where in ("0.0.0.0:9100", "192.0.2.1:9100", "localhost:9100", "unix:", "9100"):
        refused(bench, binary, where, "loopback only", 2)
    refused(bench, binary, "unix:" + bench.path("no/such/folder"), "cannot listen", 1)
    with open(bench.path("notes"), "w") as file:
        file.write("precious")
    refused(bench, binary, "unix:" + bench.path("notes"), "is no socket", 1)
    with open(bench.path("notes")) as file:
        check_equal(file.read(), "precious", "a file that is no socket")


SCENARIOS = {"unix": unix, "tcp": tcp, "refusals": refusals}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("scenario", choices=SCENARIOS)
    arguments = parser.parse_args()
    run_test(SCENARIOS[arguments.scenario], arguments.vhostx_switch)
