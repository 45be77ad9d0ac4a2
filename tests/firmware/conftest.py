"""A bench on QEMU for each test, and parts of the restorer compiled for the host."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from benches import bench

from gcpt.build import generated, messages, nanopb, render
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.resolution import resolve

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "host"
#: The judge of the firmware's decoder.
NANOPB = ROOT / "build" / "third_party" / "nanopb"
__all__ = ["bench"]
#: ``host_program(target, sources, *flags, config=, firmware=, texts=)``: the compiled file.
HostProgram = Callable[..., Path]
_NORMAL = resolve({"mode": "normal", "platform": "qemu-virt"})


@pytest.fixture(scope="session")
def host_program(tmp_path_factory: pytest.TempPathFactory) -> HostProgram:
    """Compile sources of host/ and of the firmware for the host, as a restorer of ``config`` has them.

    ``firmware``: names of the firmware's C files. ``texts``: other texts for some of them, by name.
    """

    def build(
        target: str,
        sources: Sequence[str],
        *flags: str,
        config: BuildConfig = _NORMAL,
        firmware: Sequence[str] = ("decode.c",),
        texts: Mapping[str, str] | None = None,
    ) -> Path:
        folder = tmp_path_factory.mktemp("host")
        (folder / "gcpt_config.h").write_text(render.config_header(config))
        (folder / "gcpt_messages.h").write_text(messages.header(messages.read(generated.PROTO)))
        files = [HERE / name for name in sources]
        for name in firmware:
            if texts and name in texts:
                (folder / name).write_text(texts[name])
                files.append(folder / name)
            else:
                files.append(ROOT / "firmware" / name)
        if "decode.c" in firmware:
            for suffix, text in zip((".pb.c", ".pb.h"), nanopb.generate(generated.PROTO), strict=True):
                (folder / f"checkpoint{suffix}").write_text(text)
            files += [folder / "checkpoint.pb.c", NANOPB / "pb_common.c", NANOPB / "pb_decode.c"]
        includes = [f"-I{path}" for path in (folder, HERE, ROOT / "firmware" / "include", NANOPB)]
        clang = ["clang-19", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-DPB_BUFFER_ONLY"]
        command = [*clang, *flags, *includes, *map(str, files), "-o", str(folder / target)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{' '.join(command)}\n{run.stderr}"
        return folder / target

    return build
