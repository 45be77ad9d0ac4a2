"""Each test on QEMU has a bench of its own, in a folder of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench import IMAGES, Bench
from restorer import Restorer


@pytest.fixture
def bench(tmp_path: Path, build_restorer: Callable[..., Restorer]) -> Iterator[Bench]:
    """Its logs stay; the memory images, some hundred MiB in all, do not."""
    yield Bench(tmp_path, build_restorer)
    for name in IMAGES:
        (tmp_path / name).unlink(missing_ok=True)
