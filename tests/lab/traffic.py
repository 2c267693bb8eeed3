# SPDX-License-Identifier: BSD-3-Clause
"""What two guests are made to do, and what it showed: pings, and files whose checksums are compared."""

import hashlib
import os
import re
import time
from collections import namedtuple

import interop_path  # noqa: F401
from processes import check_equal, wait_until

MIB = 1 << 20
PAYLOAD_MIB = 64

Transfer = namedtuple("Transfer", "mebibytes seconds sha256")


def make_payload(bench, mebibytes=PAYLOAD_MIB):
    """A file of random bytes, for a guest's drive."""
    path = bench.path("payload")
    with open(path, "wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(MIB))
    return path


def sha256(path, begin=0, length=-1):
    with open(path, "rb") as file:
        file.seek(begin)
        return hashlib.sha256(file.read(length)).hexdigest()


def ping(guest, address, count=10):
    """The round-trip times in ms; every ping must be answered.

    One after the other: after the last of several, busybox's ping waits for twice the longest time that it has seen, and an
    emulated guest that gets no CPU may take longer.
    """
    output = guest.run(f"for i in $(seq {count}); do ping -c 1 -W 60 {address}; done", timeout_s=180)
    times = [float(word) for word in re.findall(r"time=([\d.]+)", output)]
    check_equal(len(times), count, f"pings of {address} that were answered")
    return times


def wait_ping(guest, address, each_s=10):
    """Until one is answered, for each of which the guest waits so long."""
    wait_until(lambda: guest.try_run(f"ping -c 1 -W {each_s} {address}")[0] == 0, f"{guest.name} to reach {address}")


def ping_from_each_cpu(guest, address, cpus, count=100):
    """A transmit queue belongs to the CPU that sends, and a ping is sent by the CPU that its program is held on."""
    for cpu in range(cpus):
        guest.run(f"taskset {1 << cpu:x} ping -q -c {count} -i 0.01 -W 10 {address}")


def serve_drive(guest, size, parts=1):
    """Copies so many bytes of the guest's drive to files that its HTTP server offers: part0, part1 ...; what
    is there already is not copied again."""
    each = size // parts // MIB
    for part in range(parts):
        copied = f'[ "$(stat -c %s /srv/part{part} 2>/dev/null)" = {each * MIB} ]'
        guest.run(f"{copied} || dd if=/dev/vda of=/srv/part{part} bs=1M skip={part * each} count={each}")
    guest.run("pidof httpd >/dev/null || httpd -p 80 -h /srv")


def fetch(guest, address, payload, mebibytes=None):
    """Fetches the served file over TCP; the checksum that the receiver computes must be the payload's own."""
    size = (mebibytes or os.path.getsize(payload) // MIB) * MIB
    begun = time.monotonic()
    guest.run(f"wget -q -O /tmp/fetched http://{address}/part0", timeout_s=180)
    seconds = time.monotonic() - begun
    said = guest.run("sha256sum /tmp/fetched && rm /tmp/fetched", timeout_s=180).split()[0]
    check_equal(said, sha256(payload, 0, size), f"checksum of the {size // MIB} MiB that {guest.name} received")
    return Transfer(size // MIB, seconds, said)


def fetch_in_flows(guest, address, payload, mebibytes, flows, cpus):
    """The same in several TCP connections at once, begun on all CPUs in turn; each part has its own checksum."""
    each = mebibytes * MIB // flows
    command = "; ".join(
        f"taskset {1 << flow % cpus:x} wget -q -O - http://{address}/part{flow} | sha256sum >/tmp/sum{flow} &"
        for flow in range(flows)
    )
    guest.run(command.replace("&;", "&") + " wait", timeout_s=180)
    for flow in range(flows):
        said = guest.run(f"cat /tmp/sum{flow}").split()[0]
        check_equal(said, sha256(payload, flow * each, each), f"checksum of the part in flow {flow}")


def many_small_fetches(guest, address, count, cpus):
    """As many short TCP connections, begun on all CPUs in turn: enough flows that each queue gets its share."""
    masks = " ".join(f"{1 << cpu:x}" for cpu in range(cpus))
    rounds = f"for i in $(seq {count // cpus}); do for mask in {masks}; do {{fetch}} || exit 1; done; done"
    guest.run("(" + rounds.format(fetch=f"taskset $mask wget -q -O /dev/null http://{address}/small") + ")", timeout_s=180)


class FetchAgain:
    """A guest fetches the served file over and over, until it is told to end; each time the checksum must be the payload's."""

    def __init__(self, guest, address, payload):
        self.guest, self.expected = guest, sha256(payload)
        fetch_one = f"wget -q -O - http://{address}/part0 | sha256sum >>/tmp/sums"
        guest.run(f"(until [ -e /tmp/enough ]; do {fetch_one}; done; touch /tmp/ended) >/dev/null 2>&1 &")

    def received(self):
        return int(self.guest.run("cat /sys/class/net/eth0/statistics/rx_packets"))

    def wait_progress(self):
        before = self.received()
        wait_until(lambda: self.received() > before, f"packets to come to {self.guest.name}")

    def finish(self):
        """How often it came."""
        self.guest.run("touch /tmp/enough; until [ -e /tmp/ended ]; do usleep 10000; done", timeout_s=300)
        sums = [line.split()[0] for line in self.guest.run("cat /tmp/sums").splitlines()]
        check_equal(set(sums), {self.expected}, "checksums of the files that came")
        return len(sums)
