#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""clang-format, the licence line of each source file, and no paths of one machine in tracked files."""
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".hpp", ".cpp", ".h", ".c"}
FORMATTER_VERSION = "14."  # Debian 12's: others lay some lines out in another way


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def main() -> int:
    if not (ROOT / ".git").exists():
        print("skipped: not a git checkout")
        return 77
    sources = [path for path in tracked() if path.suffix in SUFFIXES]
    faults = []
    for path in sources:
        if "SPDX-License-Identifier: BSD-3-Clause" not in path.read_text().split("\n", 1)[0]:
            faults.append(f"{path.relative_to(ROOT)}:1: the licence line is missing")
    formatter = shutil.which("clang-format")
    version = subprocess.run([formatter, "--version"], capture_output=True, text=True).stdout if formatter else ""
    if f"version {FORMATTER_VERSION}" in version:
        run = subprocess.run([formatter, "--dry-run", "-Werror", *map(str, sources)], capture_output=True, text=True)
        if run.returncode != 0:
            faults.extend(line for line in run.stderr.splitlines() if "warning:" in line or "error:" in line)
    if faults:
        print("\n".join(faults))
        return 1
    if f"version {FORMATTER_VERSION}" not in version:
        print(f"skipped: the layout is clang-format {FORMATTER_VERSION}x's, and here is {version.strip() or 'none'}")
        return 77
    print(f"{len(sources)} files are laid out as .clang-format says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
