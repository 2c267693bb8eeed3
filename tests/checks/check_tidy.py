#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""clang-tidy, as .clang-tidy says, over the library's sources.

  tests/checks/check_tidy.py [BUILD]    default: build/asan

BUILD is a build by clang in which several sources are compiled as one: the headers are then read 14 times and not 150 times. The
static analyzer sees nothing in such sources. To have it for one file: clang-tidy -p BUILD FILE, with a build by clang of
separate sources.
"""
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_layers import LAYERS

ROOT = Path(__file__).resolve().parents[2]
TIDY_VERSION = "14."  # Debian 12's: each finds something else
SKIPPED = 77


def version_of(program: str) -> str:
    """Empty where there is none."""
    try:
        words = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()
        return words[words.index("version") + 1]
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return ""


def sources(build: Path) -> list[str]:
    """Of the layers, as CMake joined them."""
    files = [Path(entry["file"]) for entry in json.loads((build / "compile_commands.json").read_text())]
    return [str(file) for file in files if file.is_relative_to(build) and file.relative_to(build).parts[0] in LAYERS]


def tidy(program: str, build: Path, source: str) -> str:
    """What it finds. What it says of system headers goes to its stderr."""
    run = subprocess.run([program, "-p", str(build), "--quiet", "--checks=-clang-analyzer-*", source], capture_output=True, text=True)
    return run.stdout if run.returncode == 0 or run.stdout.strip() else f"{source}: {run.stderr}"


def main() -> int:
    build = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/asan").resolve()
    programs = {program: version_of(program) for program in ("clang-tidy-14", "clang-tidy")}
    program = next((program for program, version in programs.items() if version.startswith(TIDY_VERSION)), None)
    if program is None:
        print(f"skipped: expected clang-tidy {TIDY_VERSION}x, and here is {programs['clang-tidy'] or 'none'}")
        return SKIPPED
    joined = sources(build)
    if not joined:
        print(f"{build}: no sources of the layers that are compiled as one, expected a build with CMAKE_UNITY_BUILD")
        return 1
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        found = [text for text in pool.map(lambda source: tidy(program, build, source), joined) if text.strip()]
    print("\n".join(found) if found else f"{len(joined)} sources: clang-tidy finds nothing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
