"""Checksums, the bill of materials, installation, and builds without a network."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command import UNSHARE
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from gcpt.build import sbom
from gcpt.restorer.resolution import resolve

ROOT = Path(__file__).parents[2]
CERTIFIED = ["SHA256SUMS", "config.json", "gcpt.bin", "gcpt.cdx.json", "gcpt.elf", "gcpt.map"]


def _sums_hold(folder: Path) -> bool:
    command = ["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def _bill(folder: Path):
    text = (folder / "gcpt.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def test_checksums_hold_until_a_byte_changes(built):
    built.build("sbom")
    folder = built / "build/normal"
    listed = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert sorted(["SHA256SUMS", *listed]) == CERTIFIED
    assert _sums_hold(folder)
    image = bytearray((folder / "gcpt.bin").read_bytes())
    image[100] ^= 1
    (folder / "gcpt.bin").write_bytes(image)
    assert not _sums_hold(folder)


def test_the_bill_names_what_is_in_the_image(built):
    built.build("sbom")
    bill = _bill(built / "build/normal")
    image = (built / "build/normal/gcpt.bin").read_bytes()
    restorer = bill["metadata"]["component"]
    assert restorer["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(image).hexdigest()}]
    assert {part["name"] for part in restorer["components"]} == {"gcpt.bin", "gcpt.elf"}
    parts = {part["name"]: part for part in bill["components"]}
    assert set(parts) == {"picolibc"}
    assert parts["picolibc"]["licenses"]
    stamp = (built / "build/third_party/picolibc/gcpt.stamp").read_text().split()[0]
    assert parts["picolibc"]["hashes"][0]["content"] == stamp, "the tarball that was fetched"
    tools = {tool["name"]: tool["version"] for tool in bill["metadata"]["tools"]["components"]}
    assert {"compiler", "linker", "scons", "pyelftools", "python"} <= set(tools)
    assert not {"nanopb", "protobuf"} & set(tools), "the restorer reads headers itself"
    compiler = subprocess.run(
        ["riscv64-unknown-elf-gcc", "-dumpfullversion"], capture_output=True, text=True, check=True
    )
    assert tools["compiler"] == compiler.stdout.strip()
    linker = subprocess.run(["riscv64-unknown-elf-ld", "--version"], capture_output=True, text=True, check=True)
    assert linker.stdout.split("\n")[0].endswith(f" {tools['linker']}")
    assert "timestamp" not in bill["metadata"]


def test_the_bill_names_the_package_that_picolibc_came_in(tmp_path, monkeypatch):
    pin = tomllib.loads((ROOT / "third_party/picolibc.toml").read_text())
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "build/third_party/picolibc"
    folder.mkdir(parents=True)
    (folder / "meson.build").write_text("version: '1.7.9'")
    (folder / "gcpt.stamp").write_text(f"{pin['wheel']['sha256']}\n")
    [part] = sbom.parts(resolve({}))
    name, number = pin["wheel"]["requirement"].split("==")
    assert (part.version, part.sha256, part.source) == ("1.7.9", pin["wheel"]["sha256"], f"pkg:pypi/{name}@{number}")
    (folder / "gcpt.stamp").write_text(f"{pin['sha256']}\n")
    assert sbom.parts(resolve({}))[0].source.startswith("pkg:deb/debian/picolibc@")


def test_the_bill_has_the_payload_and_its_device_tree(built, payload, dtb):
    built.build("sbom", f"gcpt_payload={payload}", f"gcpt_dtb={dtb}", "mode=single_core")
    [folder] = (path.parent for path in (built / "build").glob("*/gcpt.cdx.json"))
    parts = {part["name"]: part["hashes"][0]["content"] for part in _bill(folder)["components"]}
    assert parts == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (payload, dtb)}


def test_a_restorer_without_c_has_nothing_of_others(built):
    built.build("sbom", "mode=single_core", "platform=qemu-virt")
    bill = _bill(built / "build/single_core-qemu-virt")
    assert "components" not in bill
    properties = {item["name"]: item["value"] for item in bill["metadata"]["component"]["properties"]}
    assert properties == {
        "gcpt:commit": "unknown",
        "gcpt:modified": "false",
        "gcpt:option:mode": "single_core",
        "gcpt:option:platform": "qemu-virt",
    }


def test_only_what_the_bill_names_is_linked(built):
    built.build("build", "sbom", "log=info")
    folder = built / "build/normal-info"
    linked = re.findall(r"^LOAD (.*)$", (folder / "gcpt.map").read_text(), re.MULTILINE)
    entries = json.loads((folder / "compile_commands.json").read_text())
    assert sorted(linked) == sorted(entry["output"] for entry in entries)
    foreign = {Path(entry["file"]).parts[2] for entry in entries if entry["file"].startswith("build/third_party/")}
    parts = {part["name"]: part for part in _bill(folder)["components"]}
    assert set(parts) == foreign == {"picolibc"}
    for name, part in parts.items():
        pin = tomllib.loads((ROOT / f"third_party/{name}.toml").read_text())
        assert (part["version"], part["hashes"][0]["content"]) == (pin["version"], pin["sha256"])


@pytest.mark.parametrize(
    ("option", "compiler", "linker"),
    [
        ("cross_compile=riscv64-linux-gnu-", ["riscv64-linux-gnu-gcc", "-dumpfullversion"], "riscv64-linux-gnu-ld"),
        ("toolchain=llvm", ["clang-19", "-dumpversion"], "ld.lld-19"),
        ("toolchain=zig", [sys.executable, "-m", "ziglang", "version"], ""),
    ],
)
def test_the_bill_names_the_tools_that_were_used(project, option, compiler, linker):
    project.build("sbom", "mode=single_core", option)
    [folder] = (path.parent for path in (project / "build").glob("single_core-*/gcpt.cdx.json"))
    tools = {tool["name"]: tool for tool in _bill(folder)["metadata"]["tools"]["components"]}
    version = subprocess.run(compiler, capture_output=True, text=True, check=True).stdout.strip()
    assert tools["compiler"]["version"] == version
    if linker:
        output = subprocess.run([linker, "--version"], capture_output=True, text=True, check=True).stdout
        assert tools["linker"]["description"] == output.split("\n")[0]


def _installed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_install_puts_everything_under_the_prefix_and_takes_it_away_again(built, tmp_path):
    stage = tmp_path / "a stage"
    arguments = ["install", "mode=single_core", "prefix=/opt/gcpt", f"destdir={stage}"]
    built.build(*arguments)
    folder = stage / "opt/gcpt/share/gcpt/single_core"
    assert _installed(folder) == CERTIFIED
    assert _sums_hold(folder)
    assert (folder / "gcpt.bin").read_bytes() == (built / "build/single_core/gcpt.bin").read_bytes()
    other_file = stage / "opt/gcpt/share/other"
    other_file.touch()
    built.build(*arguments, "-c")
    assert [path for path in stage.rglob("*") if path.is_file()] == [other_file]
    assert not folder.parent.exists()


def test_pages_are_installed_with_a_matrix_of_variants(project, tmp_path):
    for page in ("README.md", "LICENSE", "CHANGELOG.md", "docs/codes.md"):
        (project / page).parent.mkdir(exist_ok=True)
        (project / page).write_text(f"{page}\n")
    (project / "two.toml").write_text('[two]\nmode = "single_core"\nplatform = ["xiangshan", "southlake"]\n')
    project.build("matrix", "install", "matrix=two.toml", f"prefix={tmp_path / 'usr'}")
    share = tmp_path / "usr/share"
    assert _installed(share / "doc/gcpt") == ["CHANGELOG.md", "LICENSE", "README.md", "docs/codes.md"]
    assert sorted(path.name for path in (share / "gcpt").iterdir()) == ["single_core", "single_core-southlake"]
    assert all(_sums_hold(folder) for folder in (share / "gcpt").iterdir())


def test_what_is_set_up_builds_without_a_network(project):
    alone = [*UNSHARE, "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let its users make a network namespace")
    reach = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    refused = subprocess.run([*alone, sys.executable, "-c", reach], capture_output=True, text=True, check=False)
    assert "Network is unreachable" in refused.stderr
    command = [*alone, sys.executable, "-m", "SCons", "build", "export", "sbom"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, cwd=project.folder, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (project / "build/export/build/gcpt.bin").exists()
