"""The configuration of one restorer, which everything after the options reads."""

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

#: log2 of the stack size of one hart in bytes.
STACK_SHIFT = 11


@dataclass(frozen=True)
class BuildConfig:
    """A validated configuration of one restorer.

    Addresses are physical, in bytes. The attributes are the options of the same names, except:

    Attributes:
        payload: The value of ``gcpt_payload=``.
        payload_position: The address of the next boot stage, in the image or only in memory; None for no such stage.
        dtb: The value of ``gcpt_dtb=``.
        csrs: The value of ``csrs=``; ``csr_groups`` has the resulting groups.
        toolchain: A kind of toolchain, or "auto".
        cross_compile: A GNU prefix; "" for the first toolchain that is usable.
        picolibc_dir: The user's picolibc; None for the one that ./sconsw fetched.
    """

    mode: str
    platform: Platform
    harts: int
    stop_cpu: tuple[int, ...] = ()
    display_cpu: tuple[int, ...] = ()
    payload: Path | None = None
    payload_position: int | None = None
    dtb: Path | None = None
    header_addr: int | None = None
    log: str = "quiet"
    csrs: str = ""
    exact: bool = False
    extended: bool = False
    generator: str = "auto"
    selfcheck: bool = False
    flash: bool = False
    without_c: bool = False
    ram: int | None = None
    toolchain: str = "auto"
    cross_compile: str = ""
    picolibc_dir: Path | None = None
    debug: bool = False
    build_dir: Path = Path("build")
    cache_dir: Path | None = None

    @property
    def direct(self) -> bool:
        """Whether this is a direct restorer: one hart at a fixed place, without C, stack and writes to memory."""
        prints = self.log != "quiet" or self.display_cpu or self.selfcheck
        return self.mode == "single_core" and not prints

    def with_all_sources(self) -> "BuildConfig":
        """Choose a similar configuration in which the sources that this one leaves out have content.

        Returns:
            The configuration.
        """
        log = "info" if self.log == "quiet" else self.log
        return replace(self, mode="auto", log=log, display_cpu=self.display_cpu or (0,), selfcheck=True, extended=True)

    @cached_property
    def csr_groups(self) -> tuple[str, ...]:
        """The CSR groups that the restorer writes.

        The default is the platform's groups, and hpm in a planned restorer; ``csrs=`` changes it.

        Raises:
            UserError: ``csrs=`` is invalid; ``resolve`` has checked it.
        """
        default = self.platform.csr_groups + (() if self.direct else ("hpm",))
        return parse.groups("csrs", self.csrs, default)

    @property
    def guarded(self) -> bool:
        """Whether the restorer tests which groups the hart has before it writes them.

        ``csrs=`` with exactly the groups of a machine needs no test, and log= reports each CSR that the hart lacks.
        """
        return self.log == "quiet" and (not self.csrs or self.csrs.lstrip()[0] in "+-")

    @property
    def load_address(self) -> int:
        """The image's link address; the image runs anywhere, unless it is in flash and has memory at ``ram``."""
        return self.platform.flash if self.flash else self.platform.dram

    @property
    def protobuf(self) -> bool:
        """Whether the restorer decodes protobuf headers."""
        return self.mode in ("normal", "auto")

    @cached_property
    def variant(self) -> str:
        """The name of this configuration, which is its folder's name."""
        return options.variant_name(self.options)

    @property
    def variant_dir(self) -> Path:
        """The output folder of this configuration."""
        return self.build_dir / self.variant

    @cached_property
    def common_dir(self) -> Path:
        """The output folder that all configurations with the same toolchain and libraries share."""
        names = (*options.TOOL_OPTIONS, "debug")
        tools = options.variant_name({name: self.options[name] for name in names if name in self.options})
        return self.build_dir / "common" / tools.replace(options.MODES[0], "objects", 1)

    @property
    def picolibc(self) -> Path:
        """The folder of picolibc's sources."""
        return self.picolibc_dir or Path("build/third_party/picolibc")

    @cached_property
    def options(self) -> Mapping[str, str]:
        """The option texts from which ``resolve`` makes this configuration, without defaults."""
        machine = platforms.BY_NAME[self.platform.name]
        all_harts = self.harts > 1 and self.display_cpu == tuple(range(self.harts))
        uart = self.platform.uart
        values = {
            "mode": self.mode,
            "stop_cpu": ",".join(map(str, self.stop_cpu)),
            "display_cpu": "all" if all_harts else ",".join(map(str, self.display_cpu)),
            "harts": "" if self.harts == default_harts(self.mode) else str(self.harts),
            "header_addr": "" if self.header_addr is None else f"{self.header_addr:#x}",
            "gcpt_payload": str(self.payload or ""),
            "gcpt_payload_position": "" if self.payload_position is None else f"{self.payload_position:#x}",
            "gcpt_dtb": str(self.dtb or ""),
            "platform": self.platform.name,
            "clint": "" if self.platform.clint == machine.clint else f"{self.platform.clint:#x}",
            "uart": "" if uart == machine.uart else "htif" if uart.kind == "htif" else str(uart),
            "csrs": self.csrs,
            "exact": str(int(self.exact)),
            "without_c": str(int(self.without_c)),
            "extended": str(int(self.extended)),
            "generator": self.generator,
            "selfcheck": str(int(self.selfcheck)),
            "flash": str(int(self.flash)),
            "ram": "" if self.ram is None else f"{self.ram:#x}",
            "log": self.log,
            "toolchain": self.toolchain,
            "cross_compile": self.cross_compile,
            "picolibc": str(self.picolibc_dir or ""),
            "debug": str(int(self.debug)),
            "build_dir": str(self.build_dir),
        }
        if self.payload and self.payload_position == self.platform.dram + PAYLOAD_OFFSET:
            values["gcpt_payload_position"] = ""
        defaults = {name: options.plain_default(options.BY_NAME[name]) for name in values}
        return {name: value for name, value in values.items() if value not in ("", defaults[name])}

    def to_json(self) -> str:
        """Format config.json: the variant's name and its options, for other programs."""
        return json.dumps({"variant": self.variant, "options": self.options}, indent=2) + "\n"


def default_harts(mode: str) -> int:
    """The default of ``harts=``.

    Args:
        mode: The restorer's mode.

    Returns:
        The number of harts.
    """
    return 1 if mode == "single_core" else MAX_HARTS
