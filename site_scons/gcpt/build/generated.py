"""The files that a configuration generates for the firmware, and which source gets what of them.

A source gets only those definitions that it names, in a folder whose name tells them apart: so an option recompiles
what names something of it, and configurations share all other objects.
"""

import hashlib
import re
from functools import cache
from pathlib import Path

from gcpt.build import render, sources
from gcpt.checkout import ROOT
from gcpt.restorer.config import BuildConfig

FIRMWARE = ROOT / "firmware"
#: Put together from two words by macros: no source names them whole. None depends on an option.
_PASTED = ("LAYOUT_", "PLAN_", "GCPT_MESSAGE_FIELD_")


def linker_files(config: BuildConfig) -> dict[str, str]:
    """What the linker script takes in, by file name."""
    return {"gcpt_defs.ld": render.link_definitions(config)}


@cache
def source_files(config: BuildConfig, name: str) -> dict[str, str]:
    """What the source ``name`` of firmware/ includes of generated files, by file name."""
    texts = _texts(config)
    words = _words(name)
    return {
        file: _named(text, words) if file == "gcpt_config.h" else text for file, text in texts.items() if file in words
    }


def source_folder(config: BuildConfig, name: str, defines: list[str]) -> Path:
    """Where the object of ``name`` and its generated files go: the same for all configurations that agree on them."""
    said = repr((sorted(source_files(config, name).items()), defines))
    return config.common_dir / f"{name}.{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def every_source() -> list[str]:
    """All files of firmware/ that are compiled in some configuration, from the project's root."""
    return [f"firmware/{path.name}" for path in sorted(FIRMWARE.iterdir()) if path.suffix in (".c", ".S")]


def includers() -> dict[str, str]:
    """The firmware's own headers, from the project's root, and for each a source that includes it: its own if any."""
    found: dict[str, str] = {}
    for path in sorted((FIRMWARE / "include").glob("*.h")):
        users = [source for source in every_source() if path.name in _words(Path(source).name)]
        users.sort(key=lambda source: Path(source).stem != path.stem)
        found |= {f"firmware/include/{path.name}": source for source in users[:1]}
    return found


def uses_nanopb(name: str) -> bool:
    """Whether the source ``name`` of firmware/ is compiled against nanopb and the generated messages."""
    return "pb_decode.h" in _words(name)


@cache
def _texts(config: BuildConfig) -> dict[str, str]:
    return {
        "gcpt_config.h": render.config_header(config),
        "gcpt_csrs.inc": render.csr_assembly(config),
        "gcpt_csr_names.inc": render.csr_names(),
    }


@cache
def _words(name: str) -> frozenset[str]:
    """All words of a source and of the firmware's headers that it includes; names of files are words too."""
    found: set[str] = set()
    waiting, seen = [FIRMWARE / name], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        words, included = _read(path)
        found |= words
        waiting += [FIRMWARE / "include" / file for file in included]
    return frozenset(found)


@cache
def _read(path: Path) -> tuple[frozenset[str], list[str]]:
    """The words of one file, and which files it includes; nothing of one that is not there."""
    if not path.is_file():
        return frozenset(), []
    text = path.read_text()
    words = set(re.findall(r"[\w.]+", text))
    parts = {part for word in words if "." in word for part in word.split(".")}
    return frozenset(words | parts), [file for _, file in re.findall(sources.INCLUDE, text, re.MULTILINE)]


def _named(header: str, words: frozenset[str]) -> str:
    """The header less the definitions that none of ``words`` is the name of."""
    return "".join(line for name, line in _lines(header) if not name or name in words or name.startswith(_PASTED))


@cache
def _lines(header: str) -> list[tuple[str, str]]:
    """The header's lines, each with the name that it defines as a number or text, or ""."""
    lines = header.splitlines(keepends=True)
    defined = ((re.match(r"#define (\w+) ", line), line) for line in lines)
    return [(match[1] if match else "", line) for match, line in defined]
