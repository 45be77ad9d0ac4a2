import json

import pytest

from gcpt.errors import UserError
from gcpt.restorer import platforms
from gcpt.restorer.payload import LARGEST_DTB
from gcpt.restorer.platforms import Uart
from gcpt.restorer.resolution import resolve

MIB = 1 << 20


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files that options can name, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fw.bin").write_bytes(b"\x13\0\0\0" * 16)
    (tmp_path / "empty.bin").touch()
    for name, size in (("board.dtb", 64), ("big.dtb", LARGEST_DTB + 4)):
        (tmp_path / name).write_bytes(b"\xd0\x0d\xfe\xed" + size.to_bytes(4, "big") + bytes(size - 8))
    (tmp_path / "three.bin").write_bytes(bytes(3 * MIB))
    (tmp_path / "firmware").mkdir()
    return tmp_path


def test_defaults():
    config = resolve({})
    assert (config.mode, config.platform.name, config.harts, config.log) == ("normal", "xiangshan", 128, "quiet")
    assert (config.stop_cpu, config.display_cpu, config.payload, config.header_addr) == ((), (), None, None)
    assert (config.variant, str(config.variant_dir)) == ("normal", "build/normal")
    assert config.protobuf
    assert not config.direct


def test_empty_is_unset_and_zero_is_a_hart():
    assert resolve({"stop_cpu": "", "display_cpu": "", "mode": ""}) == resolve({})
    assert resolve({"stop_cpu": "0"}).stop_cpu == (0,)
    assert resolve({"display_cpu": "0"}).display_cpu == (0,)
    assert resolve({"header_addr": "0"}).header_addr == 0


def test_hart_lists_are_sorted_and_hold_each_once():
    assert resolve({"stop_cpu": "3,1,3"}).stop_cpu == (1, 3)
    assert resolve({"display_cpu": "all", "harts": "4"}).display_cpu == (0, 1, 2, 3)


def test_bare_metal_is_single_core_with_one_hart():
    config = resolve({"mode": "bare_metal"})
    assert (config.mode, config.harts, config.direct) == ("single_core", 1, True)
    assert not resolve({"mode": "single_core", "log": "info"}).direct
    assert resolve({"mode": "single_core", "display_cpu": "all"}).display_cpu == (0,)


def test_platform_overrides_change_one_field():
    plain = resolve({"platform": "qemu-virt"}).platform
    changed = resolve({"platform": "qemu-virt", "clint": "0x38000000", "uart": "uartlite@0x40600000"}).platform
    assert (changed.clint, changed.uart) == (0x3800_0000, Uart("uartlite", 0x4060_0000))
    assert (changed.end, changed.finisher, changed.name) == (plain.end, plain.finisher, plain.name)


def test_payload_lies_a_mib_above_the_base_of_memory():
    assert resolve({"gcpt_payload": "fw.bin"}).payload_position == 0x8010_0000
    assert resolve({"gcpt_payload": "fw.bin", "platform": "southlake"}).payload_position == 0x20_0010_0000
    assert resolve({"gcpt_payload": "fw.bin", "gcpt_payload_position": "0x80200000"}).payload_position == 0x8020_0000
    assert resolve({}).payload_position is None
    assert resolve({"gcpt_payload_position": "0x80100000"}).variant == "normal-at0x80100000"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mode": "bare_metal"},
        {"mode": "dual_core", "stop_cpu": "1", "display_cpu": "all", "harts": "2"},
        {"platform": "kmh-fpga", "clint": "0x2000000", "uart": "htif", "log": "debug", "header_addr": "0"},
        {"gcpt_payload": "fw.bin", "gcpt_payload_position": "0x80400000", "gcpt_dtb": "board.dtb"},
        {"cross_compile": "riscv64-linux-gnu-", "picolibc": "/opt/p", "build_dir": "out"},
        {"gcpt_payload_position": "0x80100000", "gcpt_dtb": "board.dtb"},
        {"gcpt_payload_position": "0x80000000", "flash": "1", "mode": "single_core"},
        {"toolchain": "llvm"},
        {"toolchain": "gnu", "cross_compile": "riscv64-linux-gnu-"},
    ],
)
def test_given_options_make_the_same_configuration_again(values):
    config = resolve(values)
    assert resolve(config.options) == config
    saved = json.loads(config.to_json())
    assert resolve(saved["options"]).variant == saved["variant"]


def test_variants_share_what_does_not_depend_on_their_options():
    assert resolve({}).common_dir == resolve({"mode": "auto", "platform": "spike"}).common_dir
    folders = [resolve(values).common_dir for values in ({}, {"cross_compile": "x-"}, {"toolchain": "llvm"})]
    assert len({*folders, resolve({"toolchain": "gnu", "cross_compile": "x-"}).common_dir}) == 3
    assert resolve({}).common_dir != resolve({"picolibc": "x"}).common_dir


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("stopcpu=1", "unknown option stopcpu=1; did you mean stop_cpu?"),
        ("gcpt-payload=fw.bin", "did you mean gcpt_payload?"),
        ("mode=dualcore", "mode=dualcore: want one of normal, .*; did you mean dual_core?"),
        ("platform=xs", "platform=xs: want one of xiangshan"),
        ("log=verbose", "log=verbose: want one of quiet, info, debug"),
        ("stop_cpu=x", "stop_cpu=x: want hart numbers"),
        ("stop_cpu=-1", "want hart numbers"),
        ("stop_cpu=1,", "want hart numbers"),
        ("stop_cpu=all", "want hart numbers"),
        ("stop_cpu=128", "hart 128 is out of range for harts=128"),
        ("display_cpu=2 harts=2", "hart 2 is out of range for harts=2: want harts 0 to 1, or a larger harts="),
        ("display_cpu=1 mode=single_core", "hart 1 is out of range for harts=1: want hart 0"),
        ("stop_cpu=0,1 harts=2", r"all harts are parked \(harts=2\)"),
        ("stop_cpu=0 mode=single_core", "all harts are parked"),
        ("harts=0", "want a number from 1 to 128"),
        ("harts=129", "want a number from 1 to 128"),
        ("harts=2 mode=single_core", "mode=single_core restores one hart"),
        ("clint=here", "clint=here: want an address"),
        ("clint=0x38000004", "want a multiple of 8; the next one is 0x38000008"),
        ("uart=16550", "want KIND@ADDR"),
        ("uart=16550@0x310b0000,", "want KIND@ADDR"),
        ("csrs=,", "csrs=,: no group is named"),
        ("uart=ns@0x10", "want KIND@ADDR"),
        ("header_addr=0x80300000 mode=dual_core", "mode=dual_core reads no protobuf header"),
        (f"header_addr={1 << 56:#x}", "below 2.56"),
        ("gcpt_payload=nothing.bin", "no such file"),
        ("gcpt_payload=firmware", "not a file"),
        ("gcpt_payload=empty.bin", "is empty"),
        ("gcpt_payload=a$b.bin", r"cannot use a path with '\$'"),
        ("gcpt_payload_position=0x800ffffc", "gcpt_payload_position=0x800ffffc overlaps the restorer's first MiB"),
        ("gcpt_payload_position=0x7ffffffc", "gcpt_payload_position=0x7ffffffc is outside memory"),
        ("gcpt_payload_position=0x80100000 platform=southlake", "outside memory"),
        ("gcpt_payload_position=0x80300000 mode=dual_core", "overlaps the state of 128 harts"),
        ("gcpt_payload_position=0x803ffffc mode=dual_core harts=1", "choose gcpt_payload_position=0x80400000 or more"),
        (
            "gcpt_payload_position=0x80140000 flash=1 ram=0x80140000",
            "0x80140000 is in the MiB at ram=0x80140000, which the restorer overwrites",
        ),
        ("gcpt_dtb=board.dtb", "there is no payload: set gcpt_payload=FILE or gcpt_payload_position= as well"),
        ("gcpt_payload=fw.bin gcpt_payload_position=0x80000000", "overlaps the restorer's first MiB"),
        ("gcpt_payload=fw.bin gcpt_payload_position=0x800ffffc", "overlaps the restorer's first MiB"),
        ("gcpt_payload=fw.bin gcpt_payload_position=0x7fffffc0", "outside memory"),
        ("gcpt_payload=fw.bin gcpt_payload_position=0x2007fffffe0", "outside memory"),
        ("gcpt_payload=fw.bin gcpt_payload_position=0x17fffffe0", "larger than 4 GiB"),
        ("gcpt_payload=fw.bin gcpt_payload_position=0x80100002", "want a multiple of 4; the next one is 0x80100004"),
        ("gcpt_payload=fw.bin gcpt_payload_position=0x80100000 platform=southlake", "outside memory"),
        ("gcpt_payload=three.bin mode=dual_core harts=2", "gcpt_payload_position=0x80500000 or more"),
        ("gcpt_payload=fw.bin gcpt_payload_position=0x802fffe0 mode=dual_core", "overlaps the state of 128 harts"),
        ("gcpt_payload=fw.bin gcpt_dtb=fw.bin", "not a device tree blob"),
        ("gcpt_payload=fw.bin gcpt_dtb=big.dtb", "larger than 0x80000 bytes, .*: dtc -I dtb -O dtb removes"),
        ("flash=1 mode=single_core gcpt_payload=fw.bin", "cannot contain a payload"),
        ("ram=0x90000000", "ram= is for a restorer in flash: remove it, or add flash=1"),
        ("ram=0x90000000 flash=1 mode=single_core", "mode=single_core log=quiet needs no memory"),
        (
            "ram=0x20000000 flash=1",
            "is out of reach: choose memory within 0x80000000 to 0x90000000 on",
        ),
        ("ram=0x8ff00010 flash=1", "ram=0x8ff00010: 0x8ff00010 to 0x90000010 is out of reach"),
        ("ram=0x7ffffff0 flash=1", "is out of reach"),
        ("ram=0x80040000 flash=1 platform=southlake", "0x2000000000 to 0x207ff80000 on southlake"),
        (
            "ram=0x80300000 flash=1 harts=4",
            "overlaps the state of 4 harts at 0x80300000 to 0x80700000: choose 0x80700000",
        ),
        ("ram=0x806ffff0 flash=1 harts=4", "overlaps the state of 4 harts"),
        ("flash=1", "a restorer that prints or restores several harts needs writable memory"),
        ("build_dir=.", "choose a separate folder"),
        ("build_dir=..", "choose a separate folder"),
        ("build_dir=firmware/out", "choose a separate folder"),
        ("build_dir=fw.bin", "this is a file"),
    ],
)
def test_what_is_wrong_gets_one_line(options, words):
    with pytest.raises(UserError, match=words) as caught:
        resolve(dict(word.split("=", 1) for word in options.split(" ")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        "gcpt_payload=fw.bin gcpt_payload_position=0x802fffc0 mode=dual_core",
        "gcpt_payload=three.bin gcpt_payload_position=0x80500000 mode=dual_core harts=2",
        "gcpt_payload=three.bin",
        "gcpt_payload_position=0x80100000",
        "gcpt_payload_position=0x80400000 mode=dual_core harts=1",
        "gcpt_payload_position=0x80000000 flash=1 ram=0x80140000",
        "gcpt_payload=fw.bin gcpt_payload_position=0x17fffffc0",
        "harts=1 mode=single_core",
        "stop_cpu=0 harts=2",
        "build_dir=/elsewhere/out",
        "clint=0",
    ],
)
def test_what_is_just_right_is_taken(options):
    resolve(dict(word.split("=", 1) for word in options.split(" ")))


@pytest.mark.parametrize("name", list(platforms.BY_NAME))
def test_dram_begins_at_a_power_of_two(name: str) -> None:
    """The restorer shifts an address to see whether it is in flash, below DRAM."""
    platform = platforms.BY_NAME[name]
    assert platform.dram.bit_count() == 1
    assert platform.flash < platform.dram
