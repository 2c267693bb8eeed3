# SPDX-License-Identifier: BSD-3-Clause
"""Instructions that pages give are those of tests/bench/counts.txt; the README repeats the figures of docs/figures.md."""
import re
import sys

from page import ROOT, Page

sys.path.append(str(ROOT / "tests/bench"))
import counts  # noqa: E402: it is in that folder

CASES = {
    "dequeue, 64 bytes": "dequeue_64",
    "dequeue, 1518 bytes": "dequeue_1518",
    "enqueue, 64 bytes": "enqueue_64",
    "enqueue, 1518 bytes": "enqueue_1518",
    "a poll of an idle ring": "idle",
}
# Titles of columns in tables of these cases.
LIBRARIES = {"vhostx": "vhostx", "rte_vhost 22.11": "rte_vhost", "this library": "compat"}
# Beginnings of rows in tables that have a column for a size, and the cases of these.
ROWS = {
    "instructions, port without": "copying",
    "instructions, port with": "lending",
    "instructions, two copies": "copies",
    "instructions, one copy": "transfer",
}
SIZES = {"64 KiB": "65549", "TSO, 64 KiB": "tso"}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Rows of the README's table, and those of docs/figures.md that they repeat (which of several alike: the first).
FRONT_ROWS = {
    "time a packet": {"64 bytes": "64 bytes", "1518 bytes": "1518 bytes"},
    "packet rate from guest to guest": "guest to guest: `vhostx-switch --mode io`",
    "packet rate through an unmodified Open vSwitch": "guest to guest through Open vSwitch",
}


Counts = dict[tuple[str, str], counts.Row]


def counts_by_case(heading: list[str], row: list[str]):
    """(library, case, what the cell says) of a table with a row for a case and a column for a library."""
    for title, cell in zip(heading, row):
        if row[0] in CASES and title in LIBRARIES:
            yield LIBRARIES[title], CASES[row[0]], cell


def counts_by_size(heading: list[str], row: list[str]):
    """The same of a table with a column for a size."""
    kind = next((kind for begin, kind in ROWS.items() if row[0].startswith(begin)), None)
    for title, cell in zip(heading[1:], row[1:]):
        if kind and title != "target" and cell:
            yield "vhostx", f"{kind}_{SIZES.get(title, title)}", cell


def check_tables(page: Page, written: Counts) -> list[str]:
    faults = []
    for heading, *rows in page.tables():
        for row in rows:
            for library, case, cell in [*counts_by_case(heading, row), *counts_by_size(heading, row)]:
                if not re.fullmatch(r"[\d,]+", cell):
                    continue  # a table of times
                count = written.get((library, case))
                if not count or abs(float(cell.replace(",", "")) - count.count) > 0.5:
                    right = f"{count.count}" if count else "nothing"
                    faults.append(f"{page.name}: {library} {case}: {cell}, and {right} in tests/bench/counts.txt")
    return faults


def sentences(written: Counts) -> dict[str, list[str]]:
    """By page: what its text says of counts."""

    def count(library: str, *cases: str) -> float:
        return sum(written[library, case].count for case in cases)

    far, near = count("vhostx", "dequeue_64_509_regions"), count("vhostx", "dequeue_64")
    ours, theirs = (round(count(library, "dequeue_64", "enqueue_64"), -1) for library in ("compat", "rte_vhost"))
    through_c = count("vhostx-c", "idle") - count("vhostx", "idle")
    return {
        "docs/figures.md": [
            f"takes {far - near:.0f} instructions of {far:.0f},",
            f"ns, {count('vhostx', 'idle'):.0f} instructions each",
            f"| dequeue, 64 bytes | {count('vhostx', 'dequeue_64_logged'):.0f} instructions |",
            f"| enqueue, 64 bytes | {count('vhostx', 'enqueue_64_logged'):.0f} instructions |",
            f"| enqueue, 1518 bytes | {count('vhostx', 'enqueue_1518_logged'):.0f} instructions |",
            f"{count('vhostx', 'dequeue_64_recorded'):.0f} instructions a packet of 64 bytes from the guest, "
            f"{count('vhostx', 'enqueue_64_recorded'):.0f} to it.",
        ],
        "docs/open-vswitch.md": [f"({ours:.0f} instructions a packet compared with {theirs:.0f}:"],
        "docs/getting-started.md": [f"a burst costs {NUMBERS[round(through_c)]} instructions more"],
    }


def check_sentences(pages: dict[str, Page], written: Counts) -> list[str]:
    return [
        f"{name}: expected `{text}`, as counted in tests/bench/counts.txt"
        for name, texts in sentences(written).items()
        for text in texts
        if text not in " ".join(pages[name].lines)
    ]


def check_ceilings(written: Counts) -> list[str]:
    return [
        f"tests/bench/counts.txt: {library} {case}: a ceiling of {row.ceiling}, expected {counts.ceiling_over(row.count)} at most"
        for (library, case), row in written.items()
        if row.ceiling and row.ceiling > counts.ceiling_over(row.count)
    ]


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
    written = counts.read()
    faults = check_ceilings(written) + check_sentences(pages, written)
    faults += check_front(pages["README.md"], pages["docs/figures.md"])
    return faults + [fault for page in pages.values() for fault in check_tables(page, written)]
