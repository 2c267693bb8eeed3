#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""check_model.py MODEL.pml: has Spin try every interleaving of a model.

The model must hold, also with each variant that its head names behind `holds:`. And each fault that it names behind
`broken:` must be found when it is put in: a model that holds whatever is done to it says nothing. A fault of a variant is
written VARIANT+FAULT.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
DEPTH = "1000000"  # a search that ends at its depth is reported as an error
STATE = 4096  # bytes of one state, at most


def explore(model: Path, changes: str, folder: Path, optimised: str = "-O1") -> tuple[int, int, str]:
    """Errors, states, and Spin's report, with `changes` (a variant, a fault, both) made."""
    define = [f"-D{change}" for change in changes.split("+") if change]
    subprocess.run(["spin", *define, "-a", str(model)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["gcc", optimised, "-w", "-DSAFETY", f"-DVECTORSZ={STATE}", "-o", "pan", "pan.c"], cwd=folder, check=True)
    report = subprocess.run(["./pan", f"-m{DEPTH}"], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
    errors = re.search(r"errors: (\d+)", report)
    states = re.search(r"(\d+) states, stored", report)
    if not errors or not states:
        raise SystemExit(f"{model.name}: a report without figures:\n{report}")
    # A model that does not fit (Spin's limits, WRITES of weak_memory.pml) says nothing of a fault.
    if "pan: error" in report or "assertion violated (memory[" in report:
        raise SystemExit(f"{model.name} with {changes or 'no change'} is too large:\n{report}")
    return int(errors.group(1)), int(states.group(1)), report


def named(model: Path, kind: str) -> list[str]:
    return " ".join(re.findall(rf"^ \* {kind}: (.*)", model.read_text(), re.M)).split()


def check_holds(model: Path, variant: str, folder: Path) -> list[str]:
    complaints = []
    name = f"{model.name} with {variant}" if variant else model.name
    errors, states, report = explore(model, variant, folder)
    print(f"{name}: {states} states, {errors} errors")
    if errors or "max search depth too small" in report:
        complaints.append(f"{name} does not hold:\n{report}")
    if left := [name for name, count in re.findall(r"unreached in proctype (\w+)\n.*?\((\d+) of", report, re.S) if int(count)]:
        complaints.append(f"{name}: part of it is never reached, in {', '.join(left)}:\n{report}")
    return complaints


def check(model: Path, folder: Path) -> list[str]:
    complaints = []
    for variant in ["", *named(model, "holds")]:
        complaints += check_holds(model, variant, folder)
    for fault in named(model, "broken"):
        errors, states, _ = explore(model, fault, folder, "-O0")  # found sooner than a compiler optimises
        print(f"{model.name} with {fault}: {'found' if errors else 'NOT FOUND'} after {states} states")
        if not errors:
            complaints.append(f"{model.name} holds with {fault}, which it must not")
    return complaints


def main() -> int:
    if shutil.which("spin") is None:
        print("skipped: the package spin is not installed")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        complaints = check(Path(sys.argv[1]).resolve(), Path(folder))
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
