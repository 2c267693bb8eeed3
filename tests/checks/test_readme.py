#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The README shows the programs of tools/examples as they are, and every relative link in a Markdown file leads somewhere."""
import difflib
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ["tools/examples/embed.cpp", "tools/examples/embed_c.c"]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def block_after(text: str, mark: str) -> str | None:
    match = re.search(re.escape(mark) + r"\n+```(?:cpp|c)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return match[1] if match else None


def check_example(example: str) -> list[str]:
    # The block is the one behind this line, so that a block that has drifted far away is found all the same.
    mark = f"<!-- {example} -->"
    shown = block_after((ROOT / "README.md").read_text(), mark)
    if shown is None:
        return [f"README.md: no block of code behind the line {mark}"]
    real = (ROOT / example).read_text()
    if shown == real:
        return []
    lines = difflib.unified_diff(real.splitlines(), shown.splitlines(), example, "README.md", lineterm="")
    return ["README.md: the program is not the one that is compiled:", *lines]


def markdown_files() -> list[Path]:
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--", "*.md"]
        names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
        return [ROOT / name for name in names if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*.md") if "build" not in path.relative_to(ROOT).parts]


def check_links(path: Path) -> list[str]:
    faults = []
    in_code = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        if in_code:  # C++ has lambdas that look like links
            continue
        for target in LINK.findall(re.sub(r"`[^`]*`(?!\])", "", line)):
            if "://" not in target and not (path.parent / target).exists():
                faults.append(f"{path.relative_to(ROOT)}:{number}: {target}: there is no such file")
    return faults


def main() -> int:
    faults = [fault for example in EXAMPLES for fault in check_example(example)]
    files = markdown_files()
    for path in files:
        faults.extend(check_links(path))
    print("\n".join(faults) if faults else f"README.md shows {len(EXAMPLES)} programs; the links of {len(files)} files lead somewhere")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
