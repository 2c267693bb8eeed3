#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""check_docs.py DOXYGEN DOXYFILE: makes the target docs. A public member without documentation is an error there. Then each page in
Markdown is compared with its HTML: as many tables, blocks of code and headings, no Markdown left in the text, and no link that is
empty or leads nowhere. Newer Doxygens name and lay out their pages otherwise; with them the first part is all."""
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from page import Page

# Markdown that Doxygen did not read: a link, an emphasis, the row of a table, a backquote, a comment, a name for a heading.
LEFT = re.compile(r"\]\(|\*\*|^\s*\|.*\|\s*$|`|<!--|\{#|[@\\]ref\b", re.MULTILINE)
CODE = ("code", "pre")
COMPARED_VERSIONS = re.compile(r"1\.9\.[1-4]\b")
VOID = ("br", "hr", "img", "input", "link", "meta", "wbr")


class Html(HTMLParser):
    """What a page of Doxygen's has in its contents: text outside code, links, tables, headings, blocks of code."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, str]] = []  # (target, text)
        self.counts = {"tables": 0, "blocks of code": 0, "headings": 0}
        self.text = ""
        self.open: list[tuple[str, str]] = []  # (tag, class)
        self.feed(path.read_text())

    def _is_in(self, *wanted: str) -> bool:
        return any(tag in wanted or cls in wanted for tag, cls in self.open)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        cls = attributes.get("class") or ""
        self.ids |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if self._is_in("contents"):
            self.counts["tables"] += tag == "table" and cls == "markdownTable"
            self.counts["blocks of code"] += (tag == "pre" or cls == "fragment") and not self._is_in("pre", "fragment")
            self.counts["headings"] += bool(re.fullmatch("h[1-6]", tag))
            if tag == "a" and "href" in attributes:
                self.links.append((attributes["href"] or "", ""))
        if tag not in VOID:
            self.open.append((tag, cls))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass
        self.text += "\n" * (tag in ("p", "li", "td", "th"))

    def handle_data(self, data):
        if not self._is_in("contents"):
            return
        if self.links and self._is_in("a"):
            self.links[-1] = (self.links[-1][0], self.links[-1][1] + data)
        if not self._is_in(*CODE, "fragment"):
            self.text += data
        elif self._is_in("td") and r"\|" in data:
            self.text += f"`{data}`"


@cache
def html_of(path: Path) -> Html:
    return Html(path)


def html_path(page: Page, folder: Path) -> Path:
    name = "index" if page.name == "README.md" else "md_" + re.sub(r"\W", "_", page.name.removesuffix(".md"))
    return folder / f"{name}.html"


def check_link(html: Path, target: str, text: str) -> str | None:
    name, _, anchor = unquote(target).partition("#")
    if not text.strip():
        return f"a link without text to {target!r}"
    if re.match(r"\w+:", target):
        return None
    path = html.parent / name if name else html
    if not path.is_file():
        return f"{target}: there is no such page"
    return None if not anchor or anchor in html_of(path).ids else f"{target}: there is no such heading"


def code_blocks(page: Page) -> int:
    """Indented blocks with nothing but empty lines between them are one."""
    joined = 0
    for before, block in zip(page.blocks, page.blocks[1:]):
        between = page.lines[before.line + len(before.lines) - 1 : block.line - 1]
        joined += before.language == block.language == "indented" and not any(between)
    return len(page.blocks) - joined


def check_page(page: Page, html: Path) -> list[str]:
    if not html.is_file():
        return [f"{page.name}: Doxygen made no {html.name}"]
    seen = html_of(html)
    expected = {"tables": len(page.tables()), "blocks of code": code_blocks(page), "headings": len(page.headings) - 1}
    faults = [f"{seen.counts[what]} {what}, expected {count}" for what, count in expected.items() if seen.counts[what] != count]
    faults += [f"Markdown in the text: {line.strip()[:100]!r}" for line in seen.text.splitlines() if LEFT.search(line)]
    faults += [fault for target, text in seen.links if (fault := check_link(html, target, text))]
    return [f"{page.name} as {html.name}: {fault}" for fault in faults]


def setting(doxyfile: Path, name: str) -> str:
    return re.search(rf"^{name} *= *(.*?) *$", doxyfile.read_text(), re.MULTILINE)[1]


def main() -> int:
    doxygen, doxyfile = sys.argv[1], Path(sys.argv[2])
    if subprocess.run([doxygen, doxyfile]).returncode != 0:
        return 1
    version = subprocess.run([doxygen, "--version"], capture_output=True, text=True).stdout.strip()
    if not COMPARED_VERSIONS.match(version):
        print(f"made; the pages are not compared: Doxygen {version}, expected 1.9.1 to 1.9.4")
        return 0
    folder = Path(setting(doxyfile, "OUTPUT_DIRECTORY")) / "html"
    pages = [Page(Path(word)) for word in setting(doxyfile, "INPUT").split() if word.endswith(".md")]
    faults = [fault for page in pages for fault in check_page(page, html_path(page, folder))]
    print("\n".join(faults) if faults else f"{len(pages)} pages are as they were written in Markdown")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
