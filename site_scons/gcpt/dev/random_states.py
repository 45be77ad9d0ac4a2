"""``scons random``: restore random legal states on Spike, a long run of what tests/machines runs for a moment.

Exit status: 0 all exact, 1 a state was lost, 2 bad usage or no Spike.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

from gcpt.checkout import ROOT
from gcpt.errors import UserError
from gcpt.machines import builds, judges, random_state
from gcpt.machines.random_state import Trial

_BUILD_DIR = Path("build/restorers")
#: Minutes of a run without a count.
_MINUTES = 10.0


def _trials(program: str, seed: int) -> Iterator[Trial]:
    """Yield trials without end, each round of them with other random values."""
    random = Random(seed)
    while True:
        yield from random_state.trials(program, random.getrandbits(32))


def main(argv: list[str] | None = None) -> int:
    """Run trials and print each one that loses state.

    Args:
        argv: The command-line arguments, by default those of the process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m gcpt.dev.random_states", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, help=f"how long to start trials (default without --count: {_MINUTES:g})"
    )
    parser.add_argument("--count", type=int, help="number of trials")
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 32), help="default: from the clock")
    parser.add_argument("options", nargs="*", help="build options of the restorer, such as csrs=+sdtrig")
    arguments = parser.parse_args(argv)
    options = dict(option.split("=", 1) for option in arguments.options)
    minutes = arguments.minutes or (math.inf if arguments.count else _MINUTES)
    try:
        program = judges.choose("spike").program
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    print(f"seed {arguments.seed}", flush=True)
    end, count, failed = time.monotonic() + 60 * minutes, 0, 0
    built: dict[str, builds.BuiltRestorer] = {}
    for trial in islice(_trials(program, arguments.seed), arguments.count):
        if time.monotonic() >= end:
            break
        mode = trial.restorer
        if mode not in built:
            built[mode] = builds.build(ROOT, _BUILD_DIR, {"mode": mode, "platform": "spike", **options})
        with tempfile.TemporaryDirectory(prefix="gcpt-") as folder:
            losses = random_state.losses(trial, built[mode], Path(folder))
        count += 1
        if losses:
            failed += 1
            print(trial, *losses, sep="\n  ", flush=True)
    for extension, reason in random_state.NOT_TRIED.items():
        print(f"not tried: {extension}: {reason}")
    print(f"seed {arguments.seed}: {count} random states, {count - failed} exact")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
