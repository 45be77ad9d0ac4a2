"""A random restorer for a random checkpoint on a random machine: every combination is exact.

GCPT_VARIANTS=N tries N of them instead of the usual few, GCPT_VARIANTS_SEED=N starts there.
"""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from bench import DRAM, RAM, Bench, assert_exact, behind_header, memory_of
from restorer import Restorer

from gcpt.checkpoint.layouts import MIB, MULTI_CORE, Layout
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Checkpoint, Place
from gcpt.isa import csrs
from gcpt.machines import synthetic
from gcpt.machines.comparison import compare_machine
from gcpt.machines.qemu import Machine, cpu
from gcpt.machines.synthetic import Aliases, Mode, Recipe, Synthetic
from gcpt.restorer import packing, platforms

COUNT = int(os.environ.get("GCPT_VARIANTS", "16"))
FIRST = int(os.environ.get("GCPT_VARIANTS_SEED", "0"))
#: Groups that QEMU's hart has, and that it lacks. Not sdtrig: tdata1 does not read back as the checkpoint's 0.
_GROUPS = ("+hpm", "+pmp64", "+smrnmi,+aia", "+hpm,+pmp64,+smstateen,+aia,+csrind,+smctr,+xscustom")


def _options(random: Random, harts: int) -> dict[str, str]:
    """Options of a restorer for ``harts`` harts."""
    modes = ("single_core", "auto") if harts == 1 else ("dual_core", "normal", "auto")
    options = {"mode": random.choice(modes), "log": random.choice(("quiet", "quiet", "info", "debug"))}
    chances = {
        "selfcheck": ("1", 0.3),
        "exact": ("1", 0.3),
        "debug": ("1", 0.2),
        "flash": ("1", 0.3),
        "display_cpu": ("all", 0.3),
        "csrs": (random.choice(_GROUPS), 0.4),
        "toolchain": (random.choice(("llvm", "zig")), 0.2),
    }
    options |= {name: value for name, (value, chance) in chances.items() if random.random() < chance}
    if harts > 1 and random.random() < 0.3:
        parked = random.sample(range(harts), random.randrange(1, harts))
        options["stop_cpu"] = ",".join(map(str, parked))
    direct = options["mode"] == "single_core" and options["log"] == "quiet"
    if "flash" in options and not (direct and not options.keys() & {"selfcheck", "display_cpu"}):
        options["ram"] = f"{RAM:#x}"
    return options


def _recipe(random: Random, harts: int, seed: int, jump: bool) -> Recipe:
    """A checkpoint. jump: whether its harts may be in M mode in the state that QEMU writes."""
    vector, hypervisor = random.random() < 0.7, random.random() < 0.7
    modes = [mode for mode in Mode if (hypervisor or not mode.virtual) and (jump or mode is not Mode.M)]
    return Recipe(
        tuple(random.sample(modes, len(modes))),
        harts,
        seed,
        vlen=random.choice((128, 256, 512, 1024)) if vector else 128,
        fs=random.randrange(4),
        vs=random.randrange(4) if vector else 0,
        paging=random.random() < 0.7,
        vector=vector,
        hypervisor=hypervisor,
        vill=vector and random.random() < 0.2,
        aliases=random.choice(list(Aliases)) if vector and hypervisor else Aliases.BOTH,
        locks=random.random() < 0.7,
    )


def _cpu(recipe: Recipe) -> str:
    return cpu(recipe.vlen, v=recipe.vector, h=recipe.hypervisor)


def _layout(random: Random, harts: int) -> Layout:
    """A generator's layout, or its fields in any order with gaps between them."""
    if random.random() < 0.5:
        return MULTI_CORE
    sizes = {name: end - begin for name, (begin, end) in MULTI_CORE.extents().items()} | {"mtime_cmp": 8 * harts}
    at, offsets = 0, {}
    for name in random.sample(sorted(sizes), len(sizes)):
        offsets[name] = at + 8 * random.randrange(1, 300)
        at = offsets[name] + sizes[name]
    return Layout(**offsets)


def _place(random: Random, mode: str, harts: int, flash: bool) -> Place:
    header = behind_header(_layout(random, harts), harts)
    places = {"single_core": [SINGLE_CORE], "dual_core": [DUAL_CORE], "normal": [header]}
    all_places = [DUAL_CORE, header, *([SINGLE_CORE] if harts == 1 and not flash else [])]
    return random.choice(places.get(mode, all_places))


def _memory(
    bench: Bench, random: Random, restorer: Restorer, checkpoint: Synthetic, place: Place
) -> tuple[Path, Path | None]:
    """The contents of the machine's memory and flash."""
    if not restorer.config.flash:
        return bench.restored(checkpoint, place, restorer), None
    blocks = synthetic.blocks(Checkpoint(place, checkpoint.harts)) if place is SINGLE_CORE else []
    memory = (
        bench.image(checkpoint.memory, memory_of(checkpoint)) if blocks else bench.synthetic_image(checkpoint, place)
    )
    if restorer.config.ram is not None:
        packing.overwrite(memory, RAM - DRAM, random.randbytes(MIB // 2))
    return memory, bench.flash(restorer, blocks)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_exact(bench: Bench, seed: int) -> None:
    """No CSR that is read back differs, and the machine may have more harts than the checkpoint."""
    random = Random(f"variants {seed}")
    harts = random.choice((1, 1, 2, 3, 5))
    restorer = bench.build(**_options(random, harts))
    config = restorer.config
    recipe = _recipe(random, harts, seed, jump=not config.flash or config.ram is not None)
    checkpoint = synthetic.make(recipe)
    memory, flash = _memory(bench, random, restorer, checkpoint, _place(random, config.mode, harts, config.flash))
    machine = Machine(harts + random.choice((0, 0, 1, 2)), memory_of(checkpoint), _cpu(recipe), flash=flash)
    restored = {hart: state for hart, state in enumerate(checkpoint.harts) if hart not in config.stop_cpu}
    with bench.run(memory, machine, paused=True) as running:
        report = compare_machine(running, restored, restorer.csr_groups, config.platform.clint)
        console = running.output()
    assert_exact(report)
    assert "wanted" not in console and "gcpt: error" not in console


@pytest.mark.parametrize("platform", list(platforms.BY_NAME))
def test_every_group_fits_into_what_loaders_copy(build_restorer: Callable[..., Restorer], platform: str) -> None:
    """The audit refuses a larger image."""
    build_restorer(mode="single_core", platform=platform, csrs=",".join(csrs.GROUPS))
