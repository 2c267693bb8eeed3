#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""doxygen_page.py PAGE: a page in Markdown, as Doxygen 1.9 reads it, on standard output. Headings get the names that GitHub
gives them, made unique by the page's; links to headings use these; a link to what is no page is left out, its text stays."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/checks"))
from page import Page  # noqa: E402

LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def label(path: Path, anchor: str) -> str:
    return re.sub(r"\W", "_", f"{path.relative_to(ROOT)}_{anchor}")


def link(page: Page, text: str, target: str) -> str:
    name, _, anchor = target.partition("#")
    path = (page.path.parent / name).resolve() if name else page.path
    if "://" in target:
        return f"[{text}]({target})"
    if path.suffix != ".md" or not path.is_file():
        return text
    text = text.replace("`", "")  # Doxygen shows them there
    return f"[{text}](@ref {label(path, anchor)})" if anchor else f"[{text}]({path})"


def code(text: str) -> str:
    """In one backquote a quotation mark would end the code; in any the backslash before the bar of a table's cell would stay."""
    return f"<code>{text}</code>" if r"\|" in text else f"``{text}``"


def line_of(page: Page, number: int, line: str) -> str:
    line = LINK.sub(lambda found: link(page, found[1], found[2]), line)
    if line.startswith("##"):
        return f"{line} {{#{label(page.path, page.headings[number])}}}"
    return CODE.sub(lambda found: code(found[1]), line)


def main() -> None:
    page = Page(Path(sys.argv[1]).resolve())
    for number, line in enumerate(page.lines, 1):
        print(line_of(page, number, line) if page.prose[number - 1] else line)


if __name__ == "__main__":
    main()
