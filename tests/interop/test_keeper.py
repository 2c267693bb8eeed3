#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-keeper from outside: it starts, serves clients that come, go and are killed, is shown by vhostx-probe, and ends.

    test_keeper.py KEEPER PROBE PART
"""

import argparse
import array
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys

from processes import check, check_equal, open_fds, run_test, wait_until
from probe import run_probe

HELLO, CLAIM, HOLD, PARK, LOOK = 1, 2, 4, 8, 12
WELCOME, GRANTED, REFUSED, FAILED, SHOWN = 101, 102, 103, 108, 110
F_ADD_SEALS, F_SEAL_SHRINK = 1033, 2
NOW, STAND_BY = 0, 1
TIMEOUT_S = 60


class Client:
    """A second implementation of the client's side, as small as can be."""

    def __init__(self, path, version=2):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(path)
        self.send(HELLO, struct.pack("=I", version))

    def send(self, kind, body=b"", fds=()):
        packet = struct.pack("=HHI", kind, 0, 1) + body
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([packet], rights)

    def receive(self):
        """(type, body, descriptors); no type at the end. A keeper that is killed with packets unread makes the kernel
        report a reset once, before what it sent, and only then the end."""
        try:
            packet, rights, _, _ = self.socket.recvmsg(16384, socket.CMSG_SPACE(4 * 16))
        except ConnectionResetError:
            return self.receive()
        fds = array.array("i")
        for _, _, data in rights:
            fds.frombytes(data)
        return struct.unpack_from("=H", packet)[0] if packet else None, packet[8:], list(fds)

    def expect(self, kind):
        got, body, fds = self.receive()
        check_equal(got, kind, f"the type of a reply ({body!r})")
        return body, fds

    @staticmethod
    def name(name):
        return struct.pack("=H", len(name)) + name.encode()

    def claim(self, name, how=NOW):
        self.send(CLAIM, self.name(name) + struct.pack("=I", how))

    def hold(self, name, slot, fd):
        self.send(HOLD, self.name(name) + struct.pack("=I", slot), [fd])


class KeeperProcess:
    def __init__(self, bench, binary, *options, name="keeper"):
        self.path = bench.path("keeper.sock")
        self.process = bench.start(name, [binary, self.path, "--json", *options])
        self.ready = self.wait("ready")

    def wait(self, kind):
        match = self.process.wait_for(rf'^.*"event":"{kind}".*$')
        return json.loads(match.group(0))


def greeted(path):
    client = Client(path)
    client.expect(WELCOME)
    return client


# A client in a process of its own: it owns a bundle with a front-end's socket, says so, and waits to be killed.
OWNER = """
import os, socket, sys
sys.path.insert(0, sys.argv[1])
from test_keeper import GRANTED, greeted
client = greeted(sys.argv[2])
client.claim(sys.argv[3])
client.expect(GRANTED)
front_end = socket.socket(socket.AF_UNIX)
front_end.connect(sys.argv[4])
client.hold(sys.argv[3], 0, front_end.fileno())
print("owns", flush=True)
sys.stdin.read()
"""


class Owner:
    def __init__(self, bench, keeper, name, number=0):
        self.listener = socket.socket(socket.AF_UNIX)
        path = bench.path(f"front-end-{number}")
        self.listener.bind(path)
        self.listener.listen()
        folder = os.path.dirname(os.path.abspath(__file__))
        argv = [sys.executable, "-c", OWNER, folder, keeper.path, name, path]
        self.process = bench.start(f"owner-{number}", argv, stdin=subprocess.PIPE)
        self.front_end, _ = self.listener.accept()
        self.front_end.settimeout(TIMEOUT_S)
        self.process.wait_for("^owns$")


def looks(bench, binary, _):
    """Who does not own a bundle gets bytes of its records, and never a descriptor."""
    keeper = KeeperProcess(bench, binary)
    owner = Owner(bench, keeper, "/run/vm0.sock")
    looker = greeted(keeper.path)

    def look(name, slot, offset=0):
        looker.send(LOOK, looker.name(name) + struct.pack("=IQ", slot, offset))
        kind, body, fds = looker.receive()
        check_equal(fds, [], "descriptors for a looker")
        return kind, body

    check_equal(look("/run/vm0.sock", 0)[0], FAILED, "a look at the front-end's socket")
    check_equal(look("/run/vm0.sock", 16)[0], FAILED, "a look at what the front-end sent")
    check_equal(look("/run/vm1.sock", 1)[0], FAILED, "a look at no bundle")
    memory = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
    os.write(memory, b"x" * 8000 + b"end" + b"x" * 8000)
    fcntl.fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK)
    looker.claim("port")
    looker.expect(GRANTED)
    looker.hold("port", 1, memory)
    check_equal(look("port", 1, 8000), (SHOWN, struct.pack("=I", 8003) + b"end" + b"x" * 8000), "bytes")
    check_equal(look("port", 1, 1 << 63), (SHOWN, struct.pack("=I", 0)), "bytes behind the end")
    check(owner.process.alive(), "the owner has ended")
    check_equal(keeper.process.end(), 0, "the exit status")


def lives(bench, binary, probe):
    """The front-end's connection outlives its process, and the next one speaks to it."""
    keeper = KeeperProcess(bench, binary)
    check_equal(keeper.ready["socket"], keeper.path, "the socket")
    owner = Owner(bench, keeper, "/run/vm0.sock")
    shown = json.loads(run_probe(probe, "keeper", keeper.path, "--json")[0])
    (bundle,) = shown["bundles"]
    check_equal(bundle["name"], "/run/vm0.sock", "the bundle")
    check_equal(bundle["owner"]["pid"], owner.process.pid, "the owner")
    check_equal(bundle["slots"], [0], "the slots")
    check_equal(bundle["front_end"]["pid"], os.getpid(), "the front-end")
    text, _ = run_probe(probe, "keeper", keeper.path)
    check(f"pid {owner.process.pid})" in text and "/run/vm0.sock" in text, f"the text: {text}")
    check("no record" in text and bundle["record"] is None, f"rings without a record: {text}")

    standby = greeted(keeper.path)
    standby.claim("/run/vm0.sock", STAND_BY)
    refused = greeted(keeper.path)
    refused.claim("/run/vm0.sock")
    body, _ = refused.expect(REFUSED)
    check_equal(struct.unpack("=I", body[-4:])[0], owner.process.pid, "the owner that is named")
    owner.process.kill()
    _, (kept,) = standby.expect(GRANTED)
    os.write(kept, b"still here")
    check_equal(owner.front_end.recv(100), b"still here", "what the front-end gets")
    os.close(kept)

    # The front-end goes: only then does a bundle that nobody owns end.
    standby.socket.close()
    released = keeper.wait("released")
    check_equal(released["reason"], "its connection ended", "why it has no owner")
    shown = json.loads(run_probe(probe, "keeper", keeper.path, "--json")[0])["bundles"][0]
    check(shown["owner"] is None and 0 < shown["grace_seconds"] <= 60, f"without an owner: {shown}")
    owner.front_end.close()
    check_equal(keeper.wait("dropped")["reason"], "its front-end has gone", "why it was dropped")
    check_equal(json.loads(run_probe(probe, "keeper", keeper.path, "--json")[0])["bundles"], [], "bundles")
    check_equal(keeper.process.end(), 0, "the exit status")
    check(not os.path.exists(keeper.path), "the socket is left")


def grace(bench, binary, _):
    """What nobody claims in time is dropped, and its front-end sees the end of the connection."""
    keeper = KeeperProcess(bench, binary, "--grace", "0.05")
    owner = Owner(bench, keeper, "port")
    owner.process.kill()
    check_equal(keeper.wait("dropped")["reason"], "nobody claimed it in time", "why it was dropped")
    check_equal(owner.front_end.recv(1), b"", "what the front-end gets")


def flat(bench, binary, _):
    """Descriptors of the keeper after thousands of operations, kills and malformed packets."""
    keeper = KeeperProcess(bench, binary)
    before = open_fds(keeper.process.pid)
    with open("/dev/null", "rb") as file:
        for round_number in range(300):
            client = greeted(keeper.path)
            client.claim("port", STAND_BY)
            client.expect(GRANTED)
            for slot in range(1, 12):
                client.hold("port", slot, file.fileno())
            client.hold("port", 1, file.fileno())
            if round_number % 3 == 0:
                client.send(PARK, client.name("port") + struct.pack("=I", 0))
            elif round_number % 3 == 1:
                client.send(99, b"rubbish", [file.fileno()] * 3)
                check_equal(client.expect(FAILED)[1], [], "descriptors of a refusal")
            client.socket.close()
        last = greeted(keeper.path)
        last.claim("port", STAND_BY)
        last.expect(GRANTED)
        last.send(PARK, last.name("port") + struct.pack("=I", 0))
        last.socket.close()
    wait_until(lambda: open_fds(keeper.process.pid) == before, f"the keeper to have {before} descriptors again")
    check(keeper.process.alive(), "the keeper has ended")


def killed(bench, binary, probe):
    """A keeper that is killed: its clients see that and their connections go on; a new keeper takes the stale socket over."""
    keeper = KeeperProcess(bench, binary)
    ours, theirs = socket.socketpair()
    client = greeted(keeper.path)
    client.claim("port")
    client.expect(GRANTED)
    client.hold("port", 0, ours.fileno())
    refusal = subprocess.run([binary, keeper.path], capture_output=True, text=True, timeout=TIMEOUT_S)
    check_equal(refusal.returncode, 1, "the exit status of a second keeper")
    check(f"vhostx-keeper (pid {keeper.process.pid}) listens on it" in refusal.stderr, refusal.stderr)
    keeper.process.kill()
    check_equal(client.receive()[0], None, "what the client sees")
    ours.send(b"x")
    check_equal(theirs.recv(1), b"x", "what the front-end gets")
    check(os.path.exists(keeper.path), "the socket of a killed keeper is gone")
    _, errors = run_probe(probe, "keeper", keeper.path, status=1)
    check("no keeper listens there: Connection refused" in errors, errors)
    again = KeeperProcess(bench, binary, name="keeper-again")
    client = greeted(again.path)
    client.claim("port")
    client.expect(GRANTED)
    client.hold("port", 0, ours.fileno())
    shown = json.loads(run_probe(probe, "keeper", again.path, "--json")[0])["bundles"]
    check_equal([bundle["slots"] for bundle in shown], [[0]], "the slots")
    check_equal(again.process.end(signal.SIGINT), 0, "the exit status")
    check_equal(again.wait("end")["bundles"], 1, "bundles at the end")


def notifies(bench, binary, _):
    """As a service of Type=notify: it says that it is ready once it listens. Other programs' sockets are no keeper's."""
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.settimeout(TIMEOUT_S)
    notified.bind(bench.path("notify"))
    keeper = bench.path("keeper.sock")
    process = bench.start("keeper", [binary, keeper], env={**os.environ, "NOTIFY_SOCKET": bench.path("notify")})
    check_equal(notified.recv(100), b"READY=1", "the notification")
    greeted(keeper)
    check_equal(process.end(), 0, "the exit status")
    other = socket.socket(socket.AF_UNIX)
    other.bind(keeper)
    other.listen()
    refusal = subprocess.run([binary, keeper], capture_output=True, text=True, timeout=TIMEOUT_S)
    check_equal(refusal.returncode, 1, "the exit status")
    check("a process listens on it that is no keeper" in refusal.stderr, refusal.stderr)
    os.unlink(keeper)
    with open(keeper, "w", encoding="utf-8"):
        pass
    refusal = subprocess.run([binary, keeper], capture_output=True, text=True, timeout=TIMEOUT_S)
    check("exists and is no socket" in refusal.stderr, refusal.stderr)


PARTS = {part.__name__: part for part in (lives, looks, grace, flat, killed, notifies)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("keeper", help="the program under test")
    parser.add_argument("probe", help="vhostx-probe")
    parser.add_argument("part", choices=PARTS)
    arguments = parser.parse_args()
    run_test(PARTS[arguments.part], arguments.keeper, arguments.probe)
