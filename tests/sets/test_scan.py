"""``gcpt set scan``: every layout, and every fault by its code."""

import json
import os
from pathlib import Path

import pytest
import synthetic_set as synthetic
from command import gcpt, here, refusal

from gcpt.sets import indexes, tree
from gcpt.sets.load import load, scan_set
from gcpt.sets.scan import Scan

CASES = [
    (layout, fault)
    for layout in synthetic.LAYOUTS
    for fault in synthetic.FAULTS
    if (layout, fault) not in synthetic.IMPOSSIBLE
]


def codes(scan: Scan) -> set[str]:
    return {found.code for found in scan.whole.findings}


@pytest.mark.parametrize("layout", synthetic.LAYOUTS)
def test_a_set_without_faults(tmp_path: Path, layout: str) -> None:
    made = synthetic.make(tmp_path / "set", layout, 60)
    scan = scan_set(made.root)
    assert scan.whole.findings == ()
    assert {point.key: point.path for point in scan.whole.points} == made.images
    assert {point.key: point.weight for point in scan.whole.points} == made.weights
    sources = {point.weight_source for point in scan.whole.points}
    assert sources == {f"json:{made.json.relative_to(made.root)}"}
    assert all((point.flash is not None) == (layout == "flash") for point in scan.whole.points)


@pytest.mark.parametrize(("layout", "fault"), CASES)
def test_a_planted_fault_is_found_by_its_code(tmp_path: Path, layout: str, fault: str) -> None:
    """And nothing else is found but what the fault causes."""
    made = synthetic.make(tmp_path / "set", layout)
    key = synthetic.plant(made, fault)
    findings = scan_set(made.root).whole.findings
    code = synthetic.FAULTS[fault].code
    assert {found.code for found in findings} - synthetic.consequences(made, fault) == {code}
    assert key == ("", "") or key in {found.key for found in findings if found.code == code}


@pytest.mark.parametrize("layout", synthetic.LAYOUTS)
def test_a_thousand_points(tmp_path: Path, layout: str) -> None:
    """No finding without a fault; then all faults at once that do not hide each other, each at other points."""
    made = synthetic.make(tmp_path / "set", layout, 1000)
    scan = scan_set(made.root)
    assert scan.whole.findings == ()
    assert {point.key for point in scan.present} == set(made.images)
    faults = [fault for one, fault in CASES if one == layout and not synthetic.FAULTS[fault].whole]
    planted = {}
    for fault in faults:
        used = {synthetic.key_of(made), synthetic.key_of(made, 1), ("bmk_31", ""), ("", "")}
        key = synthetic.plant(made, fault)
        planted[fault] = (key, used | {key, (key[0], "9" + key[1])})
    findings = scan_set(made.root).whole.findings
    for fault, (key, _) in planted.items():
        code = synthetic.FAULTS[fault].code
        assert key == ("", "") or (code, key) in {(found.code, found.key) for found in findings}, fault
    causes = {synthetic.FAULTS[fault].code for fault in faults}.union(
        *(synthetic.consequences(made, fault) for fault in faults)
    )
    assert {found.code for found in findings} == causes
    concerned = set().union(*(keys for _, keys in planted.values()))
    assert {found.key for found in findings} <= concerned


@pytest.mark.parametrize("layout", synthetic.LAYOUTS)
def test_prefixes_join_no_other_workload(tmp_path: Path, layout: str) -> None:
    """Without bmk_31, its points are missing: bmk_3 and bmk_314 keep theirs."""
    made = synthetic.make(tmp_path / "set", layout)
    for key, path in made.images.items():
        if key[0] == "bmk_31":
            for file in path.parent.iterdir():
                file.unlink()
    scan = scan_set(made.root)
    wanted = {key for key in made.images if key[0] == "bmk_31"}
    assert {found.key for found in scan.whole.findings if found.code == "missing"} == wanted
    assert {point.key for point in scan.present} == set(made.images) - wanted


def test_spellings_of_a_workload_are_named(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set", "qemu")
    synthetic.change_json(made, lambda content: content.update({"456.bmk_3": content.pop("bmk_3")}))
    missing = [found for found in scan_set(made.root).whole.findings if found.code == "missing"]
    assert missing and all("spells the workload 'bmk_3'" in found.what for found in missing)


def test_points_in_the_set_s_folder_itself(tmp_path: Path) -> None:
    folder = tmp_path / "linpack" / "2000"
    folder.mkdir(parents=True)
    (folder / "_2000_.gz").write_bytes(b"memory")
    assert [point.name for point in load(tmp_path / "linpack").points] == ["linpack_2000"]


def test_weights_come_from_the_most_exact_source(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set")
    for path in made.json.parent.iterdir():
        path.unlink()
    by_cluster = scan_set(made.root).whole
    assert {point.key: point.weight for point in by_cluster.points} == made.weights
    assert {point.weight_source for point in by_cluster.points if point.workload == "mcf"} == {
        "weights0:cluster/mcf/weights0"
    }
    for workload in synthetic.WORKLOADS:
        made.clusters(workload).rename(tmp_path / workload)
    by_name = scan_set(made.root).whole
    assert {point.weight_source for point in by_name.points} == {"name"}
    assert all(point.weight == round(made.weights[point.key], 6) for point in by_name.points)


def test_clusters_are_joined_by_their_number(tmp_path: Path) -> None:
    """Whatever the order of the lines: a finding, and the right weights all the same."""
    made = synthetic.make(tmp_path / "set", "qemu")
    made.json.unlink()
    synthetic.plant(made, "weights0 in another order")
    assert {point.key: point.weight for point in scan_set(made.root).whole.points} == made.weights


def test_light_points_may_be_left_out(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set")
    folder = made.clusters("mcf")
    for name, value in (("simpoints0", "77"), ("weights0", "1e-4")):
        synthetic.change_lines(folder / name, lambda lines, value=value: [*lines, f"{value} 99"])
    scan = scan_set(made.root)
    assert scan.light == (("mcf", "77"),)
    assert scan.whole.findings == ()
    synthetic.change_lines(folder / "weights0", lambda lines: [*lines[:-1], "1.1e-4 99"])
    assert {"missing", "contradiction"} <= codes(scan_set(made.root))


def test_forms_of_json(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set", "qemu")
    flat: dict[str, dict[str, float]] = {}
    for (workload, point), weight in made.weights.items():
        flat.setdefault(workload, {})[point] = weight
    (made.root / "simpoint_summary.json").write_text(json.dumps(flat))
    times = {workload: dict.fromkeys(points, 10939) for workload, points in flat.items()}
    (made.root / "seconds.json").write_text(json.dumps(times))
    (made.root / "package.json").write_text('{"name": "other", "version": {"major": 1}}')
    scan = scan_set(made.root)
    assert scan.whole.findings == ()
    assert {point.seconds for point in scan.whole.points} == {10939}
    flat["mcf"][next(iter(flat["mcf"]))] /= 2
    (made.root / "simpoint_summary.json").write_text(json.dumps(flat))
    assert codes(scan_set(made.root)) == {"contradiction"}


def test_repeated_names_in_json(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set", "qemu")
    text = made.json.read_text()
    workload, point = key = synthetic.key_of(made)
    made.json.write_text(text.replace(f'"{point}":', f'"{point}": "0.5", "{point}":'))
    assert [(found.code, found.key) for found in scan_set(made.root).whole.findings] == [("duplicate", key)]
    made.json.write_text(text[:-1] + f', "{workload}": {{"points": {{"1": 0.5}}}}}}')
    assert ("duplicate", (workload, "")) in {(found.code, found.key) for found in scan_set(made.root).whole.findings}


@pytest.mark.parametrize("text", ["", "# name path\n", "a\0b c\n../../etc/passwd /etc/passwd 1\n"])
def test_a_list_without_points_is_one_contradiction(tmp_path: Path, text: str) -> None:
    """Not one for each point that it does not name."""
    made = synthetic.make(tmp_path / "set", points=24)
    path = made.lst.with_name("other.lst")
    path.write_text(text)
    found = [one for one in scan_set(made.root).whole.findings if one.code != "bad-index"]
    where = str(path.relative_to(made.root))
    assert [(one.code, one.path, one.what) for one in found] == [
        ("contradiction", where, "names no point, but other indexes do")
    ]


def test_a_random_sample_is_not_cut_by_weight(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set")
    sampling = made.clusters("mcf") / "sampling.json"
    sampling.write_text('{"method": "random", "seed": 7}')
    for words in (["--coverage", "0.3"], ["--min-weight", "0.1"]):
        assert "sample (random)" in refusal(gcpt("set", "scan", made.root, "--quick", *words))
        run = gcpt("set", "scan", made.root, "--quick", *words, "--workload", "mcf", "--workload", "a_1_b")
        assert refusal(run).startswith("--min-weight, --coverage: the points of mcf are a sample (random), ")
        assert here("set", "scan", made.root, "--quick", *words, "--workload", "a_1_b").returncode == 0
    assert here("set", "scan", made.root, "--quick", "--workload", "mcf").returncode == 0
    manifest = made.root / "gcpt-set.toml"
    assert here("set", "scan", made.root, "--quick", "-o", manifest).returncode == 0
    assert "sample (random)" in refusal(gcpt("set", "info", manifest, "--coverage", "0.3"))
    assert here("set", "scan", manifest, "--quick", "--coverage", "0.3", "--workload", "a_1_b").returncode == 0
    sampling.write_text('{"method": "simpoint"}')
    assert here("set", "scan", made.root, "--quick", "--coverage", "0.3").returncode == 0
    synthetic.change_json(made, lambda content: content["mcf"].update({"sampling": {"method": "bbv-stratified"}}))
    assert "contradiction" in codes(scan_set(made.root))
    assert "bbv-stratified" in refusal(gcpt("set", "info", made.root, "--coverage", "0.3"))


def test_json_and_lists_are_sets(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set")
    assert {point.key for point in load(made.json).points} == set(made.images)
    assert {point.key for point in load(made.lst).points} == set(made.images)
    heaviest = scan_set(made.json.with_name("checkpoints_cov0.3.json"))
    assert [point.workload for point in heaviest.whole.points] == sorted(synthetic.WORKLOADS)
    assert heaviest.whole.findings == ()
    own = tmp_path / "elsewhere" / "points.json"
    own.parent.mkdir()
    own.write_text(made.json.read_text())
    assert "none of its points has an image" in refusal(gcpt("set", "scan", own))


def test_missing_points_stay_in_the_set(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set")
    key = synthetic.plant(made, "a point's folder is missing")
    whole = load(made.root)
    point = next(point for point in whole.points if point.key == key)
    assert point.weight == made.weights[key]
    assert not point.path.exists()
    run = gcpt("set", "info", made.root, "--workload", "bmk_31", "-j", "1")
    assert run.returncode == 1
    assert "bmk_31_" + key[1] in run.stdout
    assert "finding (missing)" in run.stderr


def test_no_image_of_several_is_taken(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set")
    key = synthetic.plant(made, "two images of a point")
    assert "_".join(key) in refusal(gcpt("set", "info", made.root))
    assert key not in {point.key for point in scan_set(made.root).whole.points}


@pytest.mark.parametrize("layout", synthetic.LAYOUTS)
def test_links_and_paths_outside_are_followed_if_allowed(tmp_path: Path, layout: str) -> None:
    made = synthetic.make(tmp_path / "set", layout)
    synthetic.plant(made, "a link to a folder outside")
    scan = scan_set(made.root, allow_outside=True)
    assert scan.whole.findings == ()
    assert {point.key for point in scan.present} == set(made.images)


def test_a_list_with_absolute_paths_outside(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "other")
    root = tmp_path / "set"
    root.mkdir()
    lines = [f"{key[0]}_{key[1]} {path.parent} 0 0 20 20" for key, path in made.images.items()]
    (root / "all.lst").write_text("\n".join(lines) + "\n")
    assert codes(scan_set(root)) == {"path-leaves-set", "missing"}
    scan = scan_set(root, allow_outside=True)
    assert {point.key: point.path for point in scan.present} == made.images
    assert scan.whole.findings == ()


def test_links_within_the_set_make_no_duplicates(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set")
    (made.root / "latest").symlink_to("checkpoint")
    (made.root / "checkpoint" / "round").symlink_to("..")
    for allow_outside in (False, True):
        scan = scan_set(made.root, allow_outside)
        assert scan.whole.findings == ()
        assert {point.key for point in scan.present} == set(made.images)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"mcf": {"points": {"1": ' + "9" * 10_000 + "}}}",
        '{"mcf": {"1": 0.5}}'.encode("utf-16").decode("latin-1"),
        '"' + "a" * 1_000_000,
        "\x00",
    ],
)
def test_hostile_json_is_a_finding(tmp_path: Path, text: str) -> None:
    made = synthetic.make(tmp_path / "set", points=6)
    made.json.write_text(text, encoding="latin-1")
    assert "bad-index" in codes(scan_set(made.root))
    line = refusal(gcpt("set", "scan", made.json))
    assert len(line) < 500 + len(str(made.json))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("json/checkpoints_all.json", '{"a": {"points": {"1": [' + "[]," * 1_100_000 + "[]]}}}", "objects and arrays"),
        (
            "json/checkpoints_all.json",
            '{"a": {' + ",".join(f'"{n}": 1' for n in range(600_000)) + "}}",
            "500,000 points",
        ),
        ("checkpoint/checkpoint.lst", "".join(f"a_{n} a/{n}\n" for n in range(600_000)), "500,000 points"),
        ("cluster/mcf/simpoints0", "".join(f"{n} {n}\n" for n in range(600_000)), "500,000 points"),
        ("checkpoint/checkpoint.lst", "x y\n" * 200_000, "more than 100,000 findings"),
        ("cluster/mcf/simpoints0", "x " * 10_000_000, "fields, not 2"),
    ],
    ids=["nested", "points of a JSON", "points of a list", "clusters", "lines", "fields"],
)
def test_indexes_of_millions_of_entries_get_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    made = synthetic.make(tmp_path / "set", points=6)
    (made.root / name).write_text(text)
    run = here("set", "scan", made.root, "--quick")
    lines = [line for line in (run.stdout + run.stderr).splitlines() if said in line]
    assert run.returncode in (1, 2)
    assert len(lines) == 1 and len(lines[0]) < 300 + len(str(made.root))


def test_an_interval_0_beside_a_leftover_of_the_generator(tmp_path: Path) -> None:
    folder = tmp_path / "set/checkpoint/mcf/0"
    folder.mkdir(parents=True)
    (folder / "_0_0.300000_.gz").write_bytes(b"memory")
    (folder / "_0_0.000000_.gz").write_bytes(b"memory")
    scan = scan_set(tmp_path / "set")
    assert [point.path.name for point in scan.present] == ["_0_0.300000_.gz"]
    assert codes(scan) == {"stray"}


def test_no_finding_shows_what_is_outside_the_set(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set")
    synthetic.plant(made, "a link from weights0 to outside")
    (tmp_path / "secret").write_text("password 0\n")
    assert "password" not in repr(scan_set(made.root).whole.findings)


def test_huge_indexes_and_folders_get_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = synthetic.make(tmp_path / "set", points=6)
    with made.json.open("r+b") as file:
        file.truncate(indexes.MAX_BYTES + 1)
    assert "larger than" in refusal(gcpt("set", "scan", made.json))
    assert "bad-index" in codes(scan_set(made.root))
    monkeypatch.setattr(tree, "MAX_ENTRIES", 20)
    assert "give the folder of one set" in refusal(here("set", "scan", made.root))


@pytest.mark.parametrize("fault", ["a newline in a folder's name", "escape sequences in a JSON"])
def test_no_name_reaches_the_terminal_unescaped(tmp_path: Path, fault: str) -> None:
    made = synthetic.make(tmp_path / "set")
    synthetic.plant(made, fault)
    shown = here("set", "scan", made.root, "--quick").stdout
    assert "\x1b" not in shown and "\x07" not in shown and "bmk\n" not in shown
    assert "bad-name" in shown


def test_names_of_any_bytes(tmp_path: Path) -> None:
    made = synthetic.make(tmp_path / "set", points=6)
    folder = os.fsencode(made.points) + b"/\xff\xfe/5"
    os.makedirs(folder)
    with open(folder + b"/_5_.gz", "wb") as file:  # noqa: PTH123
        file.write(b"memory")
    run = gcpt("set", "scan", made.root, "--quick", "--json")
    assert run.returncode == 1
    assert [found["code"] for found in json.loads(run.stdout)["findings"]] == ["bad-name"]


@pytest.mark.parametrize("name", ["", "none", "set.txt"])
def test_what_is_no_set(tmp_path: Path, name: str) -> None:
    (tmp_path / "set.txt").write_text("x")
    refusal(gcpt("set", "scan", tmp_path / name))
