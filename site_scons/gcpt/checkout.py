"""The checkout that contains this package."""

from pathlib import Path

#: The root folder of the project. For an installed package, it does not contain the project's files: check first.
ROOT = Path(__file__).resolve().parents[2]
