"""The page of ``gcpt simpoints --html`` in a browser: every interval where it belongs, every point marked."""

from pathlib import Path

import pytest
from browser import SCHEMES, WIDTHS, Browser, check_readable
from command import gcpt

from gcpt.report import phases_page
from gcpt.report.phases_page import Run

#: A workload whose name is markup.
_NAME = "<script>document.title=1<&script><img src=x onerror=document.title=1>"
#: The phase of each interval; in each, other blocks are executed.
_PHASES = "AAAABBBBBBBBAACCCCCCCCBBBAAAAAAAAAAACCCC"
#: Instructions of an interval.
_INTERVAL = 1000


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run of three phases."""
    folder = tmp_path_factory.mktemp("phases")
    blocks = {"A": ":1:900 :2:100", "B": ":3:1000", "C": ":2:300 :4:700"}
    (folder / "bbv").write_text("".join(f"T{blocks[phase]} \n" for phase in _PHASES))
    path = folder / "page.html"
    run = gcpt("simpoints", folder / "bbv", "-o", folder / _NAME, "--html", path)
    assert (run.returncode, run.stderr) == (0, "")
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_readable(browser: Browser, page: Path, width: int, scheme: str) -> None:
    check_readable(browser, page, width, scheme, least=40)
    # The bars are as wide as the page leaves room for, and each interval is where its time is.
    parts = browser.run(
        "return [...document.querySelectorAll('.lanes svg')].map(svg => {"
        " const ground = svg.querySelector('.ground').getBoundingClientRect();"
        " return [...svg.querySelectorAll('.phase')].map(part => { const box = part.getBoundingClientRect();"
        " return [part.dataset.cluster, box.left - ground.left, box.right - ground.left, ground.width]; }); })"
    )
    for bar in parts:
        assert all(whole > 0.6 * min(width, 1120) for *_, whole in bar)
    shown = [["-"] * len(_PHASES) for _ in parts]
    for bar, cells in zip(parts, shown, strict=True):
        for cluster, left, right, whole in bar:
            first, end = (round(edge / whole * len(_PHASES), 3) for edge in (left, right))
            for interval in range(round(first), round(end)):
                cells[interval] = "ABC"[int(cluster)]
            assert (first, end) == (pytest.approx(round(first), abs=0.1), pytest.approx(round(end), abs=0.1))
    lanes = ["".join(phase if phase == own else "-" for phase in _PHASES) for own in "ABC"]
    assert ["".join(cells) for cells in shown] == [_PHASES, *lanes]


def test_points(browser: Browser, page: Path) -> None:
    """Each point is marked in the bar of all and in that of its cluster; the table has its weight and its start."""
    browser.open(page)
    assert browser.said() == []
    assert [url for url in browser.asked_for() if not url.startswith("data:")] == [page.as_uri()]
    assert browser.run("return document.querySelectorAll('script, img, iframe, object').length") == 0
    assert _NAME in browser.cells("h1")
    assert browser.cells("#intervals, #instructions, #points") == ["40", "40,000", "3"]
    points = [(_PHASES.index(phase), _PHASES.count(phase)) for phase in "ABC"]
    rows = [
        [f"{interval}", f"{_INTERVAL * interval:,}", f"{count}", f"{count / len(_PHASES):.6f}"]
        for interval, count in points
    ]
    assert browser.cells("tr[data-point] td.n") == [cell for row in rows for cell in row]
    assert browser.cells(".lanes .n") == ["weight", *(f"{count / len(_PHASES):.4f}" for _, count in points)]
    marks = browser.run(
        "return [...document.querySelectorAll('.lanes svg')].map(svg => [...svg.querySelectorAll('.mark')]"
        ".map(mark => [Number(mark.dataset.interval), mark.getBBox().x]))"
    )
    expected = [[interval, interval + 0.5] for interval, _ in points]
    assert marks == [expected, *([mark] for mark in expected)]


def test_a_long_run_has_columns_of_several_intervals() -> None:
    divided = phases_page.columns([0, 0, 1, 1, 1, 0, 2, 2, 2, 2, 2, 1, 2], 4)
    assert divided == [[0, 0, 1, 1], [1, 0, 2, 2], [2, 2, 2, 1], [2]]
    assert phases_page.strip(divided) == [Run(0, 1, 0), Run(1, 3, 2)]
    assert phases_page.lane(divided, 0) == [Run(0, 1, 2), Run(1, 1, 1)]
    assert phases_page.lane(divided, 2) == [Run(1, 1, 2), Run(2, 1, 3), Run(3, 1, 4)]
