"""Build the documentation site with Sphinx, offline: the pages of docs/, of the commands and of the library.

    python -m gcpt.dev.docs_site FOLDER

The site is FOLDER/html. Each fault (a broken link, an undocumented option or command) prints one line. Exit status:
0 the site was replaced, 1 there are faults, and the old site stays.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gcpt.checkout import ROOT
from gcpt.dev import docs_commands
from gcpt.restorer import options

#: Pages outside docs/, and their names on the site.
_OUTSIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "third_party/README.md": "parts.md"}
_OPTIONS_PAGE = "docs/options.md"
_TABLE = re.compile(r"<!-- options -->.*?<!-- /options -->", re.DOTALL)
_LEVEL = re.compile(r"\b(WARNING|ERROR|CRITICAL): ")
_LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s#]+)(#[^()\s]*)?\)")


def pages(root: Path) -> dict[str, str]:
    """Map each page, by its path from ``root``, to its name on the site."""
    return {f"docs/{path.name}": path.name for path in sorted((root / "docs").glob("*.md"))} | _OUTSIDE


def relink(text: str, page: str, names: dict[str, str], root: Path) -> str:
    """Rewrite the links of a page for the site; every line stays where it is.

    A link to another page gets that page's name on the site. A link to any other file of the project becomes the file's
    path, because the site does not have the file. A broken link stays: Sphinx reports it.

    Args:
        text: Markdown.
        page: The page's path from ``root``; its links are relative to it.
        names: The result of ``pages``.
        root: The project's folder.

    Returns:
        Markdown for the site.
    """

    def link(match: re.Match[str]) -> str:
        label, target, fragment = match[1], match[2], match[3] or ""
        if "://" in target:
            return match[0]
        path = os.path.normpath(f"{os.path.dirname(page)}/{target}") if os.path.dirname(page) else target
        if path in names:
            return f"[{label}]({names[path]}{fragment})"
        if (root / path).exists():
            return f"`{path}`" if label.strip("`") == path else f"{label} (`{path}`)"
        return match[0]

    return _LINK.sub(link, text)


def undocumented(text: str) -> list[str]:
    """List the options that ``text``, the page of options, mentions only in its table."""
    prose = _TABLE.sub("", text)
    return [option.name for option in options.TABLE if f"`{option.name}=" not in prose]


def faults(root: Path) -> Iterator[str]:
    """Yield a line for each undocumented option or command."""
    for name in undocumented((root / _OPTIONS_PAGE).read_text()):
        yield f"{_OPTIONS_PAGE}: {name}= is undocumented: describe `{name}=` outside the table"
    yield from docs_commands.faults()


def stage(root: Path, folder: Path) -> None:
    """Replace ``folder`` with Sphinx's sources."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "commands").mkdir(parents=True)
    names = pages(root)
    for page, name in names.items():
        (folder / name).write_text(relink((root / page).read_text(), page, names, root))
    for name, text in docs_commands.pages().items():
        (folder / "commands" / name).write_text(text)


def run_sphinx(root: Path, source: Path, out: Path) -> list[str]:
    """Build the site.

    Args:
        root: The project's folder.
        source: Sphinx's sources, from ``stage``.
        out: The folder for the site.

    Returns:
        What Sphinx complains about, one line each, with the project's file names.
    """
    strict = ("-n", "-W", "--keep-going", "-E", "-q", "--no-color")
    folders = ("-c", root / "docs", "-d", out.with_name("doctrees"), source, out)
    command = [sys.executable, "-m", "sphinx", *strict, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode:
        return []
    lines = [line for line in done.stderr.splitlines() if _LEVEL.search(line)]
    return [_placed(line, root, source) for line in lines or [done.stderr.strip() or "Sphinx failed"]]


def _placed(line: str, root: Path, source: Path) -> str:
    """Make the paths in a line of Sphinx relative to the project's folder."""
    originals = {name: page for page, name in pages(root).items()}
    line = _LEVEL.sub("", line, count=1)
    name, colon, rest = line.removeprefix(f"{source}/").partition(":")
    return f"{originals.get(name, name)}{colon}{rest}".replace(f"{root}/", "")


def build(root: Path, folder: Path) -> list[str]:
    """Build the site in ``folder``/html; if there are faults, keep the old site and return them, one line each."""
    source, new, site = folder / "source", folder / "new", folder / "html"
    shutil.rmtree(new, ignore_errors=True)
    stage(root, source)
    lines = [*faults(root), *run_sphinx(root, source, new)]
    if not lines:
        shutil.rmtree(site, ignore_errors=True)
        new.rename(site)
    shutil.rmtree(new, ignore_errors=True)
    return lines


def main(arguments: Sequence[str]) -> int:
    """Build the site and return the exit status."""
    folder = Path(arguments[0]).resolve()
    lines = build(ROOT, folder)
    for line in lines:
        print(f"gcpt: {line}", file=sys.stderr)
    if not lines:
        print(f"{arguments[0]}/html/index.html")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
