"""Checks of a hart's extended state: whether the restorer writes it, and accepts it."""

from collections.abc import Iterator

from gcpt.checkpoint import extended
from gcpt.checkpoint.extended import DeviceWrite, ExtendedError
from gcpt.checkpoint.state import HartState
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
    try:
        entries, fault = extended.of(state), ""
    except ExtendedError as error:
        entries, fault = (), str(error)
    if entries is None:
        return
    if not subject.config.extended:
        yield finding("extended-left-out", fault or f"{len(entries)} writes", hart)
    elif fault:
        yield finding("extended-damaged", fault, hart)
    else:
        devices = subject.config.platform.devices
        for entry in entries:
            if isinstance(entry, DeviceWrite) and not any(each.has(entry.address, entry.size) for each in devices):
                yield finding("extended-device", entry.name, hart)
                return
