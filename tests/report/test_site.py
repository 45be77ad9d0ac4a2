"""The site of the documentation: complete, without a network, readable at every width; a fault stops its build."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest
from browser import WIDTHS, Browser
from command import SCONS, UNSHARE
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from gcpt import checkpoint
from gcpt.cli import SUBCOMMANDS
from gcpt.dev import docs_site, mutants

ROOT = Path(__file__).parents[2]
#: Elements that load what an attribute names, wherever they are.
_LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class _Elements(HTMLParser):
    """loaded: what the page loads. links: where it leads. ids: where links can lead."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.ids.add(named.get("id") or "")
        if address := named.get(_LOADED.get(tag, "")):
            self.loaded.append(address)
        if tag == "a" and (address := named.get("href")):
            self.links.append(address)


@pytest.fixture(scope="session")
def elements(site: Path) -> dict[Path, _Elements]:
    return {page: _Elements(page) for page in site.rglob("*.html")}


def _options(command: str) -> set[str]:
    """The long options that ``gcpt COMMAND --help`` lists."""
    said = subprocess.run(
        [sys.executable, "-m", "gcpt", command, "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "site_scons")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", said, re.MULTILINE)) - {"--help"}


def test_everything_has_its_page(site: Path) -> None:
    for page in ROOT.glob("docs/*.md"):
        assert (site / f"{page.stem}.html").is_file()
    listed = 0
    for name in SUBCOMMANDS:
        text = re.sub(r"<[^>]*>", "", (site / f"commands/{name}.html").read_text().partition('id="options"')[2])
        options = _options(name)
        assert not [option for option in options if not re.search(rf"{option}\b", text)], name
        listed += len(options)
    assert listed > 40
    api = (site / "api.html").read_text()
    assert not [name for name in checkpoint.__all__ if f'id="gcpt.checkpoint.{name}"' not in api]


def test_links_lead_to_what_is_there(elements: dict[Path, _Elements]) -> None:
    ids = {page.as_uri(): found.ids for page, found in elements.items()}
    for page, found in elements.items():
        for link in found.links:
            target, fragment = urldefrag(urljoin(page.as_uri(), link))
            if target.startswith("file:"):
                assert target in ids, (page.name, link)
                assert not fragment or fragment in ids[target], (page.name, link)


def test_nothing_is_loaded_from_a_network(site: Path, elements: dict[Path, _Elements]) -> None:
    loaded = {address for found in elements.values() for address in found.loaded}
    for sheet in site.rglob("*.css"):
        loaded |= set(re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')]+)", sheet.read_text()))
    assert any(address.endswith(".js") for address in loaded) and any(".css" in address for address in loaded)
    assert not [address for address in loaded if re.match(r"\w+:|//", address) and not address.startswith("data:")]


def test_read_and_searched_from_a_folder(browser: Browser, site: Path) -> None:
    browser.open(site / "index.html")
    wait = WebDriverWait(browser.driver, 60)
    browser.driver.find_element(By.LINK_TEXT, "CSRs").send_keys("\n")  # Enter: a click needs it in the visible part
    wait.until(expected_conditions.title_contains("CSRs"))
    search = browser.driver.find_element(By.NAME, "q")
    search.send_keys("mtimecmp")
    search.submit()
    wanted = {"Checkpoint formats", "The restore path", "Findings of gcpt validate"}
    wait.until(lambda _: wanted <= set(browser.cells("#search-results li a")), str(wanted))
    assert browser.said() == []
    assert [url for url in browser.asked_for() if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_screen(browser: Browser, site: Path, width: int) -> None:
    """What is wider scrolls in a box of its own."""
    for page in sorted(site.rglob("*.html")):
        browser.open(page, width)
        assert browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth"), page
        boxes = (
            "return [...document.querySelectorAll('article table, article pre, article p, article dt')].filter(one => {"
            " const box = (one.closest('.table-wrapper') ?? one).getBoundingClientRect();"
            " return box.right > innerWidth + .5 || box.left < -.5; }).map(one => one.textContent)"
        )
        assert browser.run(boxes) == [], page


def test_wide_tables_scroll(browser: Browser, site: Path) -> None:
    browser.open(site / "csrs.html", min(WIDTHS))
    box = "document.querySelector('article .table-wrapper')"
    assert browser.run(f"return {box}.scrollWidth > {box}.clientWidth + 100")
    assert browser.run(f"return getComputedStyle({box}).overflowX") in ("auto", "scroll")
    browser.run(f"{box}.scrollLeft = 10000")
    last = browser.run(f"return {box}.querySelector('th:last-child').getBoundingClientRect().right")
    assert last <= min(WIDTHS)


def test_navigation_on_a_narrow_screen(browser: Browser, site: Path) -> None:
    browser.open(site / "index.html", min(WIDTHS))
    wait = WebDriverWait(browser.driver, 60)
    browser.driver.find_element(By.CSS_SELECTOR, "label.nav-overlay-icon").click()
    last = "document.querySelector('.sidebar-tree a[href=\"glossary.html\"]')"
    browser.run(f"{last}.scrollIntoView({{behavior: 'instant'}})")
    seen = (
        f"const box = {last}.getBoundingClientRect();"
        f"return document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2) === {last};"
    )
    wait.until(lambda _: browser.run(seen), "the last page of the navigation cannot be reached")
    browser.driver.find_element(By.CSS_SELECTOR, ".sidebar-tree a[href='glossary.html']").click()
    wait.until(expected_conditions.title_contains("Glossary"))


def test_faults_stop_the_build_with_a_line_each(site: Path, tmp_path: Path) -> None:
    copy = mutants.Copy(ROOT, tmp_path / "copy").folder
    for name, pattern, new in (
        ("docs/index.md", r"\[The glossary\]\(glossary\.md\)", "[words](words.md)"),
        ("docs/downstream.md", r"\(\.\./third_party/README\.md\)", "(../third_party/NOTES.md)"),
        ("docs/adding.md", r"\(library\.md#json\)", "(library.md#jsn)"),
        ("docs/options.md", r"(?<!\| )`ram=", "`rom="),
        ("docs/glossary.md", r"\{term\}`finding`", "{term}`findings`"),
        ("site_scons/gcpt/cli/info.py", r', help="Write everything, with[^"]*"', ""),
        ("site_scons/gcpt/cli/verify.py", r'    """Verify that(.|\n)*?"""\n', ""),
        ("site_scons/gcpt/checkpoint/files.py", r'"""Open a checkpoint', '"""Open a :func:`checkpoint`'),
    ):
        text, times = re.subn(pattern, new, (copy / name).read_text())
        assert times == 1, name
        (copy / name).write_text(text)
    (copy / "docs/lonely.md").write_text("# Lonely\n")
    shutil.copytree(site, copy / "build/docs/html")
    (copy / "build/docs/html/index.html").write_text("the site before")
    command = [sys.executable, "-m", "SCons", "-Q", "docs"]
    run = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stdout + run.stderr
    lines = [re.sub(r":\d+:", ":", line, count=1) for line in run.stderr.splitlines() if line.startswith("gcpt: ")]
    wanted = (
        "gcpt: docs/index.md: 'myst' cross-reference target not found: 'words.md' ",
        "gcpt: docs/downstream.md: 'myst' cross-reference target not found: '../third_party/NOTES.md' ",
        "gcpt: docs/adding.md: local id not found in doc 'library': 'jsn' ",
        "gcpt: docs/options.md: ram= is undocumented: ",
        "gcpt: docs/glossary.md: term not in glossary: 'findings' ",
        "gcpt: gcpt info: --html has no help text: ",
        "gcpt: gcpt verify: no help text: ",
        "gcpt: site_scons/gcpt/checkpoint/__init__.py:docstring of gcpt.checkpoint.files.open_checkpoint: ",
        "gcpt: docs/lonely.md: document isn't included in any toctree ",
    )
    assert [line for line in lines if not line.startswith(wanted)] == []
    assert [start for start in wanted if sum(line.startswith(start) for line in lines) != 1] == []
    assert (copy / "build/docs/html/index.html").read_text() == "the site before"


def test_is_made_without_a_network(tmp_path: Path) -> None:
    alone = [*UNSHARE, "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let its users make a network namespace")
    command = [*alone, sys.executable, "-m", "gcpt.dev.docs_site", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "site_scons")}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    assert (tmp_path / "html/search.html").is_file()


def test_again_is_nothing_to_do_and_clean_takes_all_away(site: Path) -> None:
    scons = [*SCONS, "docs", f"build_dir={site.parents[1]}"]
    run = subprocess.run(scons, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "[DOC]" not in run.stdout
    other = site.parents[2] / "site to be removed"
    shutil.copytree(site.parents[1], other)
    subprocess.run([*scons[:-1], f"build_dir={other}", "-c"], cwd=ROOT, capture_output=True, check=True)
    assert not (other / "docs").exists()


@pytest.mark.parametrize(
    ("link", "site_link"),
    [
        ("[x](library.md#json)", "[x](library.md#json)"),
        ("[x](../third_party/README.md)", "[x](parts.md)"),
        ("[x](../firmware/plan.c)", "x (`firmware/plan.c`)"),
        ("[firmware/plan.c](../firmware/plan.c)", "`firmware/plan.c`"),
        ("[x](../firmware/none.c)", "[x](../firmware/none.c)"),
        ("[x](https://example.org/a.md)", "[x](https://example.org/a.md)"),
        ("[x](#json)", "[x](#json)"),
    ],
)
def test_links_to_files_of_the_project(link: str, site_link: str) -> None:
    assert docs_site.relink(link, "docs/options.md", docs_site.pages(ROOT), ROOT) == site_link
