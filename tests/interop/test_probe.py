#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe's query, trace, listen and show against real peers, and against those that send rubbish.

    test_probe.py SWITCH PROBE testpmd     testpmd's virtio-user through `trace` to vhostx-switch, and to `listen`
    test_probe.py SWITCH PROBE back-end    `query` and `trace` in front of testpmd's net_vhost
    test_probe.py SWITCH PROBE rubbish     peers that break off, send noise, are not there; records that are damaged
"""

import argparse
import json
import os
import random
import socket

from probe import Observer, names, report_page, run_probe
from processes import check, check_equal, open_fds, run_test, wait_until
from testpmd import Testpmd, TestpmdBackEnd
from vhost_user import GET_FEATURES, HEADER, NetGuest, VERSION
from vhostx_switch import VhostSwitch

LOOP = ["--topology", "loop"]


def started_rings(state):
    return [ring for ring in state["vrings"] if not ring["stopped"] and ring["enabled"]]


def show_is_what_was_traced(probe, record, observer):
    """The record, shown again, has the same messages with the same conclusions as were seen live."""
    shown = [json.loads(line) for line in run_probe(probe, "show", record, "--json")[0].splitlines()]
    seen = [event for event in observer.events() if event.get("event") not in ("state", "rings", None)]
    check_equal(len(shown), len(seen), "events in the record")
    for one, other in zip(shown, seen):
        check_equal(one, other, "an event, shown and as it was seen")
    text, _ = run_probe(probe, "show", record)
    check("SET_MEM_TABLE" in text or "ADD_MEM_REG" in text, f"the record as text: {text[:2000]}")
    check("\x1b" not in text, "no colours where no terminal is")
    only, _ = run_probe(probe, "show", record, "--filter", "SET_VRING_KICK", "--no-tables")
    kinds = {line.split(">")[1].split()[0] for line in only.splitlines() if ">" in line}
    check_equal(kinds, {"SET_VRING_KICK"}, "messages that the filter shows")


def watch_rings(probe, seen, observer):
    """`rings` finds the relay by its socket and by its number, and sees packets go by that the relay does not touch."""
    def live():
        shown = observer.events("rings")
        rings = shown[-1]["rings"]["rings"] if shown else []
        return len(rings) == 2 and all(ring["kicks_per_s"] is not None and ring["used_per_s"] for ring in rings)

    wait_until(live, "the relay's own live rings, with their kicks counted")
    for where in (seen, str(observer.process.pid)):
        report = json.loads(run_probe(probe, "rings", where, "--json", "--once", "--interval", "0.5")[0])
        check_equal([ring["direction"] for ring in report["rings"]], ["receive", "transmit"], "rings")
        for ring in report["rings"]:
            check(ring["enabled"] and ring["started"] and ring["problem"] is None, f"a ring that runs: {ring}")
            check(ring["used_per_s"] > 0 and 0 <= ring["in_flight"] <= ring["size"], f"a ring with packets: {ring}")
            check(ring["kicks_per_s"] is not None, f"kicks are counted: {ring}")


def trace_testpmd(bench, switch_binary, probe):
    port, seen, record = bench.path("vm0"), bench.path("seen"), bench.path("record.jsonl")
    switch = VhostSwitch(bench, switch_binary, [port], mode="io", extra=LOOP)
    offered = json.loads(run_probe(probe, "query", port, "--json")[0])
    check("VIRTIO_NET_F_MRG_RXBUF" in offered["features"]["names"] and not offered["problems"], f"the offer: {offered}")
    switch.wait_stats(lambda now: not now["ports"][0]["connected"], "query to have left")
    fds = switch.open_fds()
    observer = Observer(bench, probe, "trace", seen, "--connect", port, "--write", record, "--count-notifications", "--rings")
    guest = Testpmd(bench, seen).ready()
    switch.wait_started([port])
    guest.start("io", first_bursts=4)
    switch.wait_stats(lambda now: now["ports"][0]["from_guest"]["packets"] > 10_000, "packets through a traced port")
    state = observer.wait_state(lambda state: len(started_rings(state)) == 2, "two rings that run")
    check("VIRTIO_F_VERSION_1" in state["features"]["text"], f"negotiated: {state['features']}")
    check_equal(len(state["regions"]), 1, "regions of a testpmd with --single-file-segments")
    check("memfd" in state["regions"][0]["file"], state["regions"][0]["file"])
    check("node " in state["regions"][0]["nodes"], f"the region's NUMA nodes: {state['regions'][0]}")
    watch_rings(probe, seen, observer)
    guest.stop()
    guest.end()
    observer.wait_closed()
    opened = observer.events("opened")[0]
    check_equal((opened["front_end"]["program"], opened["back_end"]["pid"]), ("dpdk-testpmd", switch.pid), "the peers")
    wait_until(
        lambda: "no front-end is connected" in run_probe(probe, "rings", str(switch.pid), "--once", "--interval", "0.1")[0],
        "the switch to have no front-end",
    )
    check_equal(observer.violations(), [], "violations between testpmd and vhostx-switch")
    for reply in observer.messages():
        if reply["way"] == "replies_to_front_end":
            check("answers" in reply and reply["round_trip_ns"] > 0, f"a reply without its request: {reply}")
    show_is_what_was_traced(probe, record, observer)
    page = report_page(probe, record, bench.path("report.html"))
    check("dpdk-testpmd and vhostx-switch" in page and "nothing found that breaks" in page, f"the page: {page[:3000]}")
    wait_until(lambda: switch.open_fds() <= fds, "vhostx-switch to have the descriptors that it had")
    observer.end()
    check(not os.path.exists(seen), "the socket is removed")
    switch.finish()
    print(f"trace: {len(observer.messages())} messages of a testpmd that exchanged packets", flush=True)


def listen_to_testpmd(bench, probe):
    path = bench.path("wanted")
    observer = Observer(bench, probe, "listen", path, "--features=-ring_packed", name="listen")
    guest = Testpmd(bench, path, name="listened-to").ready()
    state = observer.wait_state(lambda state: len(started_rings(state)) == 2, "what testpmd wants")
    offered, wanted = (int(state[key]["bits"], 16) for key in ("features_offered", "features"))
    check(not offered >> 34 & 1, "RING_PACKED was taken out of the offer")
    check_equal(wanted & ~offered, 0, "features that testpmd chose beyond the offer")
    check(all(ring["size"] and ring["addresses"] and ring["call"] for ring in state["vrings"]), state["vrings"])
    check_equal(observer.violations(), [], "violations of testpmd's")  # of its end none: a signal may cut that short
    guest.end()
    observer.wait_closed()
    observer.end()
    print(f"listen: testpmd wants {state['features']['text']}", flush=True)


def with_testpmd(bench, switch_binary, probe):
    trace_testpmd(bench, switch_binary, probe)
    listen_to_testpmd(bench, probe)


def in_front_of_testpmd(bench, _, probe):
    back_end_path, seen = bench.path("vhost"), bench.path("seen")
    back_end = TestpmdBackEnd(bench, "io", [back_end_path])
    facts = json.loads(run_probe(probe, "query", back_end_path, "--json")[0])
    check("VIRTIO_F_VERSION_1" in facts["features"]["names"], facts)
    check(facts["queue_pairs"] >= 1, f"queue pairs of net_vhost: {facts}")
    observer = Observer(bench, probe, "trace", seen, "--connect", back_end_path)
    guest = NetGuest(seen)
    frame = b"\x02" * 6 + b"\x04" * 6 + b"\x88\xb5" + bytes(50)
    # What testpmd takes before it may use its other queue is lost.
    wait_until(lambda: guest.send(frame) and frame in guest.receive(), "a frame to come back through net_vhost")
    _, complaint = run_probe(probe, "query", back_end_path, status=3)
    check("another front-end is connected" in complaint, complaint)
    check_equal(len(guest.stop()), 2, "rings that were stopped")
    guest.close()
    observer.wait_closed()
    check("GET_VRING_BASE" in names(observer.messages()), "the messages of the end")
    observer.end()
    back_end.process.kill()
    print(f"trace: {len(observer.messages())} messages to testpmd's net_vhost", flush=True)


def connect(path):
    peer = socket.socket(socket.AF_UNIX)
    wait_until(lambda: peer.connect_ex(path) == 0, f"{path} to be listened at")
    return peer


def noise(bench, switch_binary, probe):
    """A front-end that sends noise: the back-end gets it as it is, the observer stays, and serves the next one."""
    port, seen = bench.path("vm0"), bench.path("seen")
    switch = VhostSwitch(bench, switch_binary, [port])
    observer = Observer(bench, probe, "trace", seen, "--connect", port)
    listener = Observer(bench, probe, "listen", bench.path("listener"), name="listen")
    generator = random.Random(4711)
    fds = open_fds(observer.process.pid), open_fds(listener.process.pid)  # with what each publishes
    for round_number in range(40):
        for path in (seen, bench.path("listener")):
            peer = connect(path)
            body = generator.randbytes(generator.randrange(0, 200))
            if round_number % 2:  # with a header that lets it in
                body = HEADER.pack(generator.randrange(1, 60), VERSION, len(body) // 2) + body
            try:
                socket.send_fds(peer, [body or b"x"], [0] * (round_number % 12))
            except BrokenPipeError:
                pass
            peer.close()
    for watched, before in ((observer, fds[0]), (listener, fds[1])):
        watched.wait_closed(40)
        wait_until(lambda: open_fds(watched.process.pid) <= before, "descriptors to be closed")
        check(watched.violations(), "noise that breaks no rule")
    guest = NetGuest(seen)
    check_equal(len(guest.stop()), 2, "an honest guest after that")
    guest.close()
    listener.end()
    observer.end()
    switch.finish()
    print("noise: both observers served an honest guest after 40 others", flush=True)


def peers_that_are_not_there(bench, probe):
    nobody, seen = bench.path("nobody"), bench.path("seen")
    _, complaint = run_probe(probe, "query", nobody, status=1)
    check_equal(complaint.count("\n"), 1, f"one line: {complaint}")
    observer = Observer(bench, probe, "trace", seen, "--connect", nobody)
    check_equal(connect(seen).recv(1), b"", "a front-end without a back-end is let go")
    wait_until(lambda: nobody in observer.complaints(), "the missing back-end to be named")
    _, complaint = run_probe(probe, "trace", "--listen", seen, "--connect", nobody, status=1)
    check(f"is in use: vhostx-probe (pid {observer.process.pid}) listens on it" in complaint, complaint)
    _, complaint = run_probe(probe, "trace", "--listen", probe, "--connect", nobody, status=1)
    check("exists and is no socket" in complaint, complaint)
    observer.end()


def a_back_end_that_answers_badly(bench, probe):
    path = bench.path("liar")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    answers = {
        "noise": b"\xff" * 40,
        "another's": HEADER.pack(2, VERSION | 4, 8) + bytes(8),
        "short": HEADER.pack(GET_FEATURES, VERSION | 4, 4) + bytes(4),
        "half": HEADER.pack(GET_FEATURES, VERSION | 4, 8) + bytes(3),
        "nothing": b"",
    }
    for name, answer in answers.items():
        pid = os.fork()
        if pid == 0:
            peer, _ = listener.accept()
            peer.recv(12)
            peer.sendall(answer)
            peer.close()
            os._exit(0)
        _, complaint = run_probe(probe, "query", path, "--timeout", "5", status=1)
        os.waitpid(pid, 0)
        check_equal(complaint.count("\n"), 1, f"{name}: one line: {complaint}")
    listener.close()


def damaged_records(bench, switch_binary, probe):
    port, seen, record = bench.path("vm1"), bench.path("seen1"), bench.path("record.jsonl")
    switch = VhostSwitch(bench, switch_binary, [port])
    observer = Observer(bench, probe, "trace", seen, "--connect", port, "--write", record, name="recorder")
    guest = NetGuest(seen)
    guest.stop()
    guest.close()
    observer.wait_closed()
    observer.end()
    switch.finish()
    with open(record, "rb") as file:
        whole = file.read()
    lines = whole.splitlines(keepends=True)
    damaged = bench.path("damaged.jsonl")

    def show(content, status):
        with open(damaged, "wb") as file:
            file.write(content)
        return run_probe(probe, "show", damaged, status=status)

    text, complaint = show(whole[:-10], 0)
    check("is incomplete" in complaint and "SET_OWNER" in text, complaint)
    text, complaint = show(b"".join(lines[:8]) + b"rubbish\n" + b"".join(lines[8:]), 1)
    check("line 9: " in complaint and "GET_FEATURES" in text, complaint)
    for content in (b"", b"\0" * 100, whole[5:], b"[" * 100_000):
        _, complaint = show(content, 1)
        check_equal(complaint.count("\n"), 1, f"one line: {complaint}")
    generator = random.Random(42)
    for _ in range(60):
        at = generator.randrange(len(lines[0]), len(whole))
        broken = bytearray(whole)
        broken[at : at + 3] = generator.randbytes(3)
        with open(damaged, "wb") as file:
            file.write(broken)
        for status in (0, 1):  # either is right; anything else is not
            try:
                run_probe(probe, "show", damaged, status=status)
                break
            except Exception:
                if status == 1:
                    raise
    full = "/dev/full"
    if os.path.exists(full):
        _, complaint = run_probe(probe, "trace", "--listen", bench.path("f"), "--connect", port, "--write", full, status=1)
        check("/dev/full" in complaint, complaint)


def rubbish(bench, switch_binary, probe):
    noise(bench, switch_binary, probe)
    peers_that_are_not_there(bench, probe)
    a_back_end_that_answers_badly(bench, probe)
    damaged_records(bench, switch_binary, probe)


if __name__ == "__main__":
    parts = {"testpmd": with_testpmd, "back-end": in_front_of_testpmd, "rubbish": rubbish}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("switch")
    parser.add_argument("probe")
    parser.add_argument("part", choices=parts)
    arguments = parser.parse_args()
    run_test(parts[arguments.part], arguments.switch, arguments.probe)
