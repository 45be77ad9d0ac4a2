"""Run the command ``gcpt``: as ``python -m gcpt``, and as the installed command."""

import sys

try:
    from gcpt import interrupts
except KeyboardInterrupt:  # the import is done again
    from gcpt import interrupts

    interrupts.end()

interrupts.end_at_once()  # while Python imports modules


def main() -> int:
    """Run ``gcpt`` with the arguments of the process; Ctrl-C ends it without a traceback at any time.

    Returns:
        The exit status.
    """
    try:
        from gcpt.cli import main as run
    except (ImportError, AttributeError) as error:
        from gcpt.packages import explain

        print(f"gcpt: {explain(error)}", file=sys.stderr)
        return 2
    interrupts.raise_again()
    try:
        return run()
    finally:
        interrupts.end_at_once()  # while Python ends


if __name__ == "__main__":
    sys.exit(main())
