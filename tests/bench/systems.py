# SPDX-License-Identifier: BSD-3-Clause
"""Whole back-ends for vhostx-bench to load: they run on one CPU, it on the other, all ended with the Bench.

What is started goes before the other programs of the machine: a back-end that has to wait for its CPU measures the scheduler.
"""

import argparse
import json
import os
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "interop"))
from processes import Failure, Skip, die_with_parent, go_first, need_program, run_test, wait_until  # noqa: E402, F401

HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
EAL_MIB = 64
RANGES = ("0", "1")


def cpus():
    """(the back-end's, the guests')."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise Skip(f"back-end and guests need a CPU each; this process may use {len(usable)}")
    return usable[0], usable[-1]


def eal(prefix):
    """EAL options for a main and a worker lcore on the back-end's CPU."""
    cpu = cpus()[0]
    return ["--lcores", f"0@{cpu},1@{cpu}", "--no-pci", "--in-memory", "-m", EAL_MIB, "--file-prefix", prefix]


def need_huge_pages(processes):
    with open(HUGE_PAGES) as file:
        free = int(file.read())
    needed = processes * EAL_MIB // 2 + 8  # and the guests' memory
    if free < needed:
        raise Skip(f"{free} huge pages of 2 MiB are free, {needed} are needed (echo {needed} >/proc/sys/vm/nr_hugepages)")


def wait_sockets(process, paths):
    def there():
        if not process.alive():
            raise Failure(f"{process.name} ended ({process.popen.returncode}) before its sockets were there")
        return all(os.path.exists(path) for path in paths)

    go_first(process.pid)
    wait_until(there, f"the sockets of {process.name}")
    return process


def sockets(bench, name):
    return [bench.path(f"{name}{number}") for number in RANGES]


def start_switch(bench, binary, mode, name="vhostx", port=""):
    """vhostx-switch between two ports, polling; `port` is added to each --port."""
    paths = sockets(bench, name)
    argv = [binary, *eal(f"{os.path.basename(bench.directory)}-{name}"), "--", "--mode", mode, "--busy-poll"]
    for path in paths:
        argv += ["--port", path + port]
    return wait_sockets(bench.start(name, argv), paths), paths


def start_testpmd(bench, name="testpmd", library=None):
    """DPDK's own back-end between two ports: what comes in at one goes out at the other. library: the folder of the
    librte_vhost.so.23 to run on; None: DPDK's."""
    paths = sockets(bench, name)
    argv = [need_program("dpdk-testpmd", "dpdk-dev"), *eal(f"{os.path.basename(bench.directory)}-{name}")]
    for number, path in enumerate(paths):
        argv += ["--vdev", f"net_vhost{number},iface={path},queues=1"]
    argv += ["--", "--forward-mode=io", "--auto-start", "--total-num-mbufs=8192", "--stats-period=3600"]
    environment = {**os.environ, **({"LD_LIBRARY_PATH": library} if library else {})}
    return wait_sockets(bench.start(name, argv, env=environment), paths), paths


def run_compare(program, options, arguments, prefix=()):
    """vhostx-bench compare's report."""
    back_end_cpu, cpu = cpus()
    argv = [*prefix, program, "compare", "--json", "--cpu", cpu, "--limit", "--limit-cpu", back_end_cpu]
    argv += ["--sizes", options.sizes, "--rounds", options.rounds, "--duration", options.seconds, *arguments]
    argv += ["--packed"] if getattr(options, "packed", False) else []
    running = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=die_with_parent, start_new_session=True)  # fmt: skip
    go_first(running.pid)
    output, errors = running.communicate()
    if not output.startswith("{"):
        raise Failure(f"vhostx-bench compare ended with {running.returncode}:\n{output}{errors}")
    return json.loads(output)


def show(title, report):
    a, b = report["back_ends"]
    print(f"\n{title}\n {'bytes':>6} {a['label']:>14} {b['label']:>14}  guests idle      bare ring   ratio (quartiles)      "
          "lost, damaged")  # fmt: skip
    limits = report["limits_packets_per_second"]
    for ours, theirs, limit, ratio in zip(a["sizes"], b["sizes"], limits, report["ratios"]):
        if "not_possible" in ours or "not_possible" in theirs:
            print(f" {ours['frame_bytes']:>6} {ours.get('not_possible') or theirs['not_possible']}")
            continue
        medians = [side["packets_per_second"]["median"] for side in (ours, theirs)]
        rates = " ".join(f"{median / 1e6:9.3f} Mpps" for median in medians)
        idle = ", ".join(f"{side['guests_idle']['median']:4.0%}" for side in (ours, theirs))
        low, high = ratio["quartiles"]
        faults = [sum(side["counts"][what] for side in (ours, theirs)) for what in ("lost", "damaged")]
        print(f" {ours['frame_bytes']:>6} {rates}   {idle} {limit['median'] / 1e6:9.3f} Mpps   {ratio['median']:.2f} "
              f"({low:.2f} to {high:.2f})    {faults[0]}, {faults[1]}", flush=True)  # fmt: skip


def parse_arguments(doc):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("vhostx_bench", help="the program that measures")
    parser.add_argument("--sizes", default="64,1518", help="bytes of a frame, with commas (64,1518)")
    parser.add_argument("--rounds", type=int, default=30, help="for each size and back-end (30)")
    parser.add_argument("--seconds", type=float, default=3, help="for each size and back-end (3)")
    parser.add_argument("--packed", action="store_true", help="the guests have packed rings")
    return parser.parse_args()
