#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-bench against vhostx-switch in every mode, and against dpdk-testpmd's net_vhost.

No rate is looked at. What is: every packet carries a number and sums, so a back-end that loses, doubles, swaps or
damages one is found out. Nothing may be lost, because no more packets are under way than the receiver has buffers for.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import threading

from processes import Failure, check, check_equal, run_test
from testpmd import TestpmdBackEnd
from vhost_user import GET_FEATURES, HEADER, REPLY, VERSION, VIRTIO_F_VERSION_1
from vhostx_switch import VhostSwitch

RUN = ["--duration", "0.1", "--rounds", "2", "--json", "--no-loss"]
RUN_TIMEOUT_S = 60
LOOP = ["--topology", "loop"]
ALL_SIZES = "64,65,256,1518,9000,65536"
FAULTS = ["lost", "duplicated", "reordered", "late", "damaged", "foreign"]

# Name: how the guest is made. Each is run as a loop through one port and from port to port of a learning switch.
GUESTS = {
    "mergeable": ["--sizes", ALL_SIZES],
    "not mergeable": ["--no-mergeable", "--sizes", ALL_SIZES],
    "header apart": ["--two-descriptors", "--sizes", "64,1518"],
    "indirect": ["--indirect", "--sizes", "64,9000"],
    "event index, sleeping": ["--event-idx", "--interrupt"],
    "sleeping": ["--interrupt", "--rate", "20000"],
    "many small buffers": ["--receive-buffer", "128", "--ring-size", "1024", "--sizes", "64,9000"],
    "legacy": ["--legacy", "--no-mergeable"],
    "two queue pairs": ["--queue-pairs", "2", "--sizes", "64,1518"],
    "eight regions, long rings": ["--regions", "8", "--ring-size", "1024", "--rewrite"],
}
# Packed rings of any size, among them such as chains of two do not fit into.
PACKED_GUESTS = {
    "mergeable": ["--sizes", ALL_SIZES],
    "not mergeable": ["--no-mergeable", "--sizes", ALL_SIZES],
    "header apart": ["--two-descriptors", "--sizes", "64,1518", "--ring-size", "255"],
    "indirect": ["--indirect", "--sizes", "64,9000"],
    "event index, sleeping": ["--event-idx", "--interrupt"],
    "sleeping": ["--interrupt", "--rate", "20000"],
    "many small buffers": ["--receive-buffer", "128", "--ring-size", "1000", "--sizes", "64,9000"],
    "two queue pairs": ["--queue-pairs", "2", "--sizes", "64,1518"],
}


def run_bench(binary, *arguments, status=0):
    """What vhostx-bench prints; fails unless it ends with `status`."""
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    if done.returncode != status:
        raise Failure(
            f"vhostx-bench {' '.join(arguments)}: status {done.returncode}, expected {status}\n"
            f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout if status == 0 else done.stderr


def measure(binary, label, *arguments):
    """The report, after a look at every size of every back-end in it."""
    report = json.loads(run_bench(binary, *arguments, *RUN))
    for back_end in report["back_ends"]:
        for size in back_end["sizes"]:
            what = f"{label}, {size['frame_bytes']} bytes"
            check("not_possible" not in size, f"{what}: {size.get('not_possible')}")
            check_equal(len(size["packets_per_second"]["rounds"]), 2, f"{what}: rounds")
            check(0 <= size["guests_idle"]["median"] <= 1, f"{what}: {size['guests_idle']}")
            if report["mode"] != "rx":  # there vhostx-bench itself has waited for a first packet
                check(size["counts"]["taken"] > 0, f"{what}: no packets")
                faults = {name: size["counts"][name] for name in FAULTS if size["counts"][name] != 0}
                check_equal(faults, {}, f"{what}: faults")
    print(f"{label}: {len(report['back_ends'][0]['sizes'])} sizes", flush=True)
    return report


def modes(bench, switch_binary, binary):
    """Each mode once, against the switch."""
    path = bench.path("port")
    switch = VhostSwitch(bench, switch_binary, [path], mode="rxonly")
    measure(binary, "tx", "--connect", path, "--mode", "tx", "--sizes", "64,1518,9000")
    switch.finish()
    switch = VhostSwitch(bench, switch_binary, [path], mode="txonly")
    measure(binary, "rx", "--connect", path, "--mode", "rx")
    switch.finish()
    switch = VhostSwitch(bench, switch_binary, [path], mode="mac", extra=LOOP)
    report = measure(binary, "latency", "--connect", path, "--mode", "latency", "--rate", "5000")
    times = report["back_ends"][0]["sizes"][0]["latency"]
    check(0 < times["min_ns"] <= times["p50_ns"] <= times["p99_ns"] <= times["p999_ns"] <= times["max_ns"], str(times))
    check_equal(sum(bucket[2] for bucket in times["buckets"]), times["count"], "packets in the histogram")
    switch.finish()
    switch = VhostSwitch(bench, switch_binary, [f"{path},role=client"], mode="io", extra=LOOP)
    measure(binary, "the switch connects", "--connect", f"{path},server")
    switch.finish()


def guests(bench, switch_binary, binary):
    """Each kind of guest, looped and from one to another."""
    loop, a, b = (bench.path(name) for name in ("loop", "a", "b"))
    looping = VhostSwitch(bench, switch_binary, [f"{loop},queues=2"], mode="io", extra=LOOP)
    for name, options in GUESTS.items():
        measure(binary, f"loop, {name}", "--connect", loop, *options)
    looping.finish()
    learning = VhostSwitch(bench, switch_binary, [f"{a},queues=2", f"{b},queues=2"])
    for name, options in GUESTS.items():
        ways = ["--bidirectional"] if "descriptors" in name or "mergeable" in name else []
        measure(binary, f"pair, {name}", "--connect", a, "--connect", b, *ways, *options)
    learning.finish()


def packed(bench, switch_binary, binary):
    """The same with packed rings."""
    loop, a, b = (bench.path(name) for name in ("loop", "a", "b"))
    looping = VhostSwitch(bench, switch_binary, [f"{loop},queues=2"], mode="io", extra=LOOP)
    for name, options in PACKED_GUESTS.items():
        measure(binary, f"packed loop, {name}", "--connect", loop, "--packed", *options)
    looping.finish()
    learning = VhostSwitch(bench, switch_binary, [f"{a},queues=2", f"{b},queues=2"])
    for name, options in PACKED_GUESTS.items():
        ways = ["--bidirectional"] if "descriptors" in name or "mergeable" in name else []
        measure(binary, f"packed pair, {name}", "--connect", a, "--connect", b, "--packed", *ways, *options)
    learning.finish()


def testpmd(bench, switch_binary, binary):
    """Against rte_vhost, and in turn with the switch."""
    taking, theirs, a, b, ours = (bench.path(name) for name in ("taking", "t", "ta", "tb", "ours"))
    back_end = TestpmdBackEnd(bench, "rxonly", [taking])
    measure(binary, "testpmd, tx", "--connect", taking, "--mode", "tx", "--sizes", "64,1518")
    back_end.end()
    back_end = TestpmdBackEnd(bench, "io", [a, b])
    for name in ("mergeable", "not mergeable", "indirect", "event index, sleeping"):
        options = [word if word != ALL_SIZES else "64,1518" for word in GUESTS[name]]
        measure(binary, f"testpmd, pair, {name}", "--connect", a, "--connect", b, *options)
        measure(binary, f"testpmd, packed pair, {name}", "--connect", a, "--connect", b, "--packed", *options)
    back_end.end()
    back_end = TestpmdBackEnd(bench, "io", [theirs], ["--port-topology=loop"])
    switch = VhostSwitch(bench, switch_binary, [ours], mode="io", extra=LOOP)
    plot = bench.path("plot.svg")
    report = measure(binary, "compare", "compare", ours, theirs, "--sizes", "64,1518", "--plot", plot)
    # On a busy machine a back-end may get no CPU for all of a round.
    carried = [sum(rate > 0 for rate in size["packets_per_second"]["rounds"]) for size in report["back_ends"][1]["sizes"]]
    check_equal([len(ratio["rounds"]) for ratio in report["ratios"]], carried, "rounds of each ratio")
    with open(plot) as file:
        check("<svg" in file.read(), "the plot is an SVG")
    switch.finish()
    back_end.end()


def migrate(binary, label, *arguments, allowed=("lost", "foreign")):
    """The migrations of one size, after a look at each: whatever is not in the log would come twice, damaged or late."""
    report = json.loads(run_bench(binary, *arguments, "--duration", "0.3", "--rounds", "3", "--json"))
    (size,) = report["back_ends"][0]["sizes"]
    faults = {name: size["counts"][name] for name in FAULTS if size["counts"][name] != 0 and name not in allowed}
    check_equal(faults, {}, f"{label}: faults")
    moves = size["migrations"]
    check_equal(len(moves), 3, f"{label}: migrations")
    check_equal(sum(move["lost"] for move in moves), size["counts"]["lost"], f"{label}: lost")
    for move in moves:
        check(0 < move["gap_s"] and 0 < move["back_end_s"], f"{label}: {move}")
        # All of them may have been found by the last look: on a machine that was busy with others.
        check(move["dirty_pages_per_second"] + move["pages_at_stop"] > 0, f"{label}: {move}")
        check(move["pages_at_stop"] < move["pages_in_all"], f"{label}: {move}")
    print(f"{label}: {[round(1e3 * move['back_end_s'], 2) for move in moves]} ms", flush=True)


def migrations(bench, switch_binary, binary):
    """A guest moves to another port of the same switch, to another switch, and between ports of rte_vhost."""
    a, b, c, loop, other, ours = (bench.path(name) for name in ("a", "b", "c", "loop", "other", "ours"))
    switch = VhostSwitch(bench, switch_binary, [f"{path},queues=2" for path in (a, b, c)])
    pair = ["--connect", a, "--connect", b, "--log", c]
    migrate(binary, "pair", *pair, "--sizes", "1518")
    migrate(binary, "pair, both ways", *pair, "--bidirectional", "--no-mergeable")
    migrate(binary, "pair, packets over several buffers", *pair, "--receive-buffer", "128", "--ring-size", "1024", "--sizes", "9000")
    # Which queue a flow goes to depends on how many are ready: the first packets may come out of order.
    two = ["--queue-pairs", "2", "--indirect", "--event-idx"]
    migrate(binary, "pair, two queue pairs", *pair, *two, allowed=("lost", "foreign", "reordered"))
    migrate(binary, "packed pair", *pair, "--packed", "--sizes", "1518")
    migrate(binary, "packed pair, chains of two, both ways", *pair, "--packed", "--two-descriptors", "--ring-size", "255", "--bidirectional", "--no-mergeable")
    migrate(binary, "packed pair, two queue pairs", *pair, "--packed", *two, allowed=("lost", "foreign", "reordered"))
    message = run_bench(binary, *pair[:-1], loop, "--timeout", "0.2", status=1)
    check(re.search(r"loop: .*No such file", message), f"message of a missing destination: {message!r}")
    switch.finish()
    looping = [VhostSwitch(bench, switch_binary, [spec], mode="io", extra=LOOP) for spec in (loop, f"{other},role=client")]
    check(not os.path.exists(other), "no socket of the bench's before it listens")
    migrate(binary, "from one switch to another", "--connect", loop, "--log", f"{other},server", "--regions", "4")
    for switch in looping:
        switch.finish()
    check(not os.path.exists(other), "the bench leaves no socket")
    back_end = TestpmdBackEnd(bench, "io", [ours, other], ["--port-topology=loop"])
    migrate(binary, "testpmd", "--connect", ours, "--log", other)
    migrate(binary, "testpmd, packed", "--connect", ours, "--log", other, "--packed")
    back_end.end()


def answer_features(listener, features):
    """A back-end that answers one front-end's GET_FEATURES, and knows no protocol features."""
    front_end, _ = listener.accept()
    with front_end:
        while header := front_end.recv(HEADER.size, socket.MSG_WAITALL):
            request, _, size = HEADER.unpack(header)
            front_end.recv(size, socket.MSG_WAITALL)
            if request == GET_FEATURES:
                front_end.sendall(HEADER.pack(request, VERSION | REPLY, 8) + features.to_bytes(8, "little"))


def refusals(bench, _switch_binary, binary):
    """What cannot be done is said exactly."""
    path = bench.path("split")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        back_end = threading.Thread(target=answer_features, args=(listener, VIRTIO_F_VERSION_1))
        back_end.start()
        message = run_bench(binary, "--connect", path, "--packed", status=1)
        back_end.join()
    check(f"{path}: negotiation: the back-end does not offer VIRTIO_F_RING_PACKED" in message, f"without bit 34: {message!r}")
    message = run_bench(binary, "--connect", bench.path("nothing") + "/here", "--timeout", "0.2", status=1)
    check(re.search(r"nothing/here: .*No such file", message), f"message of a missing socket: {message!r}")
    message = run_bench(binary, "--connect", "/x", "--sizes", "1", status=2)
    check("'1' is no frame size: expected 64 to" in message, f"message of a wrong size: {message!r}")


PARTS = {"modes": modes, "guests": guests, "packed": packed, "testpmd": testpmd, "migrations": migrations, "refusals": refusals}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("switch")
    parser.add_argument("bench")
    parser.add_argument("part", choices=PARTS)
    arguments = parser.parse_args()
    run_test(PARTS[arguments.part], arguments.switch, arguments.bench)


if __name__ == "__main__":
    main()
