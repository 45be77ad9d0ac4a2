"""How to install a missing program: with ./sconsw in a checkout, else with this system's package manager."""

import os
import shutil

from gcpt import checkout

#: The commands that install packages, by the program that has to be on PATH, in the order of preference.
_MANAGERS = {
    "apt-get": "apt-get install",
    "dnf": "dnf install",
    "pacman": "pacman -S",
    "zypper": "zypper install",
    "brew": "brew install",
    "conda": "conda install -c conda-forge",
}
#: The packages of what gcpt runs, by package manager. On Debian, the package's name is a virtual one in each release.
PACKAGES = {
    "QEMU": {
        "apt-get": "qemu-system-riscv64",
        "dnf": "qemu-system-riscv",
        "pacman": "qemu-system-riscv",
        "zypper": "qemu-extra",
        "brew": "qemu",
        "conda": "qemu",
    },
    "gdb-multiarch": {"apt-get": "gdb-multiarch"},
    "dtc": {"apt-get": "device-tree-compiler"} | dict.fromkeys(("dnf", "pacman", "zypper", "brew", "conda"), "dtc"),
}


def manager() -> str:
    """Return the package manager of this system: conda in one of its environments, else the first on PATH, or ""."""
    if os.environ.get("CONDA_PREFIX") and shutil.which("conda"):
        return "conda"
    return next((name for name in _MANAGERS if shutil.which(name)), "")


def remedy(name: str) -> str:
    """Tell how to install a program.

    Args:
        name: A name in PACKAGES.

    Returns:
        The end of a message, with the command to run.
    """
    if checkout.present():
        return f"./sconsw --setup-only installs {name}"
    package = PACKAGES[name].get(program := manager())
    return f"{_MANAGERS[program]} {package} installs {name}" if package else f"install {name}, and put it on PATH"
