"""The pages in a browser: drawn to scale, readable at every width and in both colour schemes, self-contained."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import SCHEMES, WIDTHS, Browser, check_readable, overlaps
from command import SCONS, gcpt

from gcpt.checkpoint import edits, output
from gcpt.checkpoint.places import DUAL_CORE, Checkpoint
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Mode, Recipe

Report = Callable[..., Path]
#: A file name that is markup, for a payload and a checkpoint.
NAME = "<script>document.title = `run`<&script><img src=x onerror=document.title=1>"


@pytest.fixture(scope="session")
def restorer_page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    payload = tmp_path_factory.mktemp("payloads") / f"{NAME}.bin"
    payload.write_bytes(bytes(range(256)) * 300)
    folder = report(
        mode="dual_core", harts="6", stop_cpu="1", gcpt_payload=str(payload), gcpt_payload_position="0x80140000"
    )
    return folder / "report.html"


@pytest.fixture(scope="session")
def checkpoint_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    harts = synthetic.make(Recipe((Mode.VS, Mode.M, Mode.U), harts=3)).harts
    pieces = [(address - DRAM, data) for address, data in synthetic.blocks(Checkpoint(DUAL_CORE, harts))]
    path = folder / f"{NAME}.zst"
    output.write(path, edits.patched((bytes(1 << 20) for _ in range(8)), pieces), "zstd")
    page = folder / "page.html"
    run = gcpt("info", path, "--html", page)
    assert run.returncode == 0, run.stderr
    return page


@pytest.fixture(params=["restorer", "checkpoint"])
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(f"{request.param}_page")
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_readable(browser: Browser, page: Path, width: int, scheme: str) -> None:
    texts = check_readable(browser, page, width, scheme, least=200)
    assert min(one["size"] for one in texts) >= 11
    dark = browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 28)"
    assert dark == (scheme == "dark")


@pytest.mark.parametrize("width", WIDTHS)
def test_to_scale(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    parts = browser.parts()
    assert len({one["map"] for one in parts}) >= 4
    for one in parts:
        assert one["pixels"] >= 400
        assert one["top"] == pytest.approx(one["start"], abs=1e-5), one
        assert one["height"] == pytest.approx(one["size"], abs=1e-5), one
    for lens in browser.run(
        "return [...document.querySelectorAll('.map svg')].filter(one => one.querySelector('.lens')).map(svg => {"
        " const outer = svg.querySelector('.outer'), of = outer.dataset, length = of.end - of.start,"
        " ground = outer.querySelector('.ground').getBBox(), d = svg.querySelector('.lens').getAttribute('d'),"
        " ends = [...d.matchAll(/[ML][\\d.]+ ([\\d.]+)/g)].map(one => (one[1] - ground.y) / ground.height);"
        " return [ends[0], (svg.dataset.start - of.start) / length, ends[2], (svg.dataset.end - of.start) / length]; })"
    ):
        assert lens[0] == pytest.approx(lens[1], abs=1e-5) and lens[2] == pytest.approx(lens[3], abs=1e-5)


def test_loads_and_runs_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.said() == []
    assert [url for url in browser.asked_for() if not url.startswith("data:")] == [page.as_uri()]
    assert browser.run("return document.querySelectorAll('script, img, iframe, object').length") == 0
    assert NAME in browser.run("return document.body.textContent")
    assert browser.run("return document.title").startswith("gcpt: ")


def test_accessible(browser: Browser, page: Path) -> None:
    """Each drawing has a title and a description, each table a caption; scrolling regions can have the focus."""
    browser.open(page)
    bare = "return [...document.querySelectorAll('{}')].filter(one => !({})).length"
    named = (
        "(one.getAttribute('aria-labelledby') || '').split(' ').every(id => document.getElementById(id)?.textContent)"
    )
    assert browser.run(bare.format("svg:not([aria-hidden])", f"one.getAttribute('role') === 'img' && {named}")) == 0
    assert browser.run(bare.format("table", "one.caption && one.caption.textContent.trim()")) == 0
    label = "one.tabIndex === 0 && (one.getAttribute('aria-label') || one.getAttribute('aria-labelledby'))"
    assert browser.run(bare.format(".scroll", label)) == 0
    assert browser.run("return document.querySelectorAll('[id]').length") == browser.run(
        "return new Set([...document.querySelectorAll('[id]')].map(one => one.id)).size"
    )
    links = browser.run("return [...document.querySelectorAll('a')].map(one => one.getAttribute('href'))")
    assert links and all(browser.run(f"return !!document.querySelector('{link}')") for link in links)


def test_print(browser: Browser, page: Path, tmp_path: Path) -> None:
    """A printed page has no navigation and no overlapping texts."""
    browser.open(page)
    paper = browser.driver.print_page()
    assert len(paper) > 20_000
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    size = {"width": 700, "height": 990, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert browser.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    assert overlaps(browser.texts()) == []
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_browser_enforces_the_policy(browser: Browser, checkpoint_page: Path, tmp_path: Path) -> None:
    """The browser blocks a page with an image and a script."""
    page = tmp_path / "page.html"
    text = checkpoint_page.read_text()
    page.write_text(
        text.replace("</main>", "<img src='https://example.org/x'><script>document.title = 1</script></main>")
    )
    browser.open(page)
    assert len([line for line in browser.said() if "Content Security Policy" in line]) == 2
    assert browser.run("return document.title").startswith("gcpt: ")


def test_default_build_does_not_load_reports() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-X", "importtime", *SCONS[1:], "-n"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "gcpt.restorer.config" in loaded
    assert not loaded & {
        "jinja2",
        "elftools",
        "google.protobuf",
        "rich",
        "gcpt.report",
        "gcpt.machines",
        "gcpt.checkpoint.files",
    }
