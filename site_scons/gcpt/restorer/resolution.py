"""The conversion of option texts to a configuration, with all checks."""

from collections.abc import Mapping
from pathlib import Path

from gcpt.checkpoint.layouts import MAX_HARTS, PAYLOAD_OFFSET
from gcpt.errors import UserError
from gcpt.restorer import flash, options, parse, payload, platforms
from gcpt.restorer.config import BuildConfig, default_harts
from gcpt.restorer.platforms import Platform

#: Folders of the project that must not receive outputs.
_SOURCES = ("docs", "firmware", "proto", "site_scons", "tests", "third_party", ".ci", ".git", ".venv")

#: The most faults, states or minutes of a check, and the largest seed.
_MANY, _LARGEST_SEED = 1_000_000, (1 << 32) - 1


def resolve(values: Mapping[str, str]) -> BuildConfig:
    """Convert option texts to a configuration.

    Args:
        values: Option values by name; "" means "not set".

    Returns:
        The configuration.

    Raises:
        UserError: An option is unknown, has an invalid value, or contradicts another option.
    """
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
            f"stop_cpu={text['stop_cpu']}: all harts are parked (harts={harts}), so none is restored: remove one"
        )
    config = BuildConfig(
        mode=mode,
        platform=platform,
        harts=harts,
        stop_cpu=stopped,
        display_cpu=parse.hart_list("display_cpu", text["display_cpu"], harts, allow_all=True),
        payload=parse.file("gcpt_payload", text["gcpt_payload"]) if text["gcpt_payload"] else None,
        payload_position=_payload_position(text, platform),
        dtb=parse.file("gcpt_dtb", text["gcpt_dtb"]) if text["gcpt_dtb"] else None,
        header_addr=parse.address("header_addr", text["header_addr"]) if text["header_addr"] else None,
        csrs=text["csrs"],
        exact=_is_on("exact", text),
        without_c=_is_on("without_c", text),
        extended=_is_on("extended", text),
        generator=parse.choice(options.BY_NAME["generator"], text["generator"]),
        selfcheck=_is_on("selfcheck", text),
        flash=_is_on("flash", text),
        ram=parse.address("ram", text["ram"], multiple=16) if text["ram"] else None,
        log=log,
        toolchain=_toolchain(text["toolchain"], text["cross_compile"]),
        cross_compile=parse.prefix("cross_compile", text["cross_compile"]),
        picolibc_dir=parse.path("picolibc", text["picolibc"]) if text["picolibc"] else None,
        debug=_is_on("debug", text),
        build_dir=_outputs("build_dir", text["build_dir"]),
        cache_dir=_outputs("cache_dir", text["cache_dir"]) if text["cache_dir"] else None,
    )
    if config.header_addr is not None and not config.protobuf:
        raise UserError(
            f"header_addr=: mode={mode} reads no protobuf header: remove header_addr=, or choose mode=normal"
        )
    _ = config.csr_groups  # raises UserError for an unknown group
    _is_on("bench_quick", text)
    parse.words("pytest_args", text["pytest_args"])
    if text["save_options"] and parse.path("save_options", text["save_options"]).is_dir():
        raise UserError(f"save_options={text['save_options']}: this is a folder: want a file")
    _outputs("export_dir", text["export_dir"] or text["build_dir"])
    for name in ("prefix", "destdir"):
        _folder(name, text[name])
    parse.count("gdb_port", text["gdb_port"], 65535)
    for name in ("sample", "random_minutes", "random_count"):
        if text[name]:
            parse.count(name, text[name], _MANY)
    for name in ("sample_seed", "random_seed"):
        if text[name]:
            parse.count(name, text[name], _LARGEST_SEED, least=0)
    if text["ide"]:
        parse.choice(options.BY_NAME["ide"], text["ide"])
    flash.check(config)
    payload.check(config)
    return config


def _is_on(name: str, text: Mapping[str, str]) -> bool:
    return parse.choice(options.BY_NAME[name], text[name]) == "1"


def _toolchain(text: str, prefix: str) -> str:
    """The kind of toolchain; "auto" with a prefix, which implies the kind and appears in the variant's name itself."""
    kind = parse.choice(options.BY_NAME["toolchain"], text)
    if not prefix:
        return kind
    if kind not in ("auto", "gnu"):
        raise UserError(f"cross_compile={prefix}: a GNU prefix contradicts toolchain={kind}: remove one of them")
    return "auto"


def _payload_position(text: Mapping[str, str], platform: Platform) -> int | None:
    if position := text["gcpt_payload_position"]:
        return parse.address("gcpt_payload_position", position, multiple=4)
    return platform.dram + PAYLOAD_OFFSET if text["gcpt_payload"] else None


def _machine(name: str, clint: str, uart: str) -> Platform:
    machine = platforms.BY_NAME[name]
    if clint:
        machine = machine._replace(clint=parse.address("clint", clint, multiple=8))
    if uart:
        machine = machine._replace(uart=platforms.parse_uart(uart))
    return machine


def _harts(mode: str, text: str) -> int:
    harts = parse.count("harts", text, MAX_HARTS) if text else default_harts(mode)
    if mode == "single_core" and harts > 1:
        raise UserError(f"harts={harts}: mode=single_core restores one hart: remove harts=, or choose another mode=")
    return harts


def _folder(name: str, text: str) -> Path:
    """The folder that the option ``name`` names; it need not exist."""
    folder = parse.path(name, text)
    if text and folder.exists() and not folder.is_dir():
        raise UserError(f"{name}={text}: this is a file: want a folder, such as build")
    return folder


def _outputs(name: str, text: str) -> Path:
    """The output folder that the option ``name`` names."""
    folder = _folder(name, text)
    try:
        root, full = Path.cwd(), folder.resolve()
    except FileNotFoundError:
        return folder  # the working directory was deleted: no project is there
    inside = full.relative_to(root).parts[:1] if full.is_relative_to(root) else ()
    if root.is_relative_to(full) or (inside and inside[0] in _SOURCES):
        raise UserError(
            f"{name}={text}: outputs would mix with the sources there: choose a separate folder, such as build"
        )
    return folder
