# SPDX-License-Identifier: BSD-3-Clause
"""A Markdown page as the checks of test_readme see it: its prose, its headings, its blocks of code, its tables."""
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^ *```(\w*)\s*$")
MARK = re.compile(r"^<!-- (.*?) -->$")


@dataclass
class Block:
    """Code between fences (with its language, and the comment before it as its mark), or indented by four spaces."""

    line: int
    language: str
    mark: str
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(line + "\n" for line in self.lines)


class Page:
    def __init__(self, path: Path):
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.lines = path.read_text().splitlines()
        self.blocks: list[Block] = []
        self.prose: list[str] = []  # as many as there are lines; empty where there is code
        self._split()

    def _split(self) -> None:
        fenced: Block | None = None
        mark = ""
        for number, line in enumerate(self.lines, 1):
            fence = FENCE.match(line)
            self.prose.append("" if fenced or fence or self._is_indented(number) else line)
            if fenced and fence:
                fenced = None
            elif fenced:
                fenced.lines.append(line)
            elif fence:
                fenced = Block(number, fence[1], mark)
                self.blocks.append(fenced)
            elif self._is_indented(number):
                self._add_indented(number, line)
            mark = self._mark_after(line, mark)

    @staticmethod
    def _mark_after(line: str, mark: str) -> str:
        found = MARK.match(line)
        return found[1] if found else mark if not line else ""

    def _is_indented(self, number: int) -> bool:
        """Of a block that begins behind an empty line; a list's further lines are indented less, or follow text."""
        if not self.lines[number - 1].startswith("    "):
            return False
        return number == 1 or not self.lines[number - 2] or self._is_indented(number - 1)

    def _add_indented(self, number: int, line: str) -> None:
        last = self.blocks[-1] if self.blocks else None
        if not last or last.language != "indented" or last.line + len(last.lines) != number:
            last = Block(number, "indented", "")
            self.blocks.append(last)
        last.lines.append(line[4:])

    @cached_property
    def headings(self) -> dict[int, str]:
        """Line: anchor, as GitHub makes it: lower case, no punctuation, hyphens for spaces; the second one alike ends with -1."""
        anchors: dict[int, str] = {}
        seen: Counter[str] = Counter()
        for number, line in enumerate(self.prose, 1):
            if heading := re.match(r"^#{1,6} +(.*?) *#*$", line):
                slug = slug_of(heading[1])
                anchors[number] = f"{slug}-{seen[slug]}" if seen[slug] else slug
                seen[slug] += 1
        return anchors

    def tables(self) -> list[list[list[str]]]:
        """Each a list of rows, the heading first, each a list of cells."""
        tables: list[list[list[str]]] = [[]]
        for line in self.prose:
            if line.startswith("|"):
                tables[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
            elif tables[-1]:
                tables.append([])
        return [[rows[0], *rows[2:]] for rows in tables if len(rows) > 2]


def slug_of(heading: str) -> str:
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("*", "")
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")


def all_pages() -> list[Page]:
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"]
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
        names = sorted(name for name in listed if name and (ROOT / name).is_file())
        return [Page(ROOT / name) for name in names]
    return [Page(path) for path in sorted(ROOT.rglob("*.md")) if "build" not in path.relative_to(ROOT).parts]
