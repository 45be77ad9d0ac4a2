"""A program that has this command's terminal, and ends when this command is ended."""

import signal
import subprocess
from collections.abc import Callable, Sequence


def attended(command: Sequence[str], inherited: Sequence[int] = (), started: Callable[[], None] = lambda: None) -> int:
    """Run to the end; the exit status. Who ends this process (SIGTERM, a closed terminal) ends that one with it.

    inherited: file descriptors that it gets. started: called when it runs.
    """
    running: list[subprocess.Popen[bytes]] = []
    ended: list[int] = []

    def end(number: int, _: object) -> None:
        ended.append(number)
        for process in running:
            process.terminate()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    with subprocess.Popen(command, pass_fds=inherited) as process:
        running.append(process)
        if ended:
            process.terminate()
        started()
        status = process.wait()
    return 128 + ended[0] if ended else status
