"""Make the files of a release: wheel, source archive, ready restorers, bill of materials, changes, and their checksums.

    python -m gcpt.dev.release FOLDER

The files depend on the commit and the tools alone: two runs make the same bytes. Exit status: 0 the folder was
replaced, 1 nothing was.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gcpt import __version__
from gcpt.build import provenance, sbom, toolchains
from gcpt.checkout import ROOT
from gcpt.errors import UserError
from gcpt.machines import restorers
from gcpt.restorer.options import MATRIX_SUMS
from gcpt.restorer.resolution import resolve


def changes(text: str, version: str) -> str:
    """Find the section of a version in the changelog.

    Args:
        text: CHANGELOG.md.
        version: The version.

    Returns:
        The section without its heading.

    Raises:
        UserError: There is no such section.
    """
    for section in f"\n{text}".split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        if heading.split()[0] == version:
            return body.strip() + "\n"
    raise UserError(f"CHANGELOG.md: no section '## {version}': add the changes of this version")


def package(folder: Path, *kinds: str) -> None:
    """Make packages; the wheel's hook builds the ready restorers.

    Args:
        folder: The folder for them.
        *kinds: Any of "wheel" and "sdist"; none is both.

    Raises:
        UserError: A package cannot be made.
    """
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *(f"-t{kind}" for kind in kinds)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        last = (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()[-1]
        raise UserError(f"hatchling: {last}")


def make(folder: Path) -> list[Path]:
    """Make the files of a release.

    Args:
        folder: An existing empty folder for them.

    Returns:
        The files.

    Raises:
        UserError: Tracked files differ from the commit, or something cannot be built.
    """
    commit, dirty = provenance.source_state(ROOT, os.environ)
    if dirty:
        raise UserError("release: tracked files differ from the commit: commit the changes first")
    name = f"gcpt-{__version__}"
    section = changes((ROOT / "CHANGELOG.md").read_text(), __version__)
    package(folder)
    shutil.copyfile(restorers.build_archive(), folder / f"{name}-restorers.tar.xz")
    used, _ = toolchains.for_build(resolve({"build_dir": "build/restorers"}), os.environ)
    versions = toolchains.versions(used, os.environ)
    bill = sbom.release_text(sorted(folder.iterdir()), commit, versions)
    (folder / f"{name}.cdx.json").write_text(bill)
    (folder / f"{name}-changes.md").write_text(section)
    files = sorted(folder.iterdir())
    sums = "".join(f"{sbom.sha256(path)}  {path.name}\n" for path in files)
    (folder / MATRIX_SUMS).write_text(sums)
    return [*files, folder / MATRIX_SUMS]


def main(argv: Sequence[str] | None = None) -> int:
    """Make a release and list its files.

    Args:
        argv: The command-line arguments, by default those of the process.

    Returns:
        The exit status.
    """
    [out] = map(Path, sys.argv[1:] if argv is None else argv)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="release-", dir=out.parent) as folder:
        partial = Path(folder, "files")
        partial.mkdir()
        try:
            names = [path.name for path in make(partial)]
        except UserError as error:
            print(f"gcpt: {error}", file=sys.stderr)
            return 1
        shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
    for name in names:
        print(f"{out / name}  {(out / name).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
