import re
from pathlib import Path

import pytest

from gcpt.build import generated, messages, nanopb, render, sources, toolchain
from gcpt.checkpoint import header
from gcpt.errors import UserError
from gcpt.restorer import budgets
from gcpt.restorer.resolution import resolve

ROOT = Path(__file__).parents[2]


def test_missing_sources_are_named_and_how_to_get_them(tmp_path):
    values = {"picolibc": str(tmp_path / "c")}
    with pytest.raises(UserError, match=r"c/ has no newlib/libc/.*/memset.S: choose another .* picolibc=DIR"):
        toolchain.check_sources(resolve({**values, "mode": "dual_core"}))
    toolchain.check_sources(resolve({**values, "mode": "single_core"}))
    for path in toolchain.library_sources(resolve(values)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    toolchain.check_sources(resolve(values))
    with pytest.raises(UserError, match=r"has no newlib/libc/tinystdio/vfiprintf.c and .*strnlen.c"):
        toolchain.check_sources(resolve({**values, "log": "info"}))


@pytest.mark.parametrize(
    ("targets", "needed"),
    [
        ([], True),
        (["test"], False),
        (["toolchains"], False),
        (["build"], True),
        (["test", "build"], True),
        (["build/normal/compile_commands.json"], False),
        (["compiledb"], False),
        (["ide"], False),
        (["run"], True),
    ],
)
def test_the_toolchain_is_needed_for_all_but_tests_and_databases(targets, needed):
    assert toolchain.needed(targets) is needed


def test_only_the_payload_file_depends_on_the_payload(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("fw.bin").write_bytes(b"1234")
    config = resolve({"gcpt_payload": "fw.bin"})
    assert toolchain.embedded(config, "payload.S") == {"GCPT_PAYLOAD_FILE": Path("fw.bin")}
    assert toolchain.defines(config, "payload.S") == ['-DGCPT_PAYLOAD_FILE="fw.bin"']
    assert toolchain.defines(config, "head.S") == []


def test_shared_objects_see_no_folder_of_a_variant():
    config = resolve({"platform": "spike"})
    folder = generated.source_folder(config, "plan.c", [])
    assert folder in toolchain.include_path(folder)
    assert not any(str(config.variant_dir) in str(path) for path in toolchain.include_path(folder))
    assert toolchain.include_path(None) == []


def test_a_source_gets_what_it_names():
    """An option that a source does not use does not change its folder; pasted macros are always defined."""
    plain, stopped = resolve({"mode": "dual_core"}), resolve({"mode": "dual_core", "stop_cpu": "1"})
    assert generated.source_folder(plain, "fail.S", []) == generated.source_folder(stopped, "fail.S", [])
    assert generated.source_folder(plain, "plan.c", []) != generated.source_folder(stopped, "plan.c", [])
    header = generated.source_files(plain, "restore.S")["gcpt_config.h"]
    assert "#define GCPT_CLINT " in header and "#define PLAN_float_reg " in header
    assert "GCPT_UART" not in generated.source_files(plain, "plan.c")["gcpt_config.h"]
    assert generated.source_files(plain, "restore.S")["gcpt_csrs.inc"] == render.csr_assembly(plain)


def test_linker_includes():
    text = '/* INCLUDE not.ld */\nINCLUDE gcpt_defs.ld\n  INCLUDE "other.ld";\nSECTIONS { }\n'
    assert sources.linker_includes(text) == ["gcpt_defs.ld", "other.ld"]


def test_budgets_are_those_of_the_loaders():
    assert budgets.budget(resolve({"mode": "single_core"})) == 0xE00
    for csrs in ("rva22", "rv64gc", "base,f,pmp16", "rva22,hpm"):
        limit = budgets.budget(resolve({"mode": "single_core", "csrs": csrs}))
        assert limit == (0xE00 if "hpm" in csrs else 0x700)
    assert budgets.budget(resolve({})) == budgets.budget(resolve({"mode": "dual_core"})) == 12288
    assert budgets.budget(resolve({"log": "info"})) > 12288
    assert budgets.line("x/gcpt.bin", 1664, resolve({"mode": "single_core"})) == "x/gcpt.bin  1,664 bytes of 3,584"
    assert budgets.line("x/gcpt.map", 1664, resolve({"mode": "single_core"})) == "x/gcpt.map  1,664 bytes"


def test_the_decoders_messages_are_those_of_protobuf():
    """... so that the firmware needs no code of protoc and nanopb."""
    tags = messages.read(generated.PROTO)
    descriptors = {name: message.DESCRIPTOR for name, message in header.messages().items()}
    numbers = {name: {field.name: field.number for field in each.fields} for name, each in descriptors.items()}
    assert tags == numbers
    assert "#define checkpoint_header_version_tag 6\n" in messages.header(tags)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("uint64 version", "uint65 version", "uint65 version = 6: want uint64 NAME = TAG"),
        ("uint64 version", "repeated uint64 version", "repeated uint64 version"),
        ("version = 6", "version = 32", "uint64 version = 32: want uint64 NAME = TAG, TAG from 1 to 31"),
        ("version = 6;", "version = 6", "uint64 version = 6: want"),
        ("message checkpoint_header", "enum checkpoint_header", "not understood"),
        ('"proto3"', '"proto2"', "not understood"),
    ],
)
def test_messages_that_the_decoder_cannot_read_are_refused(tmp_path, old, new, words):
    text = generated.PROTO.read_text()
    assert old in text
    (tmp_path / "c.proto").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=re.escape(words)):
        messages.read(tmp_path / "c.proto")


def test_nanopb_generator_makes_the_names_that_generators_compile_against():
    source, header = nanopb.generate(ROOT / "proto/checkpoint.proto")
    for name in ("checkpoint_header", "single_core_rvgc_rvv_rvh_memlayout"):
        assert f"PB_BIND({name}, " in source
        assert f"}} {name};" in header
    assert "uint64_t vector_reg_done;" in header


def test_nanopb_generator_refuses_what_protoc_refuses(tmp_path, capfd):
    (tmp_path / "bad.proto").write_text("message {\n")
    with pytest.raises(ValueError, match="protoc found errors"):
        nanopb.generate(tmp_path / "bad.proto")
    assert "bad.proto:1" in capfd.readouterr().err


def test_nanopb_generator_obeys_the_options_file_and_refuses_one_that_matches_nothing(tmp_path):
    (tmp_path / "m.proto").write_text('syntax = "proto3";\nmessage m { string s = 1; }\n')
    (tmp_path / "m.options").write_text("m.s max_size:7\n")
    assert "char s[7];" in nanopb.generate(tmp_path / "m.proto")[1]
    (tmp_path / "m.options").write_text("m.t max_size:7\n")
    with pytest.raises(Exception, match="did not match"):
        nanopb.generate(tmp_path / "m.proto")


def test_the_generators_versions_are_inputs():
    names = [path.name for path in nanopb.inputs()]
    assert names == ["nanopb_generator.py", "grpc_version.py", "__init__.py"]
