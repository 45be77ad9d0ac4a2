"""Random legal states on Spike: what a hart holds is restored, whatever the project's inventory knows of it."""

import time
from collections.abc import Callable
from pathlib import Path

from restorer import Restorer

from gcpt.machines import judges, random_state
from gcpt.machines.builds import BuiltRestorer
from gcpt.machines.synthetic import Mode

Build = Callable[..., Restorer]
#: csrw vstvec, a1
_CSRW_VSTVEC, _NOP = bytes.fromhex("73905520"), bytes.fromhex("13000000")


def test_random_states(build_restorer: Build, tmp_path: Path) -> None:
    """All modes, layouts and VLENs, and each extension alone and with all others; other values in each run."""
    seed = time.time_ns() % (1 << 32)
    print(f"seed {seed}")
    failures = []
    for trial in random_state.trials(judges.choose("spike").program, seed):
        built = build_restorer(mode=trial.restorer, platform="spike")
        if lost := random_state.losses(trial, built, tmp_path):
            failures.append("\n  ".join((str(trial), *lost)))
    assert not failures, "\n".join(failures)


def test_a_loss_is_seen(build_restorer: Build, tmp_path: Path) -> None:
    """A restorer that does not write vstvec, in a mode in which Spike shows vstvec as stvec."""
    built = build_restorer(mode="single_core", platform="spike")
    data = built.image.read_bytes()
    assert data.count(_CSRW_VSTVEC) == 1
    (tmp_path / "gcpt.bin").write_bytes(data.replace(_CSRW_VSTVEC, _NOP))
    broken = BuiltRestorer(tmp_path, built.config)
    trials = list(random_state.trials(judges.choose("spike").program, 1))
    trial = next(trial for trial in trials if trial.recipe.modes == (Mode.VS,))
    [loss] = random_state.losses(trial, broken, tmp_path)
    assert loss.startswith("hart 0: vstvec: wanted 0x")


def test_contexts_of_sdtrig(build_restorer: Build, tmp_path: Path) -> None:
    """mcontext and hcontext are one register with two names."""
    built = build_restorer(mode="single_core", platform="spike", csrs="+sdtrig")
    trial = next(random_state.trials(judges.choose("spike").program, 2))
    report = random_state.run(trial, built, tmp_path)
    assert report.unexplained == []
    assert {mismatch.name for mismatch in report.mismatches}.isdisjoint({"mcontext", "hcontext", "scontext"})
