# SPDX-License-Identifier: BSD-3-Clause
"""The soak's verdict: for a person, and as JSON."""

import json
import os

import interop_path  # noqa: F401
from processes import Failure
from samples import BOUNDS, IDLE_BOUNDS


def growth_problems(samples, idle):
    for switch, (before, after) in idle.items():
        for what, (first, last) in samples.growth(switch).items():
            if last - first > BOUNDS[what]:
                yield f"{switch}: {what} grew from {first} to {last} (medians of quarters; {BOUNDS[what]} allowed)"
        for what, bound in IDLE_BOUNDS.items():
            if after[what] - before[what] > bound:
                yield f"{switch}: {what} were {before[what]} before the first guest, {after[what]} after the last"


def table_of_pairs(reports):
    yield f"{'guests':28} {'sent':>9} {'received':>9} {'jumped':>7} {'dropped':>8} {'untaken':>8} {'stale':>6} {'kills':>6}  what happened"
    for report in reports:
        sent, received = report["sent"] + report["killed_sent"], report["received"] + report["killed_expected"]
        counts = ", ".join(f"{what} {count}" for what, count in report["counts"].items())
        yield (f"{report['switch'] + '/' + report['name']:28} {sent:9} {received:9} {report['jumped']:7} {report['dropped']:8} "
               f"{report['untaken']:8} {report['stale']:6} {report['kills']:6}  {counts}")  # fmt: skip


def table_of_growth(run):
    yield f"{'switch':10} {'what':10} {'before guests':>14} {'first quarter':>14} {'last quarter':>14} {'after guests':>14}"
    for switch, (before, after) in run.idle.items():
        growth = run.samples.growth(switch)
        for what in BOUNDS:
            first, last = growth.get(what, ("-", "-"))
            yield f"{switch:10} {what:10} {before[what]:14} {first:>14} {last:>14} {after[what]:14}"


def write(options, run, problems, reports):
    """Prints and keeps the summary; raises Failure when something did not hold."""
    problems = [*problems, *growth_problems(run.samples, run.idle)]
    lines = [*table_of_pairs(reports), "", *table_of_growth(run), ""]
    lines += [f"problem: {problem}" for problem in problems] or ["all held"]
    text = "\n".join(lines)
    print(text, flush=True)
    with open(os.path.join(options.out, "summary.txt"), "w") as file:
        file.write(text + "\n")
    growth = {switch: run.samples.growth(switch) for switch in run.idle}
    whole = {"seconds": options.seconds, "seed": options.seed, "passed": not problems, "problems": problems,
             "pairs": reports, "idle": run.idle, "growth": growth}  # fmt: skip
    with open(os.path.join(options.out, "summary.json"), "w") as file:
        json.dump(whole, file, indent=1)
    if problems:
        raise Failure(f"{len(problems)} problems")
