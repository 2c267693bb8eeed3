# SPDX-License-Identifier: BSD-3-Clause
"""counts.txt: what was counted, and the ceilings over it."""
from pathlib import Path
from typing import NamedTuple, Optional

COUNTS = Path(__file__).resolve().parent / "counts.txt"
OVER = 1.01  # a ceiling, times its count


class Row(NamedTuple):
    count: float
    ceiling: Optional[float]


def row_of(line: str) -> Optional[tuple]:
    """(library, case, Row); the rest of a line after # is a comment."""
    words = line.partition("#")[0].split()
    return (words[0], words[1], Row(float(words[2]), float(words[3]) if len(words) > 3 else None)) if words else None


def read(path=COUNTS) -> dict:
    """{(library, case): Row}"""
    rows = (row_of(line) for line in Path(path).read_text().splitlines())
    return {(row[0], row[1]): row[2] for row in rows if row}


def ceiling_over(count: float) -> float:
    return round(count * OVER, 1)


def update(path, library: str, counts: dict) -> None:
    """Writes the counts. A ceiling goes down with its count, never up."""
    lines = Path(path).read_text().splitlines()
    for number, line in enumerate(lines):
        row = row_of(line)
        if row and row[0] == library and row[1] in counts:
            count, ceiling = counts[row[1]], row[2].ceiling
            text = f"{library:10} {row[1]:23} {count:7.1f}"
            lines[number] = text if ceiling is None else f"{text} {min(ceiling, ceiling_over(count)):8.1f}"
    Path(path).write_text("\n".join(lines) + "\n")
