"""Identification of containers by the first bytes of a file."""

import pytest
from packers import CONTENT, PACKERS

from gcpt.checkpoint import containers


@pytest.mark.parametrize("name", PACKERS)
def test_container(name: str) -> None:
    assert containers.container(PACKERS[name](CONTENT)[:4]) == name


def test_container_of_nothing() -> None:
    assert containers.container(b"") == "raw"
