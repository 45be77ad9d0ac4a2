"""``gcpt simpoints``: from a profile to the points that gcpt snapshot takes."""

import json
import subprocess
import sys
from pathlib import Path

from command import ENVIRONMENT, gcpt, refusal
from guests import ADDRESS, TWO_PHASES

from gcpt.checkpoint import points
from gcpt.checkpoint.files import load

#: Instructions of an interval, and the intervals of each phase: the first has 204,801 instructions, the other 307,201.
_INTERVAL, _FIRST, _SECOND = 3593, 57, 85


def test_from_software_to_checkpoints(tmp_path: Path) -> None:
    """Two phases: a point in the loop of each, with its share as its weight."""
    (binary := tmp_path / "phases").write_bytes(TWO_PHASES)
    software = ("--load", f"{binary}@{ADDRESS:#x}")
    assert gcpt("profile", "-o", tmp_path / "bbv.gz", *software, "--interval", str(_INTERVAL)).returncode == 0
    folder, index = tmp_path / "cluster/work", tmp_path / "json/work.json"
    run = gcpt("simpoints", tmp_path / "bbv.gz", "-o", folder, "--index", index, "--json")
    assert (run.returncode, run.stderr) == (0, "")
    report = json.loads(run.stdout)
    total = _FIRST + _SECOND
    assert (report["folder"], report["intervals"], len(report["points"])) == (str(folder), total, 2)
    assert [round(total * point["weight"]) for point in report["points"]] == [_FIRST, _SECOND]
    listed = points.simpoints(folder, _INTERVAL)
    assert [(point.number, point.weight) for point in listed] == [
        (point["interval"], float(f"{point['weight']:.10g}")) for point in report["points"]
    ]
    weights = {str(point.number): f"{point.weight:.10g}" for point in listed}
    assert json.loads(index.read_text()) == {"work": {"insts": str(_INTERVAL * total), "points": weights}}
    run = gcpt("snapshot", "-o", tmp_path / "set", *software, "--simpoints", folder, "--interval", str(_INTERVAL))
    assert (run.returncode, run.stderr) == (0, "")
    pcs = [load(point.path(tmp_path / "set", "zstd")).harts[0].pc - ADDRESS for point in listed]
    assert pcs[0] in range(12) and pcs[1] in range(12, 28)


def test_refused(tmp_path: Path) -> None:
    (profile := tmp_path / "weights0").write_text("T:1:5\n")
    assert "there is no interval" in refusal(gcpt("simpoints", __file__, "-o", tmp_path / "out"))
    assert "weights0 is also PROFILE" in refusal(gcpt("simpoints", profile, "-o", tmp_path))
    page = tmp_path / "out/simpoints0"
    message = f"--html {page} is also -o {page}: choose another file"
    assert message in refusal(gcpt("simpoints", profile, "-o", page.parent, "--html", page))
    assert "name a file" in refusal(gcpt("simpoints", profile, "-o", page.parent, "--html", "-"))
    assert "choose another folder" in refusal(gcpt("simpoints", profile, "-o", profile))
    code = f"import sys; sys.modules['sklearn'] = None; from gcpt.cli import main; sys.exit(main({[*_WORDS]!r}))"
    run = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True)
    assert "is not installed: run pip install 'gcpt[simpoint]'" in refusal(run)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["weights0"]


_WORDS = ("simpoints", "weights0", "-o", "out")
