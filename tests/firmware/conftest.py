"""A bench on QEMU for each test, and the restorer's decoder of headers, compiled for the host."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from benches import bench

from gcpt.build import nanopb, render, toolchain
from gcpt.restorer.resolution import resolve

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "host"
__all__ = ["bench"]
#: ``host_program(target, sources, flags)``: clang's result of sources in this folder and the decoder.
HostProgram = Callable[..., Path]


@pytest.fixture(scope="session")
def host_program(tmp_path_factory: pytest.TempPathFactory) -> HostProgram:
    """Compiles what ``mode=normal`` makes of the decoder; ``decoder``: another text for firmware/decode.c."""
    folder = tmp_path_factory.mktemp("host")
    made = resolve({"mode": "normal", "platform": "qemu-virt"})
    (folder / "gcpt_config.h").write_text(render.config_header(made))
    proto = ROOT / "proto" / "checkpoint.proto"
    for suffix, text in zip((".pb.c", ".pb.h"), nanopb.generate(proto), strict=True):
        (folder / f"checkpoint{suffix}").write_text(text)
    runtime = ROOT / made.nanopb

    def build(target: str, sources: list[str], *flags: str, decoder: str | None = None) -> Path:
        decode = ROOT / "firmware" / "decode.c"
        if decoder is not None:
            decode = folder / f"{target}.decode.c"
            decode.write_text(decoder)
        files = [
            *(HERE / name for name in [*sources, "host.c"]),
            *(decode, folder / "checkpoint.pb.c"),
            *(runtime / name for name in toolchain.NANOPB_SOURCES),
        ]
        includes = [f"-I{path}" for path in (folder, ROOT / "firmware" / "include", HERE, runtime)]
        clang = ["clang-19", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *toolchain.NANOPB_DEFINES]
        command = [*clang, *flags, *includes, *map(str, files), "-o", str(folder / target)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert run.returncode == 0, f"{' '.join(command)}\n{run.stderr}"
        return folder / target

    return build
