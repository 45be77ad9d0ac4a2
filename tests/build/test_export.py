"""The exported folder, used as by NEMU's makefiles and workload-builder's scripts."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gcpt.checkpoint import header, stamp
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import DEFAULT, MIB, MULTI_CORE, Layout

#: Prints sizes, then writes each pair of exported defaults to a file, encoded as generators do.
ENCODER = r"""
#include <cpt_default_values.h>
#include <pb_encode.h>
#include <stdio.h>

static int put(const char *name, const single_core_rvgc_rvv_rvh_memlayout *layout)
{
    unsigned char bytes[512];
    pb_ostream_t out = pb_ostream_from_buffer(bytes, sizeof bytes);
    if (!pb_encode_ex(&out, checkpoint_header_fields, &multicore_default_header, PB_ENCODE_NULLTERMINATED) ||
        !pb_encode_ex(&out, single_core_rvgc_rvv_rvh_memlayout_fields, layout, PB_ENCODE_NULLTERMINATED))
        return 1;
    FILE *file = fopen(name, "wb");
    return !file || fwrite(bytes, 1, out.bytes_written, file) != out.bytes_written || fclose(file);
}

int main(void)
{
    printf("%d %d", (int)sizeof(checkpoint_header), (int)sizeof(single_core_rvgc_rvv_rvh_memlayout));
    return put("qemu", &default_qemu_memlayout) || put("rvgc", &default_rvgc_v_h_memlayout) ||
           put("multicore", &default_multicore_layout);
}
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, copy_project):
    """A project that has exported once; tests only copy its build/export."""
    project = copy_project(tmp_path_factory.mktemp("exporting") / "a project")
    project.build("export")
    return project


@pytest.fixture
def exported(checkout, tmp_path: Path) -> Path:
    """A copy of the exported folder without build outputs, as workload-builder uses it."""
    folder = shutil.copytree(checkout / "build/export", tmp_path / "an export")
    shutil.rmtree(folder / "build")
    return folder


def _run(folder: Path, *command: str, status: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    run = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == status, run.stdout + run.stderr
    return run


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


CONSUMED = {
    "build/gcpt.bin",
    "build/gcpt",
    "src/checkpoint.proto",
    "src/restore_rom_addr.h",
    "src/checkpoint.pb.c",
    "export_include/checkpoint.pb.h",
    "export_include/cpt_default_values.h",
}


def test_the_folder_holds_what_nemu_looks_for(checkout):
    folder = checkout / "build/export"
    assert _files(folder) == {*CONSUMED, "configure", "Makefile", "gcpt.options"}
    for name, output in {"gcpt.bin": "gcpt.bin", "gcpt": "gcpt.elf"}.items():
        assert (folder / "build" / name).read_bytes() == (checkout / "build/normal" / output).read_bytes()


def test_nemu_reads_the_offsets_from_the_header(checkout, tmp_path: Path):
    """Without protobuf, NEMU writes the state where these macros say, from C++."""
    link = tmp_path / "gcpt_restore"
    link.symlink_to(checkout / "build/export")
    offsets = {
        "magic_number": "BOOT_FLAG_ADDR",
        "pc": "PC_CPT_ADDR",
        "mode": "MODE_CPT_ADDR",
        "mtime": "MTIME_CPT_ADDR",
        "mtime_cmp": "MTIME_CMP_CPT_ADDR",
        "misc_done": "MISC_DONE_CPT_ADDR",
        "misc_reserve": "MISC_RESERVE",
        "int_reg": "INT_REG_CPT_ADDR",
        "int_reg_done": "INT_REG_DONE",
        "float_reg": "FLOAT_REG_CPT_ADDR",
        "float_reg_done": "FLOAT_REG_DONE",
        "csr_reg": "CSR_REG_CPT_ADDR",
        "csr_reg_done": "CSR_REG_DONE",
        "csr_reserve": "CSR_RESERVE",
        "vector_reg": "VECTOR_REG_CPT_ADDR",
        "vector_reg_done": "VECTOR_REG_DONE",
    }
    source = tmp_path / "serializer.cpp"
    names = ", ".join(f"{macro} - BOOT_CODE" for macro in offsets.values())
    source.write_text(
        "#include <gcpt_restore/src/restore_rom_addr.h>\n#include <cstdio>\n"
        f"static const long values[] = {{CPT_MAGIC_BUMBER, {names}}};\n"
        'int main() { for (long value : values) std::printf("%ld ", value); }\n'
    )
    _run(tmp_path, "g++", "-Wall", "-Werror", f"-I{tmp_path}", "-o", "serializer", str(source))
    printed = [int(word) for word in _run(tmp_path, "./serializer").stdout.split()]
    assert printed == [0xBEEF, *(getattr(DEFAULT, field) for field in offsets)]
    assert set(offsets) == set(DEFAULT.items())


@pytest.mark.parametrize("compiler", ["gcc -std=c11", "g++ -std=c++17"])
def test_the_exported_values_compile_and_encode_to_what_is_documented(checkout, tmp_path: Path, compiler: str):
    """NEMU compiles src/checkpoint.pb.c itself, and includes the headers from C++."""
    cxx = "++" in compiler
    main = tmp_path / ("main.cpp" if cxx else "main.c")
    main.write_text(f'extern "C" {{\n#include <checkpoint.pb.h>\n}}\n{ENCODER}' if cxx else ENCODER)
    folder, nanopb = checkout / "build/export", checkout / "build/third_party/nanopb"
    include = [f"-I{folder}/export_include", f"-I{nanopb}"]
    objects = []
    for source in (folder / "src/checkpoint.pb.c", nanopb / "pb_encode.c", nanopb / "pb_common.c"):
        objects.append(f"{tmp_path}/{source.name}.o")
        _run(tmp_path, "gcc", "-Wall", "-Werror", *include, "-c", "-o", objects[-1], str(source))
    _run(tmp_path, *compiler.split(), "-Wall", "-Wextra", "-Werror", *include, "-o", "encode", str(main), *objects)
    sizes = _run(tmp_path, "./encode").stdout.split()

    def decoded(name: str) -> Header:
        data = (tmp_path / name).read_bytes()
        decoded_header, size = header.decode(data)
        assert size == len(data)
        return decoded_header

    values = {"magic_number": 0xDEADBEEF, "cpt_offset": 168, "cpu_num": 1, "single_core_size": MIB}
    assert sum(map(int, sizes)) == 168
    absolute = Layout(**{name: 0x8000_0000 + offset for name, offset in DEFAULT.items().items()})
    for name, layout in {"qemu": DEFAULT, "rvgc": absolute, "multicore": MULTI_CORE}.items():
        assert decoded(name) == Header(**values, version=0x20240205, layout=layout)


def test_nemu_configures_and_makes_where_nothing_is_built(checkout, exported: Path):
    _run(exported, "./configure")
    _run(exported.parent, "make", "-s", "-C", str(exported), "CROSS_COMPILE=riscv64-unknown-elf-")
    assert {name for name in _files(exported) if not name.startswith("build/scons/")} >= CONSUMED
    assert (exported / "build/gcpt.bin").read_bytes() == (checkout / "build/normal/gcpt.bin").read_bytes()
    _run(exported.parent, "make", "-s", "-C", str(exported), "clean")
    # Without one of the two in src/, NEMU's makefiles clone another restorer into the folder.
    assert _files(exported) == {
        "configure",
        "Makefile",
        "gcpt.options",
        "src/checkpoint.proto",
        "src/restore_rom_addr.h",
    }


@pytest.mark.parametrize("spelling", ["--gcpt-payload={}", "--gcpt_payload={}", "--gcpt-payload {}", "gcpt_payload={}"])
def test_workload_builder_gets_a_megabyte_and_the_payload(exported: Path, payload: Path, spelling: str):
    relative = os.path.relpath(payload, exported)
    words = [word.format(relative) for word in spelling.split()]
    _run(exported, "bash", "./configure", "--mode=dual_core", *words)
    run = _run(exported, "make", "LDFLAGS=-no-pie", CFLAGS="-fno-stack-protector -fno-PIE")
    assert run.stderr == ""
    image = (exported / "build/gcpt.bin").read_bytes()
    assert image[MIB:] == payload.read_bytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("-O2 -DCONFIG_CLINT_MMIO=0x2000000", "clint=0x2000000"),
        ("-DCONFIG_SERIAL_PORT=0x310b0000 -O2", "uart=16550@0x310b0000,2"),
        (
            "-D CONFIG_SERIAL_PORT='0x10000000UL' -DCONFIG_CLINT_MMIO=(0x2000000)",
            "clint=0x2000000 uart=16550@0x10000000",
        ),
        ("-DCONFIG_SERIAL_PORT=0x40600004", ""),  # the data register of the platform's console
        ("-DCONFIG_CLINT_MMIO=0x38000000", ""),
    ],
)
def test_addresses_in_cflags_are_options(exported, flags, words):
    run = _run(exported, "make", CFLAGS=flags)
    assert run.stderr == ""
    found = stamp.find((exported / "build/gcpt.bin").read_bytes())
    assert found and " ".join(f"{name}={value}" for name, value in found.options.items()) == words


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("-DCONFIG_CLINT_MMIO", "CFLAGS: -DCONFIG_CLINT_MMIO=: want an address"),
        ("-DCONFIG_CLINT_MMIO=0x2000004", "want a multiple of 8"),
        ("-DCONFIG_SERIAL_PORT=0x12340000", "use ./configure --uart=KIND@0x12340000[,SHIFT] instead"),
    ],
)
def test_addresses_in_cflags_that_mean_no_option_fail_make(exported, flags, words):
    error = _run(exported, "make", CFLAGS=flags, status=2).stderr
    line, *_ = error.splitlines()
    assert line.startswith("gcpt: ") and words in line
    assert not (exported / "build/gcpt.bin").exists()


def test_other_macros_in_cflags_are_not_ignored_silently(exported):
    error = _run(exported, "make", CFLAGS="-O2 -DCONFIG_MULTICORE=1").stderr
    assert error.count("\n") == 1 and "CONFIG_MULTICORE is ignored" in error


def test_without_a_payload_the_image_is_at_most_a_megabyte(exported: Path):
    _run(exported, "./configure", "--mode=dual_core")
    _run(exported, "make")
    assert 0 < (exported / "build/gcpt.bin").stat().st_size <= MIB


def test_configured_images_are_those_of_scons(checkout, exported: Path, payload: Path, tmp_path: Path):
    options = [
        "stop_cpu=1",
        "display_cpu=0",
        "log=info",
        "selfcheck=1",
        f"gcpt_payload={payload}",
        "platform=qemu-virt",
    ]
    checkout.build("mode=dual_core", *options, f"build_dir={tmp_path / 'out'}")
    words = ["--mode", "dual_core", "--stop-cpu=1", "--display_cpu", "0", "--enable-selfcheck"]
    _run(
        exported,
        "./configure",
        *words,
        "--log=info",
        "platform=qemu-virt",
        f"--gcpt-payload={os.path.relpath(payload, exported)}",
    )
    _run(exported, "make", "-j")
    image = (exported / "build/gcpt.bin").read_bytes()
    assert image == (tmp_path / "out/gcpt.bin").read_bytes()
    assert _run(exported, "make").stdout.count("[") == 0, "nothing to do"
    _run(exported, "./configure", "--mode=dual_core")
    _run(exported, "make", f"GCPT_PAYLOAD_PATH={os.path.relpath(payload, exported)}")
    changed = (exported / "build/gcpt.bin").read_bytes()
    assert changed != image and changed[MIB:] == payload.read_bytes()


def test_a_bare_configure_keeps_the_options(checkout, tmp_path: Path):
    """NEMU runs it before make; so what was exported, or configured since, stays."""
    folder = tmp_path / "gcpt_restore"
    options = ["mode=single_core", "gcpt_payload_position=0x80100000", "clint=0x2000000"]
    checkout.build("export", f"export_dir={folder}", f"build_dir={tmp_path / 'out'}", *options)
    image = (folder / "build/gcpt.bin").read_bytes()
    shutil.rmtree(folder / "build")
    _run(folder, "./configure")
    _run(folder, "make", "-s", "CROSS_COMPILE=riscv64-unknown-elf-")
    assert (folder / "build/gcpt.bin").read_bytes() == image
    _run(folder, "./configure", "--mode=single_core")
    configured = (folder / "gcpt.options").read_bytes()
    assert "kept" in _run(folder, "./configure").stdout
    assert (folder / "gcpt.options").read_bytes() == configured
    (folder / "gcpt.options").unlink()
    assert "default options" in _run(folder, "./configure").stdout


def test_make_writes_to_another_folder(exported: Path, payload: Path, tmp_path: Path):
    """As NEMU's script that rebuilds an image with another payload calls it."""
    out = tmp_path / "an output"
    _run(tmp_path, "make", "-C", str(exported), f"O={out}", f"GCPT_PAYLOAD_PATH={payload}")
    assert (out / "build/gcpt.bin").read_bytes()[MIB:] == payload.read_bytes()
    assert (out / "build/gcpt").exists() and not (exported / "build/gcpt.bin").exists()
    _run(exported, "make", f"O={out}", "clean")
    assert not (out / "build").exists() and not (exported / "build").exists()


def test_configure_refuses_in_one_line_and_leaves_the_options(exported: Path):
    _run(exported, "./configure", "--mode=dual_core", "--stop-cpu=1")
    before = (exported / "gcpt.options").read_bytes()
    cases = {
        ("--stop-cpus=1",): "unknown option --stop-cpus=1; did you mean --stop-cpu?",
        ("--nothing-like-it",): "unknown option --nothing-like-it",
        ("--mode=triple",): "want one of normal, dual_core, single_core",
        ("--stop-cpu",): "no value: want",
        ("--build-dir=x",): "only scons has this option",
        ("--gcpt-payload=absent",): "no such file",
        ("dual_core",): "want options, such as --mode=dual_core",
    }
    for words, message in cases.items():
        error = _run(exported, "./configure", *words, status=2).stderr
        assert error.startswith("gcpt: ") and error.count("\n") == 1 and message in error, (words, error)
    assert (exported / "gcpt.options").read_bytes() == before
    assert "--gcpt-payload=FILE" in _run(exported, "./configure", "--help").stdout


def test_a_toolchain_that_is_not_there_fails_make(exported: Path):
    error = _run(exported, "make", "CROSS_COMPILE=nowhere-", status=2).stderr
    assert "nowhere-gcc is not found" in error


def test_a_project_that_moved_away_is_named(exported: Path):
    for name in ("configure", "Makefile"):
        (exported / name).write_text((exported / name).read_text().replace("/a project", "/gone"))
    for command in (["./configure"], ["make"]):
        assert (
            "/gone: the project of this folder has moved: run scons export there again"
            in _run(exported, *command, status=2).stderr
        )


@pytest.mark.parametrize("name", ["configure", "Makefile"])
def test_somebody_elses_build_is_not_overwritten(checkout, tmp_path: Path, name: str):
    (tmp_path / name).write_text("app:\n")
    run = checkout.scons("export", f"export_dir={tmp_path}")
    assert (run.status, run.err.count("\n")) == (2, 1)
    assert f"scons export did not write its {name}" in run.err
    assert _files(tmp_path) == {name}


def test_clean_removes_the_folder_again(checkout, tmp_path: Path):
    checkout.build("export", f"export_dir={tmp_path}", "build_dir=out")
    checkout.build("export", f"export_dir={tmp_path}", "build_dir=out", "-c")
    assert _files(tmp_path) == set()
