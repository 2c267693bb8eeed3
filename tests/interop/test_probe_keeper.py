#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe keeper shows the rings of a vhostx-switch's ports: while they run, after a kill, and without front-ends."""

import argparse
import json

from keeper import Keeper
from probe import run_probe
from processes import check, check_equal, run_test, wait_until
from test_kept import Lives

RINGS = 2
VERSION_1 = "VIRTIO_F_VERSION_1"


def check_runs(bundle, socket, lends):
    check_equal((bundle["name"], bundle["record_problem"]), (socket, None), "the bundle and its problem")
    record = bundle["record"]
    check(VERSION_1 in record["features"]["names"], f"the features: {record['features']}")
    check("REPLY_ACK" in str(record["protocol_features"]["names"]), f"protocol features: {record['protocol_features']}")
    check(record["memory"]["regions"] > 0 and record["memory"]["bytes"] > 0, f"the memory: {record['memory']}")
    check_equal(len(record["rings"]), RINGS, "rings")
    for ring in record["rings"]:
        check(ring["enabled"] and ring["started"] and ring["call"] and ring["kick"] == "eventfd", f"a ring: {ring}")
        check(ring["size"] > 0 and ring["base"] == 0, f"a ring: {ring}")
        check((ring["used_index"] is not None) == lends, f"a ring of a port that lends {lends}: {ring}")


def shown(bench, switch_binary, keeper_binary, bench_binary, probe):
    a, b = bench.path("a"), bench.path("b")
    keeper = Keeper(bench, keeper_binary)
    lives = Lives(bench, switch_binary, keeper, [a, b + ",zerocopy=lend"], mode="io")

    def text():
        return run_probe(probe, "keeper", keeper.socket)[0]

    def bundles():
        return json.loads(run_probe(probe, "keeper", keeper.socket, "--json")[0])["bundles"]

    lives.begin()
    wait_until(lambda: text().count("0 of 2 run") == 2, "two ports without front-ends to be shown")
    check_equal([bundle["record"]["features"] for bundle in bundles()], [None, None], "features without a front-end")
    guests = bench.start("guests", [bench_binary, "--connect", a, "--connect", b, "--bidirectional", "--duration", "200"])
    lives.connected()
    lives.wait_moving()

    def run():
        return text().count("2 of 2 run ") == 2

    wait_until(run, "the rings of two ports to run")
    for bundle, socket in zip(bundles(), (a, b)):
        check_runs(bundle, socket, socket == b)
        check_equal(bundle["owner"]["pid"], lives.current.process.pid, "the owner")
    lives.wait_moving()

    lives.current.process.kill()
    wait_until(lambda: all(bundle["owner"] is None for bundle in bundles()), "the ports to have no owner")
    check(run(), f"rings that nobody serves, for the next process: {text()}")
    lives.begin()
    check_equal(lives.connected(), [True, True], "adopted")
    lives.wait_moving()
    guests.kill()
    wait_until(lambda: text().count("0 of 2 run") == 2, "the rings to be gone with their front-ends")
    lives.current.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for program in ("switch", "keeper", "bench", "probe"):
        parser.add_argument(program)
    arguments = parser.parse_args()
    run_test(shown, arguments.switch, arguments.keeper, arguments.bench, arguments.probe)
