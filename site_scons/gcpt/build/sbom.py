"""The bill of materials of one restorer, in CycloneDX 1.6: its files, what is linked into it, what it was made with.

The same image makes the same text: no time is in it, and its serial number comes from the image.
"""

import hashlib
import platform
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from gcpt.build import render, toolchain
from gcpt.checkout import ROOT
from gcpt.checkpoint import stamp
from gcpt.restorer.config import BuildConfig

_THIRD_PARTY = ROOT / "third_party"
#: Python packages that run on the way to an image; requirements.txt has their versions and hashes.
_PACKAGES = ("scons", "nanopb", "grpcio-tools", "protobuf", "pyelftools")
#: Foreign sources: the file that says their version, and how.
_NANOPB_VERSION = ("pb.h", r'NANOPB_VERSION\s+"(?:nanopb-)?([^"]+)"')
_PICOLIBC_VERSION = ("meson.build", r"\bversion: *'([^']+)'")


@dataclass(frozen=True)
class BuildInput:
    """A foreign part of the image; "" is unknown. sha256: of the file it came in. source: that file's package URL."""

    name: str
    version: str
    licence: str
    sha256: str = ""
    source: str = ""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _compiled(name: str, folder: Path, own: bool, version: tuple[str, str]) -> BuildInput:
    """The foreign sources ``name`` in ``folder``. own: the user's copy, of which the pin tells the licence only."""
    file, pattern = version
    found = _found(pattern, (folder / file).read_text())
    pin = tomllib.loads((_THIRD_PARTY / f"{name}.toml").read_text())
    if own:
        return BuildInput(name, found, pin["licence"])
    package, _, release = pin["debian_source"].partition("=")
    source = f"pkg:deb/debian/{package}@{release}?arch=source&distro={pin['suite']}"
    return BuildInput(name, found, pin["licence"], pin["sha256"], source)


def parts(config: BuildConfig) -> list[BuildInput]:
    """What is in the image besides the project's own: foreign sources, compiled with it, and files. No library is."""
    found = []
    if render.needs_nanopb(config):
        found.append(_compiled("nanopb", config.nanopb, bool(config.nanopb_dir), _NANOPB_VERSION))
    if toolchain.library_sources(config):
        found.append(_compiled("picolibc", config.picolibc, bool(config.picolibc_dir), _PICOLIBC_VERSION))
    embedded = [path for path in (config.payload, config.dtb) if path]
    return found + [BuildInput(path.name, "", "", sha256(path)) for path in embedded]


def version_of(line: str) -> str:
    """The version in the first line of what a command of the toolchain answers to --version."""
    return _found(r"(\d+(?:\.\d+)+)\)?\s*$", line) or _found(r"(\d+(?:\.\d+)+)", line)


def text(config: BuildConfig, files: Iterable[Path], image: bytes, commands: Mapping[str, str]) -> str:
    """The bill of ``image``. files: outputs to list. commands: what those of the toolchain call themselves, by part."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    def hashes(digest: str) -> list[HashType]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else []

    def tool(name: str, version: str, described: str = "") -> Component:
        description = described or None
        return Component(type=ComponentType.APPLICATION, name=name, version=version, description=description)

    made = stamp.find(image)
    if made is None:
        raise ValueError("the image has no stamp")
    licence = LicenseFactory().make_from_string
    digest = hashlib.sha256(image).hexdigest()
    said = {"commit": made.commit or "unknown", "modified": str(made.dirty).lower()}
    said |= {f"option:{name}": value for name, value in made.options.items()}
    restorer = Component(
        type=ComponentType.FIRMWARE,
        name="gcpt",
        version=made.version,
        bom_ref="gcpt",
        licenses=[licence("Apache-2.0")],
        hashes=hashes(digest),
        properties=[Property(name=f"gcpt:{name}", value=value) for name, value in said.items()],
        components=[
            Component(type=ComponentType.FILE, name=path.name, bom_ref=path.name, hashes=hashes(sha256(path)))
            for path in files
        ],
    )
    foreign = [
        Component(
            type=ComponentType.LIBRARY,
            name=part.name,
            version=part.version or None,
            bom_ref=f"{part.name}@{part.sha256[:12] or part.version}",
            licenses=[licence(part.licence)] if part.licence else [],
            hashes=hashes(part.sha256),
            purl=PackageURL.from_string(part.source) if part.source else None,
        )
        for part in parts(config)
    ]
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"urn:sha256:{digest}"), components=foreign)
    bom.metadata.timestamp = None  # type: ignore[assignment]  # the schema asks for none, and it would differ each time
    bom.metadata.component = restorer
    tools = [tool(name, version_of(line), line) for name, line in commands.items()]
    tools += [tool(name, metadata.version(name)) for name in _PACKAGES] + [tool("python", platform.python_version())]
    bom.metadata.tools.components.update(tools)
    bom.register_dependency(restorer, foreign)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
