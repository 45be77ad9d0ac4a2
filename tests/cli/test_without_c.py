"""Restorers without 2-byte instructions (``without_c=1``), on harts of Spike that have no C."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal
from restorer import Restorer

from gcpt.checkpoint.places import DUAL_CORE, PROTOBUF, SINGLE_CORE, Place
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.machines import spike
from gcpt.machines.synthetic import Mode, Recipe

Build = Callable[..., Restorer]
#: A hart without C, and one that has all CSR groups of the default set, too.
ISA = spike.isa().replace("rv64gc", "rv64g")
RVA23 = f"{ISA}_smstateen_smcntrpmf_smaia_ssaia_smrnmi_smepmp_zicfiss"
#: Differences that are none: of this hart, of groups that no option named, and of views.
_REASONS = {
    "WARL: the hart cannot hold the whole value",
    "the restorer leaves group hpm out (csrs=)",
    "mvip.SSIP is an alias of mip.SSIP where mvien.SSIP is clear",
    "an mnret resumes the hart where no jump reaches",  # of mnstatus in M mode, whatever resumes it
}


@pytest.mark.parametrize(
    ("recipe", "place", "layout"),
    [
        pytest.param(Recipe((Mode.S,)), SINGLE_CORE, "single_core", id="S, locked PMP entries"),
        pytest.param(Recipe((Mode.VS,), locks=False), SINGLE_CORE, "single_core", id="VS"),
        pytest.param(Recipe((Mode.M,), locks=False), SINGLE_CORE, "single_core", id="M, by the trampoline"),
        pytest.param(Recipe((Mode.U, Mode.M), harts=2, locks=False), DUAL_CORE, "auto", id="two harts"),
        pytest.param(Recipe((Mode.M, Mode.S), harts=2), PROTOBUF, "normal", id="protobuf"),
    ],
)
@pytest.mark.parametrize("isa", [ISA, RVA23], ids=["RVA22", "RVA23"])
def test_exact(
    checkpoint_file: Callable[..., Path], build_restorer: Build, recipe: Recipe, place: Place, layout: str, isa: str
) -> None:
    restorer = build_restorer(mode=layout, platform="spike", without_c="1")
    run = gcpt("verify", "--isa", isa, "--json", checkpoint_file(recipe, place), "--restorer", restorer.image)
    report = json.loads(run.stdout)
    assert (run.returncode, report["unexplained"]) == (0, 0), run.stdout
    assert report["exact"] > 170 * recipe.harts
    assert {row["reason"] for row in report["differences"]} <= _REASONS


@pytest.mark.parametrize("enabled", [False, True], ids=["MIE clear", "MIE set"])
def test_the_trampoline_sets_mie(checkpoint_file: Callable[..., Path], build_restorer: Build, enabled: bool) -> None:
    def change(harts: list[HartState]) -> None:
        harts[0].set("mie", 0)
        harts[0].set("mstatus", harts[0].get("mstatus") & ~mstatus.MIE | (mstatus.MIE if enabled else 0))

    path = checkpoint_file(Recipe((Mode.M,), locks=False), change=change)
    restorer = build_restorer(mode="single_core", platform="spike", without_c="1")
    run = gcpt("verify", "--isa", ISA, path, "--restorer", restorer.image)
    assert (run.returncode, run.stdout.splitlines()[-1].endswith(", 0 unexplained")) == (0, True), run.stdout


def test_other_restorers_are_refused_there(checkpoint_file: Callable[..., Path]) -> None:
    path = checkpoint_file(Recipe())
    for command in ("verify", "run"):
        assert refusal(gcpt(command, "--on", "spike", "--isa", ISA, path)) == (
            f"--isa={ISA}: this hart has no C, and the restorer has 2-byte instructions: build one with without_c=1, "
            "and name it with --restorer"
        )


_HARTS = {"rv64gc_v": True, "rv64imafd_zca": True, "rv64g_zicntr": False, "rv64nonsense": True}


@pytest.mark.parametrize(("isa", "has"), _HARTS.items())
def test_harts_with_c(isa: str, has: bool) -> None:
    assert spike.has_compressed(isa) is has
