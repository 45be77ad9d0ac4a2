"""What a checkpoint or a restorer says of itself, as plain data for people and programs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gcpt.checkpoint import containers, search, stamp, streams
from gcpt.checkpoint.files import CheckpointFile, open_checkpoint
from gcpt.checkpoint.layouts import DEFAULT_VLEN, RESERVED_SIZE
from gcpt.checkpoint.reader import FileReader
from gcpt.checkpoint.state import HartState
from gcpt.errors import UserError
from gcpt.isa import fields, mstatus
from gcpt.isa.csrs import BY_NUMBER
from gcpt.restorer import plan


def mode_name(state: HartState) -> str:
    """M, S, U, or below a hypervisor VS, VU; ?N for a mode that does not exist."""
    name = {0: "U", 1: "S", 3: "M"}.get(state.mode, f"?{state.mode}")
    virtual = state.mode != mstatus.MACHINE and state.get("mstatus") & mstatus.MPV
    return f"V{name}" if virtual else name


def _translation(value: int, modes: Mapping[int, str]) -> str:
    mode = value >> 60
    return modes.get(mode, f"mode {mode}")


def _interrupts(bits: int) -> list[str]:
    return [fields.INTERRUPTS.get(number, str(number)) for number in range(64) if bits >> number & 1]


def _isa(misa: int) -> str:
    """Letters of misa, or nothing where the generator did not write it."""
    return "rv64" + "".join(chr(ord("a") + bit) for bit in range(26) if misa >> bit & 1) if misa else ""


def hart_summary(number: int, state: HartState) -> dict[str, Any]:
    """Where the hart goes on, and what decides how: numbers as integers, the rest in words."""
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
    """A summary of each, by number."""
    return [hart_summary(number, state) for number, state in enumerate(states)]


def csr_fields(state: HartState, everything: bool = False) -> dict[str, list[dict[str, Any]]]:
    """The fields of each CSR that has some, the lowest bits first; registers that are zero only if ``everything``."""
    return {
        csr.name: [
            {"name": one.name, "bits": one.field.bits, "value": one.value, "words": one.words}
            for one in fields.decode(csr.number, state.csr[csr.number])
        ]
        for csr in BY_NUMBER.values()
        if fields.fields_of(csr.number) and (everything or state.csr[csr.number])
    }


def restorer(head: bytes) -> dict[str, Any] | None:
    """What the restorer that ``head`` starts with was built from; None where it starts with none that is stamped."""
    found = stamp.find(head)
    if found is None:
        return None
    size = int.from_bytes(head[4:8], "little")
    commit = (found.commit or "unknown") + ("+dirty" if found.dirty else "")
    return {"size": size, "version": found.version, "commit": commit, "options": found.options}


def carried(data: bytes) -> dict[str, Any]:
    """The same of bytes that are known to be a restorer: of one that is not stamped, its size."""
    return restorer(data) or {"size": len(data)}


def describe(path: Path, flash: Path | None = None) -> dict[str, Any]:
    """All that ``gcpt info`` says; "harts" has a summary of each. UserError when it is no checkpoint and no restorer.

    Reads no more of the files than holds the state.
    """
    head = streams.read_prefix(flash or path, RESERVED_SIZE)
    built = restorer(head)
    said: dict[str, Any] = {"file": str(path), "size": path.stat().st_size, "container": containers.container_of(path)}
    if said["container"] == "raw":
        said["content"] = said["size"]
    if built:
        said["restorer"] = built
    try:
        opened = open_checkpoint(path, flash)
    except UserError:
        if not built:
            raise
        return said
    return {**said, "layouts": _layouts(opened), **_checkpoint(opened)}


def _layouts(opened: CheckpointFile) -> list[dict[str, Any]]:
    """Every layout that the image has marks of, with the mode= that restores it; "auto" says which mode=auto takes."""
    found = search.find_all(FileReader(opened.state_file))
    return [
        {"layout": one.kind.value, "base": one.base, "mode": plan.MODES[one.kind], "auto": one is found[0]}
        for one in found
    ]


def _checkpoint(opened: CheckpointFile) -> dict[str, Any]:
    place = opened.place
    said: dict[str, Any] = {"layout": place.kind.value, "base": place.base, "stride": place.stride}
    if opened.flash:
        said["flash"] = str(opened.flash)
    if opened.header:
        header = opened.header
        said["header"] = {"at": place.header_at, "version": header.version, "cpu_num": header.cpu_num}
        said["header"] |= {"cpt_offset": header.cpt_offset, "single_core_size": header.single_core_size}
    said["harts"] = harts(opened.harts)
    return said
