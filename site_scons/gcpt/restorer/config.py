"""What one build is: the frozen BuildConfig that everything after the options reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from gcpt.checkpoint.layouts import MAX_HARTS, PAYLOAD_OFFSET
from gcpt.restorer import options, parse, platforms
from gcpt.restorer.platforms import Platform

MODES = options.MODES
LOG_LEVELS = options.LOG_LEVELS

#: Bytes of stack of one hart, as a power of two.
STACK_SHIFT = 11


@dataclass(frozen=True)
class BuildConfig:
    """One restorer, validated: addresses are physical bytes, hart numbers below ``harts``.

    toolchain: a kind, or "auto"; cross_compile: the prefix of a GNU one, "" the first that is there.
    nanopb_dir, picolibc_dir: the user's own; None are those that ./sconsw fetched.
    """

    mode: str
    platform: Platform
    harts: int
    stop_cpu: tuple[int, ...] = ()
    display_cpu: tuple[int, ...] = ()
    payload: Path | None = None
    payload_position: int = 0x8010_0000
    dtb: Path | None = None
    header_addr: int | None = None
    log: str = "quiet"
    csrs: str = ""
    exact: bool = False
    selfcheck: bool = False
    flash: bool = False
    ram: int | None = None
    toolchain: str = "auto"
    cross_compile: str = ""
    picolibc_dir: Path | None = None
    nanopb_dir: Path | None = None
    debug: bool = False
    build_dir: Path = Path("build")
    cache_dir: Path | None = None

    @property
    def direct(self) -> bool:
        """Whether one hart's state at a fixed place is all there is to do: no C, no stack, no write to memory."""
        talks = self.log != "quiet" or self.display_cpu or self.selfcheck
        return self.mode == "single_core" and not talks

    def with_source(self, name: str) -> "BuildConfig":
        """This configuration, or the nearest in which the firmware's source ``name`` is more than an empty stand-in."""
        if name == "boot_direct.S":
            return replace(self, mode="single_core", harts=1, log="quiet", display_cpu=(), selfcheck=False)
        log = "info" if self.log == "quiet" else self.log
        return replace(self, mode="auto", log=log, display_cpu=self.display_cpu or (0,), selfcheck=True)

    @cached_property
    def csr_groups(self) -> tuple[str, ...]:
        """The groups of CSRs that it writes: the platform's, more where bytes do not count, and what ``csrs=`` says."""
        machine = self.platform.csr_groups + (() if self.direct else ("hpm",))
        return parse.groups("csrs", self.csrs, machine)

    @property
    def load_address(self) -> int:
        """Where the image is linked; it runs anywhere, unless it is in flash and has memory elsewhere."""
        return self.platform.flash if self.flash else self.platform.dram

    @property
    def protobuf(self) -> bool:
        """Whether the restorer decodes protobuf headers."""
        return self.mode in ("normal", "auto")

    @cached_property
    def variant(self) -> str:
        """The name of this configuration's folder."""
        return options.variant_name(self.given)

    @property
    def variant_dir(self) -> Path:
        """Where the outputs of this configuration go."""
        return self.build_dir / self.variant

    @cached_property
    def common_dir(self) -> Path:
        """Where outputs go that other configurations have the same: those of this toolchain and nanopb."""
        names = ("toolchain", "cross_compile", "picolibc", "nanopb_dir", "debug")
        tools = options.variant_name({name: self.given[name] for name in names if name in self.given})
        return self.build_dir / "common" / tools.replace(options.MODES[0], "objects", 1)

    @property
    def nanopb(self) -> Path:
        """Nanopb's C runtime."""
        return self.nanopb_dir or Path("build/third_party/nanopb")

    @property
    def picolibc(self) -> Path:
        """Picolibc's sources."""
        return self.picolibc_dir or Path("build/third_party/picolibc")

    @cached_property
    def given(self) -> Mapping[str, str]:
        """The options that make this configuration, less those that say what is the default anyway."""
        machine = platforms.BY_NAME[self.platform.name]
        everyone = self.harts > 1 and self.display_cpu == tuple(range(self.harts))
        uart = self.platform.uart
        values = {
            "mode": self.mode,
            "stop_cpu": ",".join(map(str, self.stop_cpu)),
            "display_cpu": "all" if everyone else ",".join(map(str, self.display_cpu)),
            "harts": "" if self.harts == default_harts(self.mode) else str(self.harts),
            "header_addr": "" if self.header_addr is None else f"{self.header_addr:#x}",
            "gcpt_payload": str(self.payload or ""),
            "gcpt_payload_position": f"{self.payload_position:#x}",
            "gcpt_dtb": str(self.dtb or ""),
            "platform": self.platform.name,
            "clint": "" if self.platform.clint == machine.clint else f"{self.platform.clint:#x}",
            "uart": "" if uart == machine.uart else "htif" if uart.kind == "htif" else str(uart),
            "csrs": self.csrs,
            "exact": str(int(self.exact)),
            "selfcheck": str(int(self.selfcheck)),
            "flash": str(int(self.flash)),
            "ram": "" if self.ram is None else f"{self.ram:#x}",
            "log": self.log,
            "toolchain": self.toolchain,
            "cross_compile": self.cross_compile,
            "picolibc": str(self.picolibc_dir or ""),
            "nanopb_dir": str(self.nanopb_dir or ""),
            "debug": str(int(self.debug)),
            "build_dir": str(self.build_dir),
        }
        if not self.payload or self.payload_position == self.platform.dram + PAYLOAD_OFFSET:
            values["gcpt_payload_position"] = ""
        plain = {name: options.plain_default(options.BY_NAME[name]) for name in values}
        return {name: value for name, value in values.items() if value not in ("", plain[name])}

    def to_json(self) -> str:
        """The configuration for other programs: the variant's name and the options that ``resolve`` makes it from."""
        return json.dumps({"variant": self.variant, "options": self.given}, indent=2) + "\n"


def default_harts(mode: str) -> int:
    return 1 if mode == "single_core" else MAX_HARTS
