"""A change rebuilds exactly the files that depend on it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

AFTER_LINK = {"LD", "AUD", "BIN", "DIS", "CP"}


def headers_of(project, entry) -> set[str]:
    """The project's files that a compilation reads, according to the compiler."""
    command = [word for word in entry["arguments"] if word != "-c"]
    command[command.index("-o") : command.index("-o") + 2] = ["-M"]
    text = subprocess.run(command, cwd=project.folder, check=True, capture_output=True, text=True).stdout
    names = re.split(r"(?<!\\)\s+", text.replace("\\\n", " ").partition(":")[2].strip())
    paths = [os.path.normpath(name.replace("\\ ", " ")) for name in names]
    return {path for path in paths if not path.startswith("/")}


def test_scanner_finds_what_the_compiler_reads(built):
    """A change of each header and source recompiles the files that depend on it according to the compiler."""
    built.build("display_cpu=0", "log=debug")
    entries = json.loads((built / "build/compile_commands.json").read_text())
    read = {Path(entry["file"]).name: headers_of(built, entry) for entry in entries}
    inputs = set().union(*read.values())
    assert {"firmware/include/macros.h", "firmware/include/plan.h"} <= inputs
    for name in sorted(path for path in inputs if path.startswith("firmware/")):
        # An unused macro: objects stay the same, so nothing is linked.
        built.append(name, "\n#define GCPT_TEST_NOTHING 1\n")
        run = built.build("display_cpu=0", "log=debug")
        assert run.compiled() == {source for source, paths in read.items() if name in paths}, name


@pytest.mark.parametrize("name", ["third_party/picolibc.h", "build/third_party/picolibc/meson.build"])
def test_picolibcs_headers_are_followed_by_its_version_and_configuration(built, name):
    built.append(name, "\n")
    assert {"plan.c", "decode.c", "memset.S"} <= built.build().compiled()


def test_touching_files_rebuilds_nothing(built):
    for path in [*(built / "firmware").rglob("*.[cSh]"), *(built / "site_scons").rglob("*.py"), built / "SConstruct"]:
        path.touch()
    assert built.build().steps == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "compiled"),
    [
        (
            "site_scons/gcpt/isa/csrs.py",
            'Csr(0x180, "satp", "base", _E',
            'Csr(0x180, "satp", "base", _N',
            {"restore.S"},
        ),
        ("proto/checkpoint.proto", "// The header", "// This is the header", set()),
        ("proto/checkpoint.proto", "uint64 version = 6;", "uint64 version = 7;", {"decode.c"}),
        (
            "build/third_party/picolibc/newlib/libc/machine/riscv/memset.S",
            "beqz a2, 2f",
            "beqz a2, 2f; nop",
            {"memset.S"},
        ),
        ("firmware/gcpt.ld", "ENTRY(_start)", "gcpt_test = 1;\nENTRY(_start)", set()),
        ("site_scons/gcpt/restorer/budgets.py", "12288", "12289", set()),
        ("site_scons/gcpt/restorer/trampoline.py", "REGION = 1 << 12", "REGION = 1 << 13", set()),
        ("site_scons/gcpt/restorer/options.py", "harts to park", "harts to stop", set()),
    ],
)
def test_an_edit_rebuilds_what_it_changes(built, name, old, new, compiled):
    built.replace(name, old, new)
    run = built.build()
    assert run.compiled() == compiled
    assert ("LD" in run.kinds()) == (bool(compiled) or not name.startswith("proto/"))
    assert built.build().steps == set()


def test_a_comment_in_what_renders_rebuilds_nothing(built):
    built.append("site_scons/gcpt/build/render.py", "\n# Nothing that is rendered.\n")
    assert built.build().steps == set()


def test_a_rendered_linker_definition_relinks_and_compiles_nothing(built):
    built.replace("site_scons/gcpt/build/render.py", '"gcpt_load_address": base,', '"gcpt_load_address": base, "t": 1,')
    run = built.build()
    assert "GEN build/normal/generated/gcpt_defs.ld" in run.steps
    assert (run.compiled(), "LD" in run.kinds()) == (set(), True)


def test_a_flag_in_the_table_recompiles(built):
    built.replace("site_scons/gcpt/build/toolchain.py", '"-Os"', '"-O2"')
    run = built.build()
    assert {"plan.c", "header.c", "decode.c"} <= run.compiled()
    assert "restore.S" not in run.compiled()


def test_the_generators_code_and_versions_are_inputs(built):
    built.build("export")
    built.append("site_scons/site_tools/nanopb_messages.py", "# Another version.\n")
    run = built.build("export")
    assert run.steps == {"PB proto/checkpoint.proto"}
    tree = built.build("--tree=all", "export").out
    for name in ("generator/nanopb_generator.py", "grpc_tools/grpc_version.py", "google/protobuf/__init__.py"):
        assert name in tree
    assert "site_scons/gcpt/build/nanopb.py" in tree


def test_an_options_file_of_nanopb_that_appears_is_an_input(built):
    built.build("export")
    (built / "proto/checkpoint.options").write_text("checkpoint_header.version int_size:IS_32\n")
    assert "PB" in built.build("export").kinds()
    assert "uint32_t version;" in (built / "build/common/objects/checkpoint.pb.h").read_text()


@pytest.mark.parametrize("time", [None, 1_000_000_000])
def test_payload_and_device_tree_are_inputs_whatever_their_time(built, payload, dtb, time):
    arguments = (f"gcpt_payload={payload}", f"gcpt_dtb={dtb}")
    if time:
        os.utime(payload, (time, time))
    built.build(*arguments)
    assert built.build(*arguments).steps == set()
    payload.write_bytes(payload.read_bytes()[::-1])
    if time:
        os.utime(payload, (time, time))
    run = built.build(*arguments)
    assert run.compiled() == {"payload.S"}
    assert run.kinds() >= AFTER_LINK
    assert (built / "build/gcpt.bin").read_bytes()[1 << 20 :] == payload.read_bytes()
    dtb.write_bytes(dtb.read_bytes()[:-4] + b"more")
    assert built.build(*arguments).compiled() == {"payload.S"}
    payload.touch()
    assert built.build(*arguments).steps == set()


def test_another_option_shares_what_is_the_same_and_going_back_rebuilds_nothing(built):
    first = (built / "build/gcpt.bin").read_bytes()
    run = built.build("platform=qemu-virt")
    # Sources that use the console, the end of a run, the CLINT, memory or the CSR groups.
    assert run.compiled() == {"fail.S", "restore.S", "boot_planned.S", "plan.c", "decode.c"}
    assert (built / "build/gcpt.bin").read_bytes() != first
    run = built.build()
    assert run.kinds() == {"CP"}
    assert (built / "build/gcpt.bin").read_bytes() == first
    assert built.build().steps == set()


@pytest.mark.parametrize(
    ("option", "compiled"),
    [
        ("stop_cpu=1", {"boot_planned.S", "restore.S", "plan.c", "decode.c"}),
        ("exact=1", {"restore.S"}),
        ("header_addr=0x50000000", {"header.c"}),
        ("csrs=-h", {"restore.S"}),
        ("mode=dual_core", {"head.S", "plan.c"}),
    ],
)
def test_an_option_recompiles_what_names_it(built, option, compiled):
    assert built.build(option).compiled() == compiled
    assert built.build().kinds() == {"CP"}
    assert built.build(option).kinds() == {"CP"}


def test_the_toolchain_is_an_input(built, tmp_path):
    """The same compiler under another prefix, then another compiler under this prefix."""
    folder = tmp_path / "tool chain"
    folder.mkdir()
    for name in ("gcc", "ld", "objdump"):
        real = subprocess.run(["which", f"riscv64-unknown-elf-{name}"], capture_output=True, text=True).stdout.strip()
        (folder / f"my-{name}").write_text(f'#!/bin/sh\nexec {real} "$@"\n')
        (folder / f"my-{name}").chmod(0o755)
    first = (built / "build/gcpt.bin").read_bytes()
    prefix = f"cross_compile={folder}/my-"
    run = built.build(prefix)
    assert {"head.S", "plan.c", "decode.c"} <= run.compiled()
    assert (built / "build/gcpt.bin").read_bytes() == first
    assert built.build(prefix).steps == set()
    with (folder / "my-gcc").open("a") as file:
        file.write("# another version\n")
    run = built.build(prefix)
    assert {"head.S", "plan.c", "decode.c"} <= run.compiled()

    with (folder / "my-ld").open("a") as file:
        file.write("# another version\n")
    run = built.build(prefix)
    assert (run.compiled(), "LD" in run.kinds()) == (set(), True)


def test_own_copy_of_foreign_sources(built, tmp_path):
    (built / "build/third_party/picolibc").rename(tmp_path / "my picolibc")
    run = built.build(f"picolibc={tmp_path}/my picolibc")
    assert {"memset.S", "memcpy-asm.S"} <= run.compiled()
    assert built.build(f"picolibc={tmp_path}/my picolibc").steps == set()


def test_a_lost_output_is_made_again(built):
    (built / "build/normal/gcpt.elf").unlink()
    (built / "build/gcpt.bin").unlink()
    run = built.build()
    assert {"LD", "CP"} <= run.kinds()
    assert run.compiled() == set()


def test_another_checkout_fetches_from_the_cache(built, project, tmp_path):
    """A second checkout fetches identical files from the shared cache."""
    cache = f"cache_dir={tmp_path / 'cache'}"
    other = {"plan.c", "boot_planned.S"}
    first, second = built.build(cache, "stop_cpu=1"), project.build(cache, "stop_cpu=1")
    assert first.compiled() >= other and not second.compiled() & other
    assert "Retrieved `build/normal-stop1/gcpt.elf' from cache" in second.lines
    for name in ("gcpt.bin", "gcpt.elf", "normal-stop1/gcpt.map"):
        assert (built / f"build/{name}").read_bytes() == (project / f"build/{name}").read_bytes()
    project.replace("firmware/plan.c", "#include", "/* another */\n#include")
    assert project.build(cache, "stop_cpu=1").compiled() == {"plan.c"}


def test_without_a_cache_nothing_is_kept_elsewhere(built, tmp_path):
    built.build("stop_cpu=2")
    assert not (tmp_path / "cache").exists()
    assert built.scons("-n", f"cache_dir={tmp_path / 'cache'}", "stop_cpu=3").status == 0
    assert not (tmp_path / "cache").exists()
