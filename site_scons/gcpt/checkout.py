"""The checkout that this package runs from."""

from pathlib import Path

#: The project's root folder. An installed package has none of its files: look whether what you need is there.
ROOT = Path(__file__).resolve().parents[2]
