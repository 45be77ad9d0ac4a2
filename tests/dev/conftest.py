"""Copies of the project for the tools that check its sources."""

import shutil
from pathlib import Path

import pytest
from projects import built_once, copy_project, project

from gcpt.dev import mutants

ROOT = Path(__file__).parents[2]
__all__ = ["built_once", "copy_project", "project"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project with mypy's cache."""
    folder = mutants.Copy(ROOT, tmp_path / "copy").folder
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")
    return folder
