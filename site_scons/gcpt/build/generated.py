"""The files that are generated for the firmware, per source.

A source gets only the definitions that it names, in a folder whose name has a digest of them: a changed option
recompiles only the sources that use it, and configurations share all other objects.
"""

import hashlib
import re
from functools import cache
from pathlib import Path

from gcpt.build import messages, render, sources
from gcpt.checkout import ROOT
from gcpt.restorer.config import BuildConfig

FIRMWARE = ROOT / "firmware"
PROTO = ROOT / "proto" / "checkpoint.proto"
#: Prefixes of names that macros paste together, so that no source has them as a word. None depends on an option.
_PASTED = ("LAYOUT_", "PLAN_", "GCPT_MESSAGE_FIELD_")


def linker_files(config: BuildConfig) -> dict[str, str]:
    """Generate the files that the linker script includes.

    Args:
        config: The configuration.

    Returns:
        Texts by file name.
    """
    return {"gcpt_defs.ld": render.link_definitions(config)}


@cache
def source_files(config: BuildConfig, name: str) -> dict[str, str]:
    """Generate the files that a source includes.

    Args:
        config: The configuration.
        name: File name of a source in firmware/.

    Returns:
        Texts by file name; gcpt_config.h has only the definitions that the source names.
    """
    texts = _texts(config)
    words = _words(name)
    return {
        file: _named(text, words) if file == "gcpt_config.h" else text for file, text in texts.items() if file in words
    }


def source_folder(config: BuildConfig, name: str, defines: list[str]) -> Path:
    """The folder of a source's object and generated files, shared by configurations that generate the same files.

    Args:
        config: The configuration.
        name: File name of a source in firmware/.
        defines: The source's -D flags.

    Returns:
        The folder.
    """
    inputs = repr((sorted(source_files(config, name).items()), defines))
    return config.common_dir / f"{name}.{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"


def all_sources() -> list[str]:
    """The sources of all configurations, as paths relative to the project's folder."""
    return [f"firmware/{path.name}" for path in sorted(FIRMWARE.iterdir()) if path.suffix in (".c", ".S")]


def includers() -> dict[str, str]:
    """Map each header of the firmware to a source that includes it, preferably of the same name.

    Returns:
        Paths relative to the project's folder.
    """
    sources_by_header: dict[str, str] = {}
    for path in sorted((FIRMWARE / "include").glob("*.h")):
        users = [source for source in all_sources() if path.name in _words(Path(source).name)]
        users.sort(key=lambda source: Path(source).stem != path.stem)
        sources_by_header |= {f"firmware/include/{path.name}": source for source in users[:1]}
    return sources_by_header


@cache
def _texts(config: BuildConfig) -> dict[str, str]:
    return {
        "gcpt_config.h": render.config_header(config),
        "gcpt_csrs.inc": render.csr_assembly(config),
        "gcpt_csr_names.inc": render.csr_names(),
        "gcpt_messages.h": messages.header(messages.read(PROTO)),
    }


@cache
def _words(name: str) -> frozenset[str]:
    """All words of a source and of the firmware headers that it includes; file names are words too."""
    all_words: set[str] = set()
    queue, seen = [FIRMWARE / name], set()
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen.add(path)
        words, included = _read(path)
        all_words |= words
        queue += [FIRMWARE / "include" / file for file in included]
    return frozenset(all_words)


@cache
def _read(path: Path) -> tuple[frozenset[str], list[str]]:
    """The words of a file and the files that it includes; both empty if the file does not exist."""
    if not path.is_file():
        return frozenset(), []
    text = path.read_text()
    words = set(re.findall(r"[\w.]+", text))
    parts = {part for word in words if "." in word for part in word.split(".")}
    return frozenset(words | parts), [file for _, file in re.findall(sources.INCLUDE, text, re.MULTILINE)]


def _named(header: str, words: frozenset[str]) -> str:
    """The header without definitions whose names are not in ``words``."""
    return "".join(line for name, line in _lines(header) if not name or name in words or name.startswith(_PASTED))


@cache
def _lines(header: str) -> list[tuple[str, str]]:
    """The header's lines, each with the object-like macro that it defines, or ""."""
    lines = header.splitlines(keepends=True)
    matches = ((re.match(r"#define (\w+) ", line), line) for line in lines)
    return [(match[1] if match else "", line) for match, line in matches]
