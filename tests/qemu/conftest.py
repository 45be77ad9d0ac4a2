"""Each test on QEMU has a bench of its own, in a folder of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bench import Bench
from restorer import Restorer


@pytest.fixture
def bench(tmp_path: Path, build_restorer: Callable[..., Restorer]) -> Bench:
    return Bench(tmp_path, build_restorer)
