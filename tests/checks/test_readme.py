#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The pages in Markdown: links and anchors lead somewhere, programs and excerpts are those of tools/examples, command lines name
what is there, figures agree, and README.md stays a front page."""
import sys

from page import all_pages
from page_commands import check_commands
from page_figures import check_figures
from page_links import check_links
from page_programs import check_programs

README_LINES_MAX = 219
CODE_COLUMNS_MAX = 128  # what a window of 1200 pixels shows without scrolling


def check_length(readme) -> list[str]:
    lines = len(readme.lines)
    return [] if lines <= README_LINES_MAX else [f"README.md: {lines} lines, expected {README_LINES_MAX} at most"]


def check_width(page) -> list[str]:
    """Of code; text flows."""
    faults = []
    for block in page.blocks:
        for number, line in enumerate(block.lines, block.line + (block.language != "indented")):
            if len(line) > CODE_COLUMNS_MAX:
                faults.append(f"{page.name}:{number}: {len(line)} columns of code, expected {CODE_COLUMNS_MAX} at most")
    return faults


def main() -> int:
    pages = all_pages()
    by_path = {page.path: page for page in pages}
    by_name = {page.name: page for page in pages}
    faults = check_length(by_name["README.md"]) + check_programs(pages) + check_figures(by_name)
    for page in pages:
        faults += check_links(page, by_path) + check_commands(page) + check_width(page)
    print("\n".join(faults) if faults else f"{len(pages)} pages: links, programs, commands and figures hold")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
