"""The bill of materials of a restorer, in CycloneDX 1.6: its files, its linked components and the build tools.

It is reproducible: it has no timestamp, and its serial number is derived from the image.
"""

import hashlib
import platform
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from gcpt import __version__
from gcpt.build import toolchain
from gcpt.checkout import ROOT
from gcpt.checkpoint import stamp
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.resolution import resolve

_THIRD_PARTY = ROOT / "third_party"
#: Python packages that a build uses; requirements.txt has their versions and hashes.
_PACKAGES = ("scons", "pyelftools")
#: Third-party sources: the file with their version, and its pattern.
_PICOLIBC_VERSION = ("meson.build", r"\bversion: *'([^']+)'")


@dataclass(frozen=True)
class BuildInput:
    """A third-party part of the image; "" means unknown.

    Attributes:
        name: Name of the project or file.
        version: Its version.
        licence: SPDX identifier.
        sha256: Digest of the archive or file that it came in.
        source: Package URL of that archive.
    """

    name: str
    version: str
    licence: str
    sha256: str = ""
    source: str = ""


def sha256(path: Path) -> str:
    """Hash a file.

    Args:
        path: The file.

    Returns:
        The SHA-256 digest in hexadecimal.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first_group(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _compiled(name: str, folder: Path, own: bool, version: tuple[str, str]) -> BuildInput:
    """The third-party sources ``name`` in ``folder``. own: the user's copy, for which the pin has only the licence."""
    file, pattern = version
    number = _first_group(pattern, (folder / file).read_text())
    pin = tomllib.loads((_THIRD_PARTY / f"{name}.toml").read_text())
    if own:
        return BuildInput(name, number, pin["licence"])
    wheel = pin.get("wheel")
    if wheel and (folder / "gcpt.stamp").read_text().startswith(wheel["sha256"]):
        package, _, release = wheel["requirement"].partition("==")
        return BuildInput(name, number, pin["licence"], wheel["sha256"], f"pkg:pypi/{package}@{release}")
    package, _, release = pin["debian_source"].partition("=")
    source = f"pkg:deb/debian/{package}@{release}?arch=source&distro={pin['suite']}"
    return BuildInput(name, number, pin["licence"], pin["sha256"], source)


def parts(config: BuildConfig) -> list[BuildInput]:
    """List the third-party parts of an image: compiled sources and embedded files. No library is linked.

    Args:
        config: The restorer's configuration.

    Returns:
        The parts.
    """
    compiled = []
    if toolchain.library_sources(config):
        compiled.append(_compiled("picolibc", config.picolibc, bool(config.picolibc_dir), _PICOLIBC_VERSION))
    embedded = [path for path in (config.payload, config.dtb) if path]
    return compiled + [BuildInput(path.name, "", "", sha256(path)) for path in embedded]


def version_of(line: str) -> str:
    """Extract a version.

    Args:
        line: First line of a command's output for --version.

    Returns:
        The version, or "".
    """
    return _first_group(r"(\d+(?:\.\d+)+)\)?\s*$", line) or _first_group(r"(\d+(?:\.\d+)+)", line)


def text(config: BuildConfig, files: Iterable[Path], image: bytes, commands: Mapping[str, str]) -> str:
    """Write the bill of an image.

    Args:
        config: The restorer's configuration.
        files: Output files to list.
        image: The image's bytes.
        commands: The toolchain's version lines by part, such as "compiler".

    Returns:
        CycloneDX 1.6 in JSON.

    Raises:
        ValueError: The image has no stamp.
    """
    built = stamp.find(image)
    if built is None:
        raise ValueError("the image has no stamp")
    properties = {"commit": built.commit or "unknown", "modified": str(built.dirty).lower()}
    properties |= {f"option:{name}": value for name, value in built.options.items()}
    digest = hashlib.sha256(image).hexdigest()
    return _bill("firmware", built.version, digest, properties, files, parts(config), commands)


def release_text(files: Sequence[Path], commit: str, commands: Mapping[str, str]) -> str:
    """Write the bill of a release.

    Args:
        files: The files of the release.
        commit: The first 8 digits of the commit, or "".
        commands: The toolchain's version lines by part, such as "compiler".

    Returns:
        CycloneDX 1.6 in JSON.
    """
    digest = hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()
    linked = parts(resolve({"log": "info"}))
    return _bill("application", __version__, digest, {"commit": commit or "unknown"}, files, linked, commands)


def _bill(
    kind: str,
    version: str,
    digest: str,
    properties: Mapping[str, str],
    files: Iterable[Path],
    linked: Iterable[BuildInput],
    commands: Mapping[str, str],
) -> str:
    """The bill of gcpt. kind: CycloneDX's type. digest: what the serial number is derived from."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    def hashes(digest: str) -> list[HashType]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else []

    def tool(name: str, version: str, description: str = "") -> Component:
        return Component(type=ComponentType.APPLICATION, name=name, version=version, description=description or None)

    licence = LicenseFactory().make_from_string
    product = Component(
        type=ComponentType(kind),
        name="gcpt",
        version=version,
        bom_ref="gcpt",
        licenses=[licence("Apache-2.0")],
        hashes=hashes(digest) if kind == "firmware" else [],
        properties=[Property(name=f"gcpt:{name}", value=value) for name, value in properties.items()],
        components=[
            Component(type=ComponentType.FILE, name=path.name, bom_ref=path.name, hashes=hashes(sha256(path)))
            for path in files
        ],
    )
    components = [
        Component(
            type=ComponentType.LIBRARY,
            name=part.name,
            version=part.version or None,
            bom_ref=f"{part.name}@{part.sha256[:12] or part.version}",
            licenses=[licence(part.licence)] if part.licence else [],
            hashes=hashes(part.sha256),
            purl=PackageURL.from_string(part.source) if part.source else None,
        )
        for part in linked
    ]
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"urn:sha256:{digest}"), components=components)
    bom.metadata.timestamp = None  # type: ignore[assignment]  # optional, and not reproducible
    bom.metadata.component = product
    tools = [tool(name, version_of(line), line) for name, line in commands.items()]
    tools += [tool(name, metadata.version(name)) for name in _PACKAGES] + [tool("python", platform.python_version())]
    bom.metadata.tools.components.update(tools)
    bom.register_dependency(product, components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"
