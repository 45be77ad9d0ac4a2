"""What one build is: the frozen BuildConfig that everything after the options reads, and how options become one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from gcpt.checkpoint.layouts import MAX_HARTS, PAYLOAD_OFFSET
from gcpt.errors import UserError
from gcpt.restorer import flash, options, parse, payload, platforms
from gcpt.restorer.platforms import Platform

MODES = options.MODES
LOG_LEVELS = options.LOG_LEVELS

#: Bytes of stack of one hart, as a power of two.
STACK_SHIFT = 11

#: Folders of the project that outputs must not go to.
_SOURCES = ("docs", "firmware", "proto", "site_scons", "tests", "third_party", ".ci", ".git", ".venv")


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
        """nanopb's C runtime."""
        return self.nanopb_dir or Path("build/third_party/nanopb")

    @property
    def picolibc(self) -> Path:
        """picolibc's sources."""
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
            "harts": "" if self.harts == _default_harts(self.mode) else str(self.harts),
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


def _default_harts(mode: str) -> int:
    return 1 if mode == "single_core" else MAX_HARTS


def resolve(values: Mapping[str, str]) -> BuildConfig:
    """Option texts as a configuration; "" and a missing name are both "not given". UserError says what to mend."""
    unknown = next((name for name in values if name not in options.BY_NAME), None)
    if unknown is not None:
        raise UserError(f"unknown option {unknown}={values[unknown]}{options.nearest(unknown, tuple(options.BY_NAME))}")
    text = {name: values.get(name, "") or options.plain_default(option) for name, option in options.BY_NAME.items()}
    mode, platform_name, log = (parse.choice(options.BY_NAME[name], text[name]) for name in ("mode", "platform", "log"))
    platform = _machine(platform_name, text["clint"], text["uart"])
    harts = _harts(mode, text["harts"])
    stopped = parse.hart_list("stop_cpu", text["stop_cpu"], harts)
    if len(stopped) == harts:
        raise UserError(
            f"stop_cpu={text['stop_cpu']} parks all harts (harts={harts}), so nothing would be restored: leave one out"
        )
    position = text["gcpt_payload_position"]
    config = BuildConfig(
        mode=mode,
        platform=platform,
        harts=harts,
        stop_cpu=stopped,
        display_cpu=parse.hart_list("display_cpu", text["display_cpu"], harts, everyone=True),
        payload=parse.file("gcpt_payload", text["gcpt_payload"]) if text["gcpt_payload"] else None,
        payload_position=(
            parse.address("gcpt_payload_position", position, multiple=4) if position else platform.dram + PAYLOAD_OFFSET
        ),
        dtb=parse.file("gcpt_dtb", text["gcpt_dtb"]) if text["gcpt_dtb"] else None,
        header_addr=parse.address("header_addr", text["header_addr"]) if text["header_addr"] else None,
        csrs=text["csrs"],
        exact=_is_on("exact", text),
        selfcheck=_is_on("selfcheck", text),
        flash=_is_on("flash", text),
        ram=parse.address("ram", text["ram"], multiple=16) if text["ram"] else None,
        log=log,
        toolchain=_toolchain(text["toolchain"], text["cross_compile"]),
        cross_compile=parse.prefix("cross_compile", text["cross_compile"]),
        picolibc_dir=parse.path("picolibc", text["picolibc"]) if text["picolibc"] else None,
        nanopb_dir=parse.path("nanopb_dir", text["nanopb_dir"]) if text["nanopb_dir"] else None,
        debug=_is_on("debug", text),
        build_dir=_outputs("build_dir", text["build_dir"]),
        cache_dir=_outputs("cache_dir", text["cache_dir"]) if text["cache_dir"] else None,
    )
    if config.header_addr is not None and not config.protobuf:
        raise UserError(
            f"header_addr= is for protobuf headers, which mode={mode} does not read: leave it out, or mode=normal"
        )
    _ = config.csr_groups  # a wrong group is said now
    _is_on("bench_quick", text)
    parse.words("pytest_args", text["pytest_args"])
    if text["save_options"] and Path(text["save_options"]).is_dir():
        raise UserError(f"save_options={text['save_options']}: this is a folder: name a file in it")
    _outputs("export_dir", text["export_dir"] or text["build_dir"])
    for name in ("prefix", "destdir"):
        _folder(name, text[name])
    parse.count("gdb_port", text["gdb_port"], 65535)
    if text["ide"]:
        parse.choice(options.BY_NAME["ide"], text["ide"])
    flash.check(config)
    for name in ("gcpt_payload_position", "gcpt_dtb"):
        if text[name] and not config.payload:
            raise UserError(
                f"{name}={text[name]} is for a payload, but there is none: give gcpt_payload=FILE too, or leave it out"
            )
    if config.payload:
        payload.check(config.payload, config.payload_position, mode, platform, harts)
    if config.dtb:
        payload.check_dtb(config.dtb)
    return config


def _is_on(name: str, text: Mapping[str, str]) -> bool:
    return parse.choice(options.BY_NAME[name], text[name]) == "1"


def _toolchain(text: str, prefix: str) -> str:
    """The kind of toolchain; a prefix says that already, and needs no name in variants besides its own."""
    kind = parse.choice(options.BY_NAME["toolchain"], text)
    if not prefix:
        return kind
    if kind not in ("auto", "gnu"):
        raise UserError(f"cross_compile={prefix} is for GNU tools, not for toolchain={kind}: leave one of them out")
    return "auto"


def _machine(name: str, clint: str, uart: str) -> Platform:
    machine = platforms.BY_NAME[name]
    if clint:
        machine = machine._replace(clint=parse.address("clint", clint, multiple=8))
    if uart:
        machine = machine._replace(uart=platforms.parse_uart(uart))
    return machine


def _harts(mode: str, text: str) -> int:
    harts = parse.count("harts", text, MAX_HARTS) if text else _default_harts(mode)
    if mode == "single_core" and harts > 1:
        raise UserError(f"harts={harts}: mode=single_core restores one hart: leave harts= out, or choose another mode=")
    return harts


def _folder(name: str, text: str) -> Path:
    """The folder that the option ``name`` names, which need not exist."""
    folder = Path(parse.prefix(name, text, also="'"))  # of commands, which SCons and then shlex take apart
    if text and folder.exists() and not folder.is_dir():
        raise UserError(f"{name}={text}: this is a file: name a folder, such as build")
    return folder


def _outputs(name: str, text: str) -> Path:
    """The folder that the option ``name`` names for outputs."""
    folder = _folder(name, text)
    root, full = Path.cwd(), folder.resolve()
    inside = full.relative_to(root).parts[:1] if full.is_relative_to(root) else ()
    if root.is_relative_to(full) or (inside and inside[0] in _SOURCES):
        raise UserError(
            f"{name}={text}: outputs would mix with the sources there: name a folder of their own, such as build"
        )
    return folder
