"""The page of ``gcpt set report`` in a browser: every point, the scores and the failures; readable, self-contained."""

import json
from pathlib import Path

import pytest
from browser import SCHEMES, WIDTHS, Browser, check_readable
from command import gcpt

from gcpt.sets import results
from gcpt.sets.results import Result

#: A workload whose name is markup.
_NAME = "<script>document.title=1<&script><img src=x onerror=document.title=1>"
_WORKLOADS = ("mcf", "456.hmmer", _NAME)
_FIGURES = [{"name": "ipc", "pattern": "IPC = (.*)", "is_rate": True}]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run of 30 points: in each workload one failed in each of two ways, one waits."""
    folder = tmp_path_factory.mktemp("run") / "results"
    rows = []
    for number, workload in enumerate(_WORKLOADS):
        for point in range(10):
            name = f"{number}_{point}"
            rows.append({"workload": workload, "point": str(point), "weight": 0.1, "folder": name})
            cause = {3: "log", 5: "time limit"}.get(point, "")
            state = "failed" if cause else "finished"
            message = f"{workload} stopped" if cause else ""
            figures = {"ipc": 2.0}
            result = Result(workload, str(point), 0.1, state, cause, message, 0, point * 10.0, figures=figures)
            (folder / name).mkdir(parents=True)
            if point != 7:
                results.write(folder / name, result)
    run = {"version": "0.1.0", "set": "/sets/spec06", "command": ["emu", "-i", "{checkpoint}"], "points": rows}
    (folder / "run.json").write_text(json.dumps({**run, "rules": {"figures": _FIGURES}}))
    path = folder.with_suffix(".html")
    made = gcpt("set", "report", folder, "--html", path)
    assert (made.returncode, made.stderr) == (0, "")
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_readable(browser: Browser, page: Path, width: int, scheme: str) -> None:
    check_readable(browser, page, width, scheme, least=200)


def test_content(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.said() == []
    assert [url for url in browser.asked_for() if not url.startswith("data:")] == [page.as_uri()]
    assert browser.run("return document.querySelectorAll('script, img, iframe, object').length") == 0
    assert browser.cells("#count-finished, #count-failed, #count-waiting") == ["21", "6", "3"]
    assert sorted(browser.cells("tr[data-failed] th")) == sorted(
        f"{workload}_{point}" for workload in _WORKLOADS for point in (3, 5)
    )
    assert browser.cells("tr[data-workload=mcf] td.n") == ["7", "10", "0.7000", "1.0000", "380.0"]
    assert browser.cells("tr[data-score=mcf] td") == ["2", "0.7000 of 1.0000"]
    widths = browser.run(
        "return [...document.querySelectorAll('tr[data-workload=mcf] rect:not(.ground)')]"
        ".map(part => [part.getAttribute('class'), Number(part.getAttribute('width'))])"
    )
    assert [(name, pytest.approx(width)) for name, width in widths] == [
        ("s-finished", 70),
        ("s-failed", 20),
        ("s-waiting", 10),
    ]
    assert len(browser.cells("tr[data-point]")) == 30
    assert browser.cells("#slowest tbody td:nth-child(2)")[:4] == ["90.0", "90.0", "90.0", "80.0"]
    assert "waiting" not in browser.cells("#slowest td")
