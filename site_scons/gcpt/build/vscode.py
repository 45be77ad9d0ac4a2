"""``ide=vscode``: the editor's files for one configuration, merged into those that are there.

Each file has entries of ours: members, or items of a list that their name tells. An entry is written where there is
none, and renewed where it is as it was written; .vscode/gcpt.json keeps digests of that. What a user changed stays, and
a line says so. Text in and text out but for ``write``.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpt.build import jsonc, launch
from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.options import GDB_PORT

FOLDER = Path(".vscode")
RECORD = "gcpt.json"

_ROOT = "${workspaceFolder}"
#: What the compiler, the assembler, the linker, the audit, SCons and the options' check say of a fault.
_GCC = r"^([^\s:][^:]*):(\d+):(\d+): (?:fatal )?(error|warning): (.*)$"
_ASSEMBLER = r"^([^\s:][^:]*):(\d+): (Error|Warning|Fatal error): (.*)$"
_LINKER = r"^(?:[^\s:]*ld[^:]*: ?(?:error: )?)?([^\s:][^:]*):(\d+): (?!Error|Warning|Fatal)(.*)$"
_LLD = r"^(\S*ld\.lld[^\s:]*): error: (?![^\s:]+:\d+: )(.*)$"
_AUDIT = r"^scons: \*\*\* \[(.+?)\] (audit rule .*)$"
_SCONS = r"^(scons): \*\*\* (?!\[.+?\] audit rule )(?!\[.+?\] Error \d+$)(.*)$"
_OPTIONS = r"^(gcpt): (?!stopped at reset)(.*)$"
#: The line with which SCons begins, and the one by which ``gcpt debug --server`` says that gdb may come.
_BEGINS, _READY = r"^scons: Reading SConscript files", r"^gcpt: stopped at reset, waiting for gdb"

_EXTENSIONS = (
    "llvm-vs-code-extensions.vscode-clangd",
    "ms-vscode.cpptools",
    "ms-python.python",
    "charliermarsh.ruff",
    "zhwu95.riscv",
)


def _matchers(background: bool = False) -> list[dict[str, Any]]:
    """background: for a task that goes on; the first matcher tells when it begins and when it may be used."""
    whole: dict[str, Any] = {"owner": "gcpt", "fileLocation": ["autoDetect", _ROOT], "severity": "error"}
    patterns: list[dict[str, Any]] = [
        {"regexp": _GCC, "file": 1, "line": 2, "column": 3, "severity": 4, "message": 5},
        {"regexp": _ASSEMBLER, "file": 1, "line": 2, "severity": 3, "message": 4},
        {"regexp": _LINKER, "file": 1, "line": 2, "message": 3},
        *({"regexp": one, "kind": "file", "file": 1, "message": 2} for one in (_LLD, _AUDIT, _SCONS, _OPTIONS)),
    ]
    first, *others = [whole | {"pattern": pattern} for pattern in patterns]
    if background:
        first["background"] = {"activeOnStart": True, "beginsPattern": _BEGINS, "endsPattern": _READY}
    return [first, *others]


def _task(name: str, target: str, arguments: list[str], **more: object) -> dict[str, Any]:
    return {
        "label": f"gcpt: {name}",
        "type": "process",
        "command": f"{_ROOT}/sconsw",
        "args": [target, *arguments],
        "problemMatcher": _matchers(),
        **more,
    }


def _tasks(given: Mapping[str, str]) -> list[dict[str, Any]]:
    build = launch.as_arguments(given, given)
    qemu = launch.as_arguments(launch.for_qemu(given), given)
    shown = {"panel": "dedicated", "focus": True}
    return [
        _task("build", "build", build, group={"kind": "build", "isDefault": True}),
        _task("test", "test", [], group={"kind": "test", "isDefault": True}),
        _task("compile database", "compiledb", build),
        _task("run", "run", qemu, presentation=shown),
        _task("debug server", "debug-server", qemu, isBackground=True, problemMatcher=_matchers(background=True)),
    ]


def _launch(folder: Path, gdb_port: str) -> dict[str, Any]:
    """Starts the debug server's task, connects gdb to it, and stops: at reset, and again when a hart is restored."""
    return {
        "name": "gcpt: debug a restore",
        "type": "cppdbg",
        "request": "launch",
        "preLaunchTask": "gcpt: debug server",
        "program": f"{_from_root(folder)}/gcpt.elf",
        "cwd": _ROOT,
        "MIMode": "gdb",
        "miDebuggerPath": "gdb-multiarch",
        "miDebuggerServerAddress": f"localhost:{gdb_port}",
        "stopAtConnect": True,
        "postRemoteConnectCommands": [
            {"text": f"source {_from_root(folder)}/gcpt-gdb.py"},
            {"text": "break-restored"},
        ],
    }


def _from_root(path: Path) -> str:
    return str(path) if path.is_absolute() else f"{_ROOT}/{path}"


@dataclass(frozen=True)
class _File:
    """list: the key of the list that the entries are in, "" when they are members of the file's object.

    name: what tells an entry of the list. base: members that the file has to have, and whose value is the user's.
    """

    list: str
    name: Callable[[Any], object]
    base: Mapping[str, object]
    entries: Mapping[str, Any]


def _files(qemu: BuildConfig, given: Mapping[str, str], compiler: str) -> dict[str, _File]:
    driver = compiler if "/" in compiler else f"**/{compiler}"
    asked = [f"--query-driver={driver}"] if compiler else []
    tasks = {task["label"]: task for task in _tasks(given)}
    configuration = _launch(qemu.variant_dir, given.get("gdb_port") or GDB_PORT)
    settings = {
        "clangd.path": "clangd-19",
        "clangd.arguments": [f"--compile-commands-dir={_ROOT}", *asked],
        "C_Cpp.intelliSenseEngine": "disabled",
        "python.defaultInterpreterPath": f"{_ROOT}/.venv/bin/python",
    }
    return {
        "tasks.json": _File("tasks", lambda task: _get(task, "label"), {"version": "2.0.0"}, tasks),
        "launch.json": _File(
            "configurations",
            lambda one: _get(one, "name"),
            {"version": "0.2.0"},
            {configuration["name"]: configuration},
        ),
        "settings.json": _File("", lambda _: None, {}, settings),
        "extensions.json": _File("recommendations", lambda one: one, {}, {name: name for name in _EXTENSIONS}),
    }


def _get(item: Any, key: str) -> object:
    return item.get(key) if isinstance(item, dict) else None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _find(document: jsonc.Node, file: _File, name: str) -> jsonc.Node | None:
    if not file.list:
        return document.member(name)
    items = document.member(file.list)
    inside = items.inside if items else ()
    return next((node for _, node in inside if file.name(node.value) == name), None)


def merge(text: str, file: _File, written: Mapping[str, str]) -> tuple[str, dict[str, str], list[str]]:
    """``text`` ("" where there is no file) with the entries of ``file``; their digests; names of those left alone.

    written: the digests of what was written the last time. jsonc.JsoncError where the text is no such file.
    """
    text = text if text.strip() else "{\n}\n"
    record: dict[str, str] = {}
    kept: list[str] = []
    document = jsonc.parse(text)
    wanted = {**file.base, **({file.list: []} if file.list else {})}
    if not isinstance(document.value, dict):
        raise jsonc.JsoncError("line 1: want an object: {...}")
    for key, value in wanted.items():
        found = document.member(key)
        if found is None:
            text = jsonc.add(text, document, value, key)
            document = jsonc.parse(text)
        elif isinstance(value, list) and not isinstance(found.value, list):
            raise jsonc.JsoncError(f"line {text.count(chr(10), 0, found.start) + 1}: want a list: [...]")
    unwanted = document.value.get("unwantedRecommendations") or []
    for name, value in file.entries.items():
        there = _find(document, file, name)
        if there is None and name in unwanted:
            continue
        if there is None:
            items = document.member(file.list) if file.list else document
            assert items is not None
            text = jsonc.add(text, items, value, "" if file.list else name)
        elif there.value != value and written.get(name) == _digest(there.value):
            text = jsonc.replace(text, there, value)
        elif there.value != value:
            kept.append(name)
            record |= {name: written[name]} if name in written else {}
            continue
        record[name] = _digest(value)
        document = jsonc.parse(text)
    return text, record, kept


def _read(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _record(folder: Path) -> dict[str, Any]:
    """What was written the last time: per file, digests of its entries, and of its whole text where all was ours."""
    try:
        found = json.loads(_read(folder / RECORD) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()) else {}


def _whole(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write(folder: Path, qemu: BuildConfig, given: Mapping[str, str], compiler: str) -> list[str]:
    """Bring the files in ``folder`` up to date; a line for each file written or entry left alone.

    given: the options of the tasks. qemu: the configuration that those of QEMU build. compiler: its command, whose
    headers clangd asks for, or "" for clangd's own. UserError, with nothing written, where a file cannot be read.
    """
    before = _record(folder)
    after: dict[str, Any] = {}
    texts: dict[Path, str] = {}
    lines: list[str] = []
    for name, file in _files(qemu, given, compiler).items():
        path, old = folder / name, before.get(name, {})
        try:
            text = _read(path)
            ours = not text.strip() or old.get("whole") == _whole(text)
            new, entries, kept = merge(text.replace("\r\n", "\n"), file, old.get("entries", {}))
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"{path}: {why}: mend it, or move it out of the way") from error
        new = new.replace("\n", "\r\n") if "\r\n" in text else new
        if new != text:
            texts[path] = new
            lines.append(f"[GEN] {path}")
        for one in kept:
            lines.append(f'gcpt: {path}: "{one}" is not as it was written, and stays: delete it to get ours')
        after[name] = {"entries": entries, "whole": _whole(new) if ours else ""}
    if after != before:
        texts[folder / RECORD] = json.dumps(after, indent=1) + "\n"
    _write_all(folder, texts)
    return lines


def _write_all(folder: Path, texts: Mapping[Path, str]) -> None:
    try:
        folder.mkdir(exist_ok=True)
        new = {path.resolve(): text for path, text in texts.items()}  # a link stays one
        for path, text in new.items():
            with path.with_name(f"{path.name}.gcpt-new").open("w", encoding="utf-8", newline="") as file:
                file.write(text)
        for path in new:
            path.with_name(f"{path.name}.gcpt-new").replace(path)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from error


def unchanged(folder: Path) -> list[Path]:
    """The files that are as they were written here, with nothing of anybody else's: what ``scons -c`` may remove."""
    known = _record(folder)
    found = [folder / name for name, old in known.items() if (folder / name).is_file()]
    mine = [path for path in found if known[path.name].get("whole") == _whole(_read(path))]
    return [*mine, folder / RECORD] if len(mine) == len(found) and known else mine
