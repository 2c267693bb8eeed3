# SPDX-License-Identifier: BSD-3-Clause
"""Every relative link of a page leads to a file that is there, and its #anchor to a heading of that file."""
import re
from pathlib import Path

from page import Page

LINK = re.compile(r"\]\(([^)\s]+)\)")
OPENS, CLOSES = re.compile(r"\[[^\]\[`]*$"), re.compile(r"^[^\[\]`]*\]\(")


def links_of(page: Page) -> list[tuple[int, str]]:
    """(line, target). What stands in backquotes is code, unless it is the text of a link."""
    return [
        (number, target)
        for number, line in enumerate(page.prose, 1)
        for target in LINK.findall(re.sub(r"`[^`]*`(?!\])", "", line))
        if "://" not in target and not target.startswith("mailto:")
    ]


def check_lines(page: Page) -> list[str]:
    """The pages that Doxygen makes are read line by line (cmake/doxygen_page.py)."""
    return [
        f"{page.name}:{number}: a link over two lines, expected it on one"
        for number, (line, next_line) in enumerate(zip(page.prose, page.prose[1:]), 1)
        if OPENS.search(line) and CLOSES.match(next_line)
    ]


def check_links(page: Page, pages: dict[Path, Page]) -> list[str]:
    faults = check_lines(page)
    for number, target in links_of(page):
        name, _, anchor = target.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        if not path.exists():
            faults.append(f"{page.name}:{number}: {target}: there is no such file")
        elif anchor and (path not in pages or anchor not in pages[path].headings.values()):
            faults.append(f"{page.name}:{number}: {target}: there is no such heading")
    return faults
