"""The fixture ``bench``: each test on QEMU gets its own bench in its own folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench import IMAGES, Bench
from restorer import Restorer


@pytest.fixture
def bench(tmp_path: Path, build_restorer: Callable[..., Restorer]) -> Iterator[Bench]:
    """Keep its logs, but delete the memory images: several hundred MiB in all."""
    yield Bench(tmp_path, build_restorer)
    for name in IMAGES:
        (tmp_path / name).unlink(missing_ok=True)
