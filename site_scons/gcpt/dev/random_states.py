"""Restore random legal states on Spike, until a time is over: a long run of what tests/machines runs for a moment."""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from gcpt.checkout import ROOT
from gcpt.machines import builds, judges, random_state

_BUILD_DIR = Path("build/restorers")


def main(argv: list[str] | None = None) -> int:
    """Run trials and print each one that loses state.

    Args:
        argv: The command-line arguments, by default those of the process.

    Returns:
        1 if a trial lost state, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m gcpt.dev.random_states", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long to start trials (default: 600)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 32), help="default: from the clock")
    parser.add_argument("options", nargs="*", help="build options of the restorer, such as csrs=+sdtrig")
    arguments = parser.parse_args(argv)
    options = dict(option.split("=", 1) for option in arguments.options)
    program, random = judges.choose("spike").program, Random(arguments.seed)
    end, count, failed = time.monotonic() + arguments.seconds, 0, 0
    built: dict[str, builds.BuiltRestorer] = {}
    while time.monotonic() < end:
        for trial in random_state.trials(program, random.getrandbits(32)):
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
