#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What libvhostx.so exports is what exported-symbols.txt lists: the public interface, and nothing else.

Each function that a header for C declares is among it, and no other vhostx_ name. The soname is the one that
the build asks for. --update writes the list anew: what goes from it, or changes, breaks programs that use it (docs/packages-and-versions.md).
"""
import argparse
import difflib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("exported-symbols.txt")
DECLARED = re.compile(r"^(?!static)[a-z][\w *]*?\b(vhostx_\w+)\(", re.MULTILINE)


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def exported(library: str) -> list[str]:
    """Names without addresses, functions of C first; constructors have two symbols of one name."""
    lines = run("nm", "-D", "--defined-only", "-C", library).splitlines()
    return sorted({line.split(" ", 2)[2] for line in lines}, key=lambda name: ("::" in name, name))


def declared() -> set[str]:
    names = set()
    for header in sorted((ROOT / "include/vhostx/c").glob("*.h")):
        code = re.sub(r"//.*", "", header.read_text())
        names.update(DECLARED.findall(code))
    return names


def check_list(names: list[str]) -> list[str]:
    listed = LIST.read_text().splitlines()
    return list(difflib.unified_diff(listed, names, LIST.name, "libvhostx.so", lineterm="", n=0))


def check_headers(names: list[str]) -> list[str]:
    of_c = {name for name in names if "::" not in name}
    faults = [f"{name}: declared, and not exported" for name in sorted(declared() - of_c)]
    return faults + [f"{name}: exported, and in no header" for name in sorted(of_c - declared())]


def check_soname(library: str, wanted: str) -> list[str]:
    found = re.search(r"\(SONAME\).*\[(.*)\]", run("readelf", "-d", library))
    return [] if found and found[1] == wanted else [f"soname {found and found[1]}, expected {wanted}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", metavar="LIBVHOSTX_SO")
    parser.add_argument("soname", metavar="SONAME", help="what the loader knows it by, e.g. libvhostx.so.2")
    parser.add_argument("--update", action="store_true", help=f"write {LIST.name}")
    arguments = parser.parse_args()
    if not shutil.which("nm") or not shutil.which("readelf"):
        print("skipped: binutils are not installed")
        return 77
    names = exported(arguments.library)
    if arguments.update:
        LIST.write_text("\n".join(names) + "\n")
    faults = check_list(names) + check_headers(names) + check_soname(arguments.library, arguments.soname)
    print("\n".join(faults) if faults else f"{len(names)} names are exported, as {LIST.name} lists them")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
