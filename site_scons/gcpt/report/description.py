"""Describe checkpoints and restorers as plain data, for text, JSON and pages."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gcpt.checkpoint import containers, extended, foreign, generators, overwritten, search, stamp
from gcpt.checkpoint.extended import ExtendedError
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint
from gcpt.checkpoint.layouts import DEFAULT_VLEN, RESERVED_SIZE
from gcpt.checkpoint.reader import FileReader, Reader
from gcpt.checkpoint.search import NoCheckpointError
from gcpt.checkpoint.stamp import Stamp
from gcpt.checkpoint.state import HartState
from gcpt.isa import fields
from gcpt.isa.csrs import BY_NUMBER
from gcpt.restorer import plan


def mode_name(state: HartState) -> str:
    """Name the privilege mode in which a hart resumes.

    Args:
        state: The hart's state.

    Returns:
        "M", "S", "U", "VS" or "VU"; "?N" for an invalid mode N.
    """
    name = {0: "U", 1: "S", 3: "M"}.get(state.mode, f"?{state.mode}")
    return f"V{name}" if state.is_guest else name


def _translation(value: int, modes: Mapping[int, str]) -> str:
    mode = value >> 60
    return modes.get(mode, f"mode {mode}")


def _interrupts(bits: int) -> list[str]:
    return [fields.INTERRUPTS.get(number, str(number)) for number in range(64) if bits >> number & 1]


def _isa(misa: int) -> str:
    """The ISA string of ``misa``, empty if the generator left misa zero."""
    return "rv64" + "".join(chr(ord("a") + bit) for bit in range(26) if misa >> bit & 1) if misa else ""


def hart_summary(number: int, state: HartState) -> dict[str, Any]:
    """Summarize a hart: where it resumes, and the registers that decide how.

    Args:
        number: The hart's number.
        state: Its state.

    Returns:
        The summary: addresses and times (ticks) as integers, modes and interrupts by name.
    """
    return {
        "hart": number,
        "pc": state.pc,
        "mode": mode_name(state),
        "isa": _isa(state.get("misa")),
        "vlen": 8 * state.get("vlenb") or DEFAULT_VLEN,
        "satp": _translation(state.get("satp"), fields.SATP_MODES),
        "vsatp": _translation(state.get("vsatp"), fields.SATP_MODES),
        "hgatp": _translation(state.get("hgatp"), fields.HGATP_MODES),
        "enabled": _interrupts(state.get("mie")),
        "pending": _interrupts(state.get("mip") | state.get("hvip")),
        "mtime": state.mtime,
        "mtimecmp": state.mtimecmp,
        "stimecmp": state.get("stimecmp"),
        "vstimecmp": state.get("vstimecmp"),
    }


def harts(states: Iterable[HartState]) -> list[dict[str, Any]]:
    """Summarize all harts.

    Args:
        states: The harts' states, from hart 0.

    Returns:
        The summary of each hart, in the order of ``states``.
    """
    return [hart_summary(number, state) for number, state in enumerate(states)]


def extended_state(state: HartState) -> dict[str, Any] | None:
    """Describe the extended state of a hart.

    Args:
        state: The hart's state.

    Returns:
        The writes in their order, each with the register's name and the fields of its class, or the error of a list
        that a restorer refuses; None without a list.
    """
    try:
        entries = extended.of(state)
    except ExtendedError as error:
        return {"error": str(error)}
    return None if entries is None else {"writes": [{"name": entry.name, **asdict(entry)} for entry in entries]}


def csr_fields(state: HartState, everything: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Decode the CSRs that have fields.

    Args:
        state: The hart's state.
        everything: Whether to include CSRs that are zero.

    Returns:
        The fields of each CSR by its name, lowest bits first.
    """
    return {
        csr.name: [
            {"name": field.name, "bits": field.field.bits, "value": field.value, "words": field.words}
            for field in fields.decode(csr.number, state.csr[csr.number])
        ]
        for csr in BY_NUMBER.values()
        if fields.fields_of(csr.number) and (everything or state.csr[csr.number])
    }


def restorer(head: bytes) -> dict[str, Any] | None:
    """Describe the restorer at the start of an image by its stamp.

    Args:
        head: The start of the image, at least as long as the restorer.

    Returns:
        Size in bytes, version, commit and options; None if ``head`` does not start with a stamped restorer.
    """
    build = stamp.find(head)
    return _build(build, int.from_bytes(head[4:8], "little")) if build else None


def _build(build: Stamp, size: int) -> dict[str, Any]:
    commit = (build.commit or "unknown") + ("+dirty" if build.dirty else "")
    return {"size": size, "version": build.version, "commit": commit, "options": build.options}


def known_restorer(data: bytes) -> dict[str, Any]:
    """Describe bytes that are known to be a restorer.

    Args:
        data: The restorer, without a payload.

    Returns:
        As ``restorer``; for a restorer without a stamp its size in bytes, and its project if it is known.
    """
    project = foreign.project(data)
    return restorer(data) or {"size": len(data)} | ({"project": project} if project else {})


def describe(path: Path, flash: Path | None = None) -> dict[str, Any]:
    """Describe a checkpoint, a restorer, or a checkpoint with an embedded restorer, for ``gcpt info``.

    Reads the files only up to the end of the state.

    Args:
        path: The image, or the memory image of a flash pair.
        flash: The flash image of a pair.

    Returns:
        The JSON object of ``gcpt info --json``.

    Raises:
        UserError: The file cannot be read, or is neither a checkpoint nor a restorer.
    """
    read = FileReader(flash or path)
    head = read(0, RESERVED_SIZE)
    build = restorer(head)
    if build is None and stamp.complete(head):
        build = known_restorer(head[: stamp.size(head)])
    facts: dict[str, Any] = {"file": str(path), "size": path.stat().st_size, "container": containers.container_of(path)}
    if facts["container"] == "raw":
        facts["content"] = facts["size"]
    if build:
        facts["restorer"] = build
    if rest := overwritten.find(head):
        facts["overwritten_restorer"] = _build(rest.stamp, rest.end) if rest.stamp else {"size": rest.end}
        facts["overwritten_restorer"]["overwritten"] = rest.start
    try:
        opened = open_checkpoint(path, flash, read=read)
    except NoCheckpointError:
        if not build:
            raise
        return facts
    return {**facts, "layouts": _layouts(read), **_checkpoint(opened)}


def _layouts(read: Reader) -> list[dict[str, Any]]:
    """All layouts found in the image with the mode= that restores each; "auto" marks the choice of mode=auto."""
    places = search.find_all(read)
    return [
        {"layout": place.kind.value, "base": place.base, "mode": plan.MODES[place.kind], "auto": place is places[0]}
        for place in places
    ]


def _checkpoint(opened: CheckpointFile) -> dict[str, Any]:
    place = opened.place
    facts: dict[str, Any] = {"layout": place.kind.value, "base": place.base, "stride": place.stride}
    if opened.flash:
        facts["flash"] = str(opened.flash)
    if opened.header:
        header = opened.header
        facts["header"] = {"at": place.header_at, "version": header.version, "cpu_num": header.cpu_num}
        facts["header"] |= {"cpt_offset": header.cpt_offset, "single_core_size": header.single_core_size}
    name, reason = generators.identify(opened.harts)
    facts["generator"] = {"name": name, "reason": reason}
    facts["harts"] = harts(opened.harts)
    lists = {hart: extended_state(state) for hart, state in enumerate(opened.harts)}
    if present := [{"hart": hart, **found} for hart, found in lists.items() if found]:
        facts["extended"] = present
    return facts
