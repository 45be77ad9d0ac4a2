"""Checks of a hart's extended state: whether the restorer writes it, and accepts it."""

from collections.abc import Iterator

from gcpt.checkpoint import extended
from gcpt.checkpoint.state import HartState
from gcpt.restorer import plan
from gcpt.validate.subject import Finding, Subject, finding


def check_extended(subject: Subject, hart: int, state: HartState) -> Iterator[Finding]:
    """Report a list that the restorer refuses or does not write.

    Args:
        subject: The checkpoint, its restorer and its machine.
        hart: The hart.
        state: Its state.

    Yields:
        The findings.
    """
    if not extended.present(state):
        return
    refusal = plan.refusal(state, subject.config.platform)
    if not subject.config.extended:
        yield finding("extended-left-out", refusal[1] if refusal else f"{len(extended.of(state) or ())} writes", hart)
    elif refusal:
        yield finding(*refusal, hart)
