"""What an editor does with the files that ide=vscode writes: runs tasks, matches their output, drives gdb."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Self


class VsCode:
    """The editor in the project's folder ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> Any:
        """A file of .vscode with the editor's variables replaced."""
        text = (self.root / ".vscode" / name).read_text()
        return json.loads(text.replace("${workspaceFolder}", str(self.root)))

    def task(self, label: str) -> dict[str, Any]:
        [found] = [task for task in self.read("tasks.json")["tasks"] if task["label"] == label]
        return dict(found)

    def start(self, label: str) -> "subprocess.Popen[str]":
        """The task's own command; what it prints comes in one pipe, as on its terminal."""
        task = self.task(label)
        assert task["type"] == "process"
        command, quiet = [task["command"], *task["args"]], subprocess.DEVNULL
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            command, env=environment, stdin=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, label: str) -> tuple[int, str]:
        """The task's exit status and output."""
        with self.start(label) as running:
            output = running.communicate(timeout=120)[0]
        return running.returncode, output

    def problems(self, label: str, output: str) -> list[tuple[str, int, str]]:
        """(file, line, message) of what the task's matchers find in the output; line 0: the whole file."""
        found = []
        for matcher in self.task(label)["problemMatcher"]:
            pattern = matcher["pattern"]
            assert "line" in pattern or pattern["kind"] == "file"
            for line in output.splitlines():
                if match := re.search(pattern["regexp"], line):
                    number = int(match[pattern["line"]]) if "line" in pattern else 0
                    found.append((match[pattern["file"]], number, match[pattern["message"]]))
        return found


class Debugger:
    """gdb as an editor's debug adapter for a launch configuration drives it: by its machine interface."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        assert (configuration["type"], configuration["MIMode"]) == ("cppdbg", "gdb")
        self._configuration = configuration

    def __enter__(self) -> Self:
        gdb = [self._configuration["miDebuggerPath"], "--interpreter=mi", "-q", "-nx"]
        self._process = subprocess.Popen(
            gdb, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def connect(self) -> None:
        """The adapter's own commands in its order, then those of the configuration."""
        self.command(f'-environment-cd "{self._configuration["cwd"]}"')
        self.command(f'-file-exec-and-symbols "{self._configuration["program"]}"')
        self.command("-break-insert main", wanted="error")
        self.command(f"-target-select remote {self._configuration['miDebuggerServerAddress']}", wanted="connected")
        for one in self._configuration["postRemoteConnectCommands"]:
            self.console(one["text"])

    def command(self, text: str, wanted: str = "done") -> str:
        """A command and its answer, which has to be ``wanted``."""
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return self.until(rf"\^({wanted}|error|exit)", wanted, text)

    def console(self, text: str) -> str:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        return self.command(f'-interpreter-exec console "{quoted}"')

    def go(self) -> str:
        """Go on to the next stop; where that is, as the machine interface says it."""
        self.command("-exec-continue", wanted="running")
        return self.until(r"\*stopped", "stopped", "-exec-continue")

    def until(self, pattern: str, wanted: str, what: str) -> str:
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if match := re.match(pattern, line):
                assert wanted in match[0], f"{what}: {''.join(lines)}"
                return "".join(lines)
        raise AssertionError(f"{what}: gdb ended: {''.join(lines)}")
