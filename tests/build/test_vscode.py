"""The editor's files, merged into existing ones."""

import json

import pytest

from gcpt.build import jsonc, vscode
from gcpt.errors import UserError
from gcpt.restorer.resolution import resolve

OPTIONS = {"mode": "single_core", "platform": "qemu-virt"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".vscode"


def write(folder, compiler="p-gcc", **options):
    values = OPTIONS | options
    return vscode.write(folder, resolve(values), values, compiler)


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_from_nothing_and_again(folder):
    lines = write(folder)
    assert lines == [f"[GEN] {folder}/{name}.json" for name in ("tasks", "launch", "settings", "extensions")]
    first = texts(folder)
    assert write(folder) == []
    assert texts(folder) == first
    assert "--query-driver=**/p-gcc" in json.loads(first["settings.json"])["clangd.arguments"]
    assert {path.name for path in vscode.unchanged(folder)} == set(first)
    write(folder, compiler="")
    assert "--query-driver" not in (folder / "settings.json").read_text()


def test_what_was_written_is_renewed_with_other_options(folder):
    write(folder)
    assert write(folder, log="info") == [f"[GEN] {folder}/tasks.json", f"[GEN] {folder}/launch.json"]
    assert "single_core-qemu-virt-info" in (folder / "launch.json").read_text()
    assert "log=info" in (folder / "tasks.json").read_text()


def test_what_a_user_changed_stays_and_is_named(folder):
    write(folder)
    settings = folder / "settings.json"
    settings.write_text(settings.read_text().replace("clangd-19", "clangd"))
    tasks = folder / "tasks.json"
    tasks.write_text(tasks.read_text().replace('"mode=single_core"', '"mode=single_core", "-j1" /* slow */', 1))
    before = texts(folder)
    lines = write(folder, log="info")
    assert settings.read_text() == before["settings.json"]
    assert [line for line in lines if "and stays:" in line] == [
        f'gcpt: {tasks}: "gcpt: build" has changes of yours and stays: delete it to get the generated one',
        f'gcpt: {settings}: "clangd.path" has changes of yours and stays: delete it to get the generated one',
    ]
    by_label = {task["label"]: task for task in jsonc.parse(tasks.read_text()).value["tasks"]}
    assert "log=info" not in by_label["gcpt: build"]["args"] and "log=info" in by_label["gcpt: run"]["args"]
    assert "/* slow */" in tasks.read_text()
    assert {path.name for path in vscode.unchanged(folder)} == {"launch.json", "extensions.json"}
    tasks.write_text(tasks.read_text().replace(', "-j1" /* slow */', ""))
    assert len(write(folder, log="info")) == 2
    assert "log=info" in jsonc.parse(tasks.read_text()).value["tasks"][0]["args"]


def test_a_users_own_files_get_ours_and_keep_theirs(folder):
    folder.mkdir()
    (folder / "settings.json").write_text('// mine\n{\n\t"editor.rulers": [120], // wide\n}\n')
    (folder / "tasks.json").write_text('{"version": "2.0.0", "tasks": [{"label": "mine", "command": "make"},]}')
    (folder / "extensions.json").write_text('{"unwantedRecommendations": ["charliermarsh.ruff"]}')
    (folder / "launch.json").write_bytes(b'{\r\n    "inputs": [] // none\r\n}\r\n')
    write(folder)
    settings = (folder / "settings.json").read_text()
    assert settings.startswith('// mine\n{\n\t"editor.rulers": [120], // wide\n\t"clangd.path": "clangd-19",\n')
    tasks = jsonc.parse((folder / "tasks.json").read_text()).value["tasks"]
    assert tasks[0] == {"label": "mine", "command": "make"} and tasks[1]["label"] == "gcpt: build"
    written = (folder / "launch.json").read_bytes()
    assert written.count(b"\n") == written.count(b"\r\n") and b'"inputs": [], // none\r\n' in written
    wanted = jsonc.parse((folder / "extensions.json").read_text()).value["recommendations"]
    assert "ms-vscode.cpptools" in wanted and "charliermarsh.ruff" not in wanted
    assert vscode.unchanged(folder) == [] and write(folder) == []


def test_a_link_stays_one(folder, tmp_path):
    folder.mkdir()
    (tmp_path / "elsewhere.json").write_text("{}")
    (folder / "settings.json").symlink_to(tmp_path / "elsewhere.json")
    write(folder)
    assert (folder / "settings.json").is_symlink() and "clangd.path" in (tmp_path / "elsewhere.json").read_text()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("tasks.json", '{\n  "tasks": [\n', "tasks.json: line 3: want a value: fix the file, or move it away"),
        ("tasks.json", '{"tasks": {}}', "line 1: want a list"),
        ("launch.json", "[]", "line 1: want an object"),
        ("settings.json", b"\xff", "settings.json: "),
    ],
)
def test_a_file_that_cannot_be_read_stops_all(folder, name, text, words):
    folder.mkdir()
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        write(folder)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_lost_record_makes_everything_the_users(folder):
    write(folder)
    (folder / vscode.RECORD).write_text("{")
    assert [line for line in write(folder, log="info") if "and stays:" not in line] == []
    assert vscode.unchanged(folder) == []
