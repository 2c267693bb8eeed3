# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd, which this project did not write: a poll-mode guest (virtio-user), or a back-end (net_vhost)."""

import os
import re
import signal
import subprocess
from collections import namedtuple

from processes import need_program

PortStats = namedtuple("PortStats", "rx_packets rx_bytes tx_packets tx_bytes rx_lost tx_lost")

STATS_PATTERN = (
    r"NIC statistics for port 0 .*\n"
    r"\s*RX-packets: (\d+)\s+RX-missed: (\d+)\s+RX-bytes:\s+(\d+)\s*\n"
    r"\s*RX-errors: (\d+)\s*\n"
    r"\s*RX-nombuf:\s+(\d+)\s*\n"
    r"\s*TX-packets: (\d+)\s+TX-errors: (\d+)\s+TX-bytes:\s+(\d+)"
)


class TestpmdShell:
    """A testpmd with one port, typed at through its command line."""

    process = None

    def ready(self, timeout_s=60.0):
        """Waits until the port is configured and the command line answers."""
        self.process.wait_for(r"^Checking link statuses|^Port 0: ([0-9A-F]{2}:){5}", timeout_s)
        self.port_stats()
        return self

    def command(self, line, answer):
        self.process.say(line)
        return self.process.wait_for(answer)

    def start(self, mode, first_bursts=0):
        """Forwards in `mode`, after having sent first_bursts bursts of 32 packets if asked."""
        self.command(f"set fwd {mode}", rf"^Set {mode} packet forwarding mode")
        self.command(f"start tx_first {first_bursts}" if first_bursts else "start", rf"^{mode} packet forwarding - ports=1")

    def stop(self):
        self.command("stop", r"^Done\.")

    def port_stats(self):
        match = self.command("show port stats 0", STATS_PATTERN)
        rx, missed, rx_bytes, errors, no_mbuf, tx, tx_errors, tx_bytes = (int(group) for group in match.groups())
        return PortStats(rx, rx_bytes, tx, tx_bytes, missed + errors + no_mbuf, tx_errors)

    def kill(self):
        self.process.kill()

    def end(self):
        self.process.say("quit")
        self.process.end(signal.SIGTERM)

    def xstats(self):
        """{name: value} of the port's extended statistics."""
        begin = self.process.seen
        self.process.say("show port xstats 0")
        self.port_stats()  # what is answered later was answered after
        said = self.process.log(begin)
        return {name: int(value) for name, value in re.findall(r"^(\w+): (\d+)\s*$", said, re.MULTILINE)}


class Testpmd(TestpmdShell):
    """A guest: one testpmd with virtio-user on the last CPU.

    It runs without huge pages unless told (virtio-user then shares a memfd), so that it starts on any machine and in
    a fraction of a second. Two lcores, because testpmd insists on a main and a worker, on one CPU.
    """

    def __init__(self, bench, socket, name="testpmd", huge_pages=False, options=(), **devargs):
        program = need_program("dpdk-testpmd", "dpdk-dev")
        cpu = max(os.sched_getaffinity(0))
        memory = ["--in-memory", "--single-file-segments"] if huge_pages else ["--no-huge", "--no-shconf"]
        settings = {"path": socket, "queues": 1, "server": 0, "packed_vq": 0, "mrg_rxbuf": 1, "in_order": 0, **devargs}
        vdev = "net_virtio_user0," + ",".join(f"{key}={value}" for key, value in settings.items())
        argv = ["stdbuf", "-oL", program, "--lcores", f"0@{cpu},1@{cpu}", "--no-pci", *memory]
        argv += ["--file-prefix", f"{os.path.basename(bench.directory)}-{name}", "-m", "64", "--vdev", vdev]
        # Vectorised functions for packed rings have registers of 512 bits, which DPDK leaves alone unless told.
        argv += ["--force-max-simd-bitwidth=512"] if settings["packed_vq"] and settings.get("vectorized") else []
        argv += ["--log-level", "pmd.net.virtio.*:info"]  # it then says which receive and transmit functions it chose
        argv += ["--", "-i", "--total-num-mbufs=4096", *options]
        self.process = bench.start(name, argv, stdin=subprocess.PIPE)

    def datapath(self):
        """The receive and transmit functions that the driver chose."""
        return re.findall(r"virtio: using (.+?) path", self.process.log(self.process.begin))


class TestpmdVhost(TestpmdShell):
    """A back-end: one testpmd with net_vhost on the first CPU. library: the folder of the librte_vhost.so.23 that it is to
    run on; None: DPDK's."""

    def __init__(self, bench, socket, library=None, name="back-end", huge_pages=False, options=(), **devargs):
        program = need_program("dpdk-testpmd", "dpdk-dev")
        cpu = min(os.sched_getaffinity(0))
        settings = {"iface": socket, "queues": 1, **devargs}
        vdev = "net_vhost0," + ",".join(f"{key}={value}" for key, value in settings.items())
        memory = ["--in-memory"] if huge_pages else ["--no-huge", "--no-shconf"]
        argv = ["stdbuf", "-oL", program, "--lcores", f"0@{cpu},1@{cpu}", "--no-pci", *memory]
        argv += ["-m", "128", "--file-prefix", f"{os.path.basename(bench.directory)}-{name}", "--vdev", vdev]
        argv += ["--", "-i", "--total-num-mbufs=8192", *options]
        environment = {**os.environ, **({"LD_LIBRARY_PATH": library} if library else {})}
        self.process = bench.start(name, argv, stdin=subprocess.PIPE, env=environment)


class TestpmdBackEnd:
    """dpdk-testpmd with net_vhost ports: a back-end that this project did not write."""

    def __init__(self, bench, mode, sockets, options=()):
        program = need_program("dpdk-testpmd", "dpdk-dev")
        cpu = min(os.sched_getaffinity(0))
        argv = ["stdbuf", "-oL", program, "--lcores", f"0@{cpu},1@{cpu}", "--no-pci", "--no-huge", "--no-shconf"]
        argv += ["-m", "128", "--file-prefix", f"{os.path.basename(bench.directory)}-{len(bench.processes)}"]
        for i, socket in enumerate(sockets):
            argv += ["--vdev", f"net_vhost{i},iface={socket},queues=1"]
        argv += ["--", f"--forward-mode={mode}", "--auto-start", "--total-num-mbufs=8192", "--stats-period", "1000"]
        self.process = bench.start(f"testpmd-{mode}-{len(bench.processes)}", [*argv, *options])
        self.process.wait_for(r"packet forwarding - ports=")

    def end(self):
        self.process.kill()


def has_avx512():
    with open("/proc/cpuinfo") as file:
        return " avx512f " in file.read()


def free_huge_pages():
    with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") as file:
        return int(file.read())
