"""The site of the documentation: pages of docs/, of the commands and of the library, by Sphinx without a network.

    python -m gcpt.dev.docs_site FOLDER

FOLDER/html is the site. It is replaced when all is well; each fault (a link that leads nowhere, an option or a command
that is not explained) gets one line. 0: the site is there; 1: there are faults, and FOLDER/html is as it was.
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

#: Pages outside docs/, and the page's name on the site.
_OUTSIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "third_party/README.md": "parts.md"}
_OPTIONS_PAGE = "docs/options.md"
_TABLE = re.compile(r"<!-- options -->.*?<!-- /options -->", re.DOTALL)
_LEVEL = re.compile(r"\b(WARNING|ERROR|CRITICAL): ")
_LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s#]+)(#[^()\s]*)?\)")


def pages(root: Path) -> dict[str, str]:
    """The site's name of each page that is a file of the project, by its path from ``root``."""
    return {f"docs/{path.name}": path.name for path in sorted((root / "docs").glob("*.md"))} | _OUTSIDE


def moved(text: str, page: str, names: dict[str, str], root: Path) -> str:
    """The text of ``page`` with its links as the site has them, line by line where they were.

    A link to another page leads to that page's name on the site; one to any other file of the project, which the site
    does not have, becomes the file's path. What leads nowhere stays, for Sphinx to find.

    Args:
        text: Markdown.
        page: The page's path from ``root``, from which its links start.
        names: What ``pages`` returns.
        root: The project's folder.
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


def unexplained(text: str) -> list[str]:
    """The options that ``text``, the page of options, does not explain outside its table."""
    prose = _TABLE.sub("", text)
    return [option.name for option in options.TABLE if f"`{option.name}=" not in prose]


def faults(root: Path) -> Iterator[str]:
    """What the pages lack that no link leads to, a line each."""
    for name in unexplained((root / _OPTIONS_PAGE).read_text()):
        yield f"{_OPTIONS_PAGE}: {name}= is not explained: say below its heading what `{name}=` does"
    yield from docs_commands.faults()


def stage(root: Path, folder: Path) -> None:
    """Write what Sphinx reads into ``folder``, which holds nothing else afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "commands").mkdir(parents=True)
    names = pages(root)
    for page, name in names.items():
        (folder / name).write_text(moved((root / page).read_text(), page, names, root))
    for name, text in docs_commands.pages().items():
        (folder / "commands" / name).write_text(text)


def run_sphinx(root: Path, source: Path, out: Path) -> list[str]:
    """Make the site of ``source`` in ``out``; what Sphinx found, in lines that name the project's files."""
    strict = ("-n", "-W", "--keep-going", "-E", "-q", "--no-color")
    folders = ("-c", root / "docs", "-d", out.with_name("doctrees"), source, out)
    command = [sys.executable, "-m", "sphinx", *strict, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode:
        return []
    lines = [line for line in done.stderr.splitlines() if _LEVEL.search(line)]
    return [_placed(line, root, source) for line in lines or [done.stderr.strip() or "Sphinx failed"]]


def _placed(line: str, root: Path, source: Path) -> str:
    """A line of Sphinx's, with paths from the project's folder."""
    originals = {name: page for page, name in pages(root).items()}
    line = _LEVEL.sub("", line, count=1)
    name, colon, rest = line.removeprefix(f"{source}/").partition(":")
    return f"{originals.get(name, name)}{colon}{rest}".replace(f"{root}/", "")


def build(root: Path, folder: Path) -> list[str]:
    """Make the site in ``folder``/html, if nothing is wrong with it; else what is, in lines."""
    source, new, site = folder / "source", folder / "new", folder / "html"
    shutil.rmtree(new, ignore_errors=True)
    stage(root, source)
    found = [*faults(root), *run_sphinx(root, source, new)]
    if not found:
        shutil.rmtree(site, ignore_errors=True)
        new.rename(site)
    shutil.rmtree(new, ignore_errors=True)
    return found


def main(arguments: Sequence[str]) -> int:
    """Build the site; the exit status."""
    folder = Path(arguments[0]).resolve()
    found = build(ROOT, folder)
    for line in found:
        print(f"gcpt: {line}", file=sys.stderr)
    if not found:
        print(f"{arguments[0]}/html/index.html")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
