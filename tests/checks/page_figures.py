# SPDX-License-Identifier: BSD-3-Clause
"""Figures that several pages give are the same on all: those of docs/figures.md, none over its ceiling."""
import re

from page import ROOT, Page

CASES = {
    "dequeue, 64 bytes": "dequeue_64",
    "dequeue, 1518 bytes": "dequeue_1518",
    "enqueue, 64 bytes": "enqueue_64",
    "enqueue, 1518 bytes": "enqueue_1518",
    "a poll of an idle ring": "idle",
}
LIBRARIES = ("vhostx", "rte_vhost 22.11")
# Rows of the README's table, and those of docs/figures.md that they repeat (which of several alike: the first).
FRONT_ROWS = {
    "time a packet": {"64 bytes": "64 bytes", "1518 bytes": "1518 bytes"},
    "packet rate from guest to guest": "guest to guest: `vhostx-switch --mode io`",
    "packet rate through an unmodified Open vSwitch": "guest to guest through Open vSwitch",
}


def counts_of(page: Page) -> dict[tuple[str, str], float]:
    """(case, library): instructions a packet, of tables that have a column for a library."""
    counts = {}
    for heading, *rows in page.tables():
        for column in (i for i, title in enumerate(heading) if title in LIBRARIES):
            for row in rows:
                if row[0] in CASES and re.fullmatch(r"\d+", row[column]):
                    counts[row[0], heading[column]] = float(row[column])
    return counts


def ceilings() -> dict[str, float]:
    lines = (ROOT / "tests/bench/ceilings.txt").read_text().splitlines()
    words = [line.partition("#")[0].split() for line in lines]
    return {pair[0]: float(pair[1]) for pair in words if pair}


def check_ceilings(counts: dict[tuple[str, str], float]) -> list[str]:
    limit = ceilings()
    return [
        f"docs/figures.md: {case}: {count:.0f} is over the ceiling of {limit[CASES[case]]}"
        for (case, library), count in counts.items()
        if library == "vhostx" and count > limit[CASES[case]]
    ]


def check_counts(page: Page, counts: dict[tuple[str, str], float]) -> list[str]:
    """Those of its tables, and "of N instructions" in its text."""
    faults = [
        f"{page.name}: {case}, {library}: {count:.0f}, and {counts[case, library]:.0f} in docs/figures.md"
        for (case, library), count in counts_of(page).items()
        if counts.get((case, library)) != count
    ]
    for number, line in enumerate(page.prose, 1):
        for count in re.findall(r"\bof (\d+) instructions\b", line):
            if float(count) not in counts.values():
                faults.append(f"{page.name}:{number}: {count} instructions: docs/figures.md has no such count")
    return faults


def row_of(page: Page, begin: str) -> list[str]:
    rows = (row for table in page.tables() for row in table[1:] if row[0].startswith(begin))
    return next(rows, [])


def front_figures(readme: Page, figures: Page, title: str) -> list[tuple[str, str]]:
    """(what the README says, what it should say), for 64 and for 1518 bytes."""
    row = row_of(readme, title)
    source = FRONT_ROWS[title]
    if isinstance(source, dict):
        right = [", ".join(row_of(figures, name)[1:3]) for name in source.values()]
    else:
        right = [cell + " times" for cell in row_of(figures, source)[1:3]]
    return list(zip(row[1:3], right))


def check_front(readme: Page, figures: Page) -> list[str]:
    faults = []
    for title in FRONT_ROWS:
        pairs = front_figures(readme, figures, title)
        faults += [f"README.md: no row `{title}`, or none of its source in docs/figures.md"] * (len(pairs) != 2)
        faults += [f"README.md: {title}: {said}, and {right} in docs/figures.md" for said, right in pairs if said != right]
    return faults


def check_figures(pages: dict[str, Page]) -> list[str]:
    figures = pages["docs/figures.md"]
    counts = counts_of(figures)
    faults = [f"docs/figures.md: no count for {case}" for case in CASES if (case, "vhostx") not in counts]
    faults += check_ceilings(counts) + check_front(pages["README.md"], figures)
    return faults + [fault for page in pages.values() for fault in check_counts(page, counts)]
