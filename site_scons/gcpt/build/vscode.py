"""The files of ``ide=vscode`` for one configuration, merged into existing files.

Each file has generated entries: members of an object, or items of a list, identified by name. A missing entry is added;
an entry is updated if it is unchanged since it was written, for which .vscode/gcpt.json has digests. An entry that the
user changed stays, with a message.
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
#: Error messages of the compiler, the assembler, the linkers, the audit, SCons and the checks of options.
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
    """background: for a task that keeps running; the first matcher detects its start and its readiness."""
    whole: dict[str, Any] = {"owner": "gcpt", "fileLocation": ["autoDetect", _ROOT], "severity": "error"}
    patterns: list[dict[str, Any]] = [
        {"regexp": _GCC, "file": 1, "line": 2, "column": 3, "severity": 4, "message": 5},
        {"regexp": _ASSEMBLER, "file": 1, "line": 2, "severity": 3, "message": 4},
        {"regexp": _LINKER, "file": 1, "line": 2, "message": 3},
        *({"regexp": regexp, "kind": "file", "file": 1, "message": 2} for regexp in (_LLD, _AUDIT, _SCONS, _OPTIONS)),
    ]
    first, *rest = [whole | {"pattern": pattern} for pattern in patterns]
    if background:
        first["background"] = {"activeOnStart": True, "beginsPattern": _BEGINS, "endsPattern": _READY}
    return [first, *rest]


def _task(name: str, target: str, arguments: list[str], **more: object) -> dict[str, Any]:
    return {
        "label": f"gcpt: {name}",
        "type": "process",
        "command": f"{_ROOT}/sconsw",
        "args": [target, *arguments],
        "problemMatcher": _matchers(),
        **more,
    }


def _tasks(options: Mapping[str, str]) -> list[dict[str, Any]]:
    build = launch.as_arguments(options, options)
    qemu = launch.as_arguments(launch.for_qemu(options), options)
    shown = {"panel": "dedicated", "focus": True}
    return [
        _task("build", "build", build, group={"kind": "build", "isDefault": True}),
        _task("test", "test", [], group={"kind": "test", "isDefault": True}),
        _task("compile database", "compiledb", build),
        _task("run", "run", qemu, presentation=shown),
        _task("debug server", "debug-server", qemu, isBackground=True, problemMatcher=_matchers(background=True)),
    ]


def _launch(folder: Path, gdb_port: str) -> dict[str, Any]:
    """Start the debug server's task and connect gdb, which stops at reset and when a hart is restored."""
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
    """A file of the editor.

    Attributes:
        list: Key of the list with the entries; "" if they are members of the file's object.
        name: Returns the name of an item of the list.
        base: Required members, with initial values that the user may change.
        entries: Generated entries by name.
    """

    list: str
    name: Callable[[Any], object]
    base: Mapping[str, object]
    entries: Mapping[str, Any]


def _files(qemu: BuildConfig, options: Mapping[str, str], compiler: str) -> dict[str, _File]:
    driver = compiler if "/" in compiler else f"**/{compiler}"
    query = [f"--query-driver={driver}"] if compiler else []
    tasks = {task["label"]: task for task in _tasks(options)}
    configuration = _launch(qemu.variant_dir, options.get("gdb_port") or GDB_PORT)
    settings = {
        "clangd.path": "clangd-19",
        "clangd.arguments": [f"--compile-commands-dir={_ROOT}", *query],
        "C_Cpp.intelliSenseEngine": "disabled",
        "python.defaultInterpreterPath": f"{_ROOT}/.venv/bin/python",
    }
    return {
        "tasks.json": _File("tasks", lambda task: _get(task, "label"), {"version": "2.0.0"}, tasks),
        "launch.json": _File(
            "configurations",
            lambda item: _get(item, "name"),
            {"version": "0.2.0"},
            {configuration["name"]: configuration},
        ),
        "settings.json": _File("", lambda _: None, {}, settings),
        "extensions.json": _File("recommendations", lambda item: item, {}, {name: name for name in _EXTENSIONS}),
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
    """Merge generated entries into a file.

    Args:
        text: The file's text; "" for a new file.
        file: The entries.
        written: Digests of the entries when they were written last, by name.

    Returns:
        The new text, the entries' digests by name, and the names of entries that the user changed.

    Raises:
        jsonc.JsoncError: The text is not JSON or has another structure.
    """
    text = text if text.strip() else "{\n}\n"
    digests: dict[str, str] = {}
    user_changed: list[str] = []
    document = jsonc.parse(text)
    required = {**file.base, **({file.list: []} if file.list else {})}
    if not isinstance(document.value, dict):
        raise jsonc.JsoncError("line 1: want an object: {...}")
    for key, value in required.items():
        member = document.member(key)
        if member is None:
            text = jsonc.add(text, document, value, key)
            document = jsonc.parse(text)
        elif isinstance(value, list) and not isinstance(member.value, list):
            raise jsonc.JsoncError(f"line {text.count(chr(10), 0, member.start) + 1}: want a list: [...]")
    unwanted = document.value.get("unwantedRecommendations") or []
    for name, value in file.entries.items():
        existing = _find(document, file, name)
        if existing is None and name in unwanted:
            continue
        if existing is None:
            items = document.member(file.list) if file.list else document
            assert items is not None
            text = jsonc.add(text, items, value, "" if file.list else name)
        elif existing.value != value and written.get(name) == _digest(existing.value):
            text = jsonc.replace(text, existing, value)
        elif existing.value != value:
            user_changed.append(name)
            digests |= {name: written[name]} if name in written else {}
            continue
        digests[name] = _digest(value)
        document = jsonc.parse(text)
    return text, digests, user_changed


def _read(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _record(folder: Path) -> dict[str, Any]:
    """The digests of the last run: per file, those of its entries, and of its text if all of it was generated."""
    try:
        record = json.loads(_read(folder / RECORD) or "{}")
    except ValueError:
        return {}
    return record if isinstance(record, dict) and all(isinstance(old, dict) for old in record.values()) else {}


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write(folder: Path, qemu: BuildConfig, options: Mapping[str, str], compiler: str) -> list[str]:
    """Update the editor's files, all or none.

    Args:
        folder: The editor's folder.
        qemu: The configuration of the tasks that use QEMU.
        options: Option values of the build task, by name.
        compiler: The compiler's command, which clangd queries for headers; "" for clangd's own.

    Returns:
        A line for each written file and for each entry that the user changed.

    Raises:
        UserError: A file cannot be read or written.
    """
    before = _record(folder)
    after: dict[str, Any] = {}
    texts: dict[Path, str] = {}
    lines: list[str] = []
    for name, file in _files(qemu, options, compiler).items():
        path, old = folder / name, before.get(name, {})
        try:
            text = _read(path)
            generated = not text.strip() or old.get("whole") == _text_digest(text)
            new, entries, user_changed = merge(text.replace("\r\n", "\n"), file, old.get("entries", {}))
        except (OSError, ValueError) as error:
            problem = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"{path}: {problem}: fix the file, or move it away") from error
        new = new.replace("\n", "\r\n") if "\r\n" in text else new
        if new != text:
            texts[path] = new
            lines.append(f"[GEN] {path}")
        for entry in user_changed:
            lines.append(f'gcpt: {path}: "{entry}" has changes of yours and stays: delete it to get the generated one')
        after[name] = {"entries": entries, "whole": _text_digest(new) if generated else ""}
    if after != before:
        texts[folder / RECORD] = json.dumps(after, indent=1) + "\n"
    _write_all(folder, texts)
    return lines


def _write_all(folder: Path, texts: Mapping[Path, str]) -> None:
    try:
        folder.mkdir(exist_ok=True)
        new = {path.resolve(): text for path, text in texts.items()}  # preserve symbolic links
        for path, text in new.items():
            with path.with_name(f"{path.name}.gcpt-new").open("w", encoding="utf-8", newline="") as file:
                file.write(text)
        for path in new:
            path.with_name(f"{path.name}.gcpt-new").replace(path)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from error


def unchanged(folder: Path) -> list[Path]:
    """List the generated files without changes, which ``scons -c`` removes.

    Args:
        folder: The editor's folder.

    Returns:
        Paths; the record of digests is among them if all generated files are.
    """
    record = _record(folder)
    existing = [folder / name for name in record if (folder / name).is_file()]
    generated = [path for path in existing if record[path.name].get("whole") == _text_digest(_read(path))]
    return [*generated, folder / RECORD] if len(generated) == len(existing) and record else generated
