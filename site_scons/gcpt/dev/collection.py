"""Check that pytest without a path collects every test file; a file that it leaves out never runs.

    python -m gcpt.dev.collection

Run it in the project's folder. Exit status: 0 pytest collects every file, 1 it does not.
"""

import subprocess
import sys
from pathlib import Path

_COLLECT = ("--collect-only", "-qq", "-p", "no:cacheprovider")


def main(root: Path) -> int:
    """Print the test files that pytest does not collect.

    Args:
        root: The project.

    Returns:
        The exit status.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *_COLLECT], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout + done.stderr)
        return 1
    collected = {line.rpartition(": ")[0] for line in done.stdout.splitlines()}
    files = sorted(str(path.relative_to(root)) for path in (root / "tests").rglob("test_*.py"))
    missing = [name for name in files if name not in collected]
    for name in missing:
        print(f"{name}: pytest collects no test from it: check pytest's options in pyproject.toml")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
