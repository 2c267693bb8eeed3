# SPDX-License-Identifier: BSD-3-Clause
"""What a switch has of the machine, once a second, and whether that stays flat."""

import csv
import os
import re
import statistics
import subprocess
import time

# What the median of the last quarter may exceed that of the first by. Guests come and go, so that the numbers move by a
# few connections' worth; a leak of one a connection, or a packet, is far above it after minutes.
BOUNDS = {"anon_kib": 2048, "fds": 24, "mappings": 48, "threads": 0, "mbufs": 256}
# What it may have more of with all guests gone than before the first one came.
# Threads: the two that release what guests brought start with the first guest.
IDLE_BOUNDS = {"fds": 0, "mappings": 24, "threads": 2, "mbufs": 0}
COLUMNS = ["seconds", "switch", "rss_kib", "anon_kib", "fds", "mappings", "threads", "mbufs", "cpu_s", "packets"]
WARM_UP = 0.1  # of the samples
SAMPLES_MIN = 8


def sample(switch, began):
    """One row; `switch` has a pid, and the last statistics that it printed."""
    with open(f"/proc/{switch.pid}/status") as file:
        status = dict(re.findall(r"^(\w+):\s+(\d+)", file.read(), re.MULTILINE))
    with open(f"/proc/{switch.pid}/maps") as file:
        mappings = sum(1 for _ in file)
    with open(f"/proc/{switch.pid}/stat") as file:
        ticks = file.read().rsplit(")", 1)[1].split()[11:13]
    return {
        "seconds": round(time.monotonic() - began, 2),
        "switch": switch.plan.name,
        "rss_kib": int(status["VmRSS"]),
        "anon_kib": int(status["RssAnon"]),
        "fds": switch.open_fds(),
        "mappings": mappings,
        "threads": int(status["Threads"]),
        "mbufs": switch.last_stats["process"]["mbufs_in_use"],
        "cpu_s": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        "packets": sum(port["from_guest"]["packets"] for port in switch.last_stats["ports"]),
    }


class Samples:
    def __init__(self, path):
        self.path, self.rows = path, []
        self.file = open(path, "w", newline="")
        self.writer = csv.DictWriter(self.file, COLUMNS)
        self.writer.writeheader()

    def add(self, row):
        self.rows.append(row)
        self.writer.writerow(row)
        self.file.flush()

    def growth(self, switch):
        """{what: (first quarter, last quarter)}: medians of one switch's samples; empty if there are too few."""
        rows = [row for row in self.rows if row["switch"] == switch]
        rows = rows[int(len(rows) * WARM_UP) :]
        if len(rows) < SAMPLES_MIN:
            return {}
        quarter = len(rows) // 4
        return {
            what: tuple(statistics.median(row[what] for row in part) for part in (rows[:quarter], rows[-quarter:]))
            for what in BOUNDS
        }

    def plot(self, script, picture):
        """By gnuplot; False where it is not installed."""
        self.file.flush()
        try:
            subprocess.run(["gnuplot", "-c", script, self.path, picture], check=True, timeout=120)
        except FileNotFoundError:
            return False
        return True
