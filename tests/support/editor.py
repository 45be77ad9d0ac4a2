"""An editor that uses the files of ide=vscode: it runs tasks, matches their output and drives gdb."""

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
        """Read a file of .vscode and expand the editor's variables."""
        text = (self.root / ".vscode" / name).read_text()
        return json.loads(text.replace("${workspaceFolder}", str(self.root)))

    def task(self, label: str) -> dict[str, Any]:
        [match] = [task for task in self.read("tasks.json")["tasks"] if task["label"] == label]
        return dict(match)

    def start(self, label: str) -> "subprocess.Popen[str]":
        """Start a task's command with its whole output in one pipe."""
        task = self.task(label)
        assert task["type"] == "process"
        command, quiet = [task["command"], *task["args"]], subprocess.DEVNULL
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            command, env=environment, stdin=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, label: str) -> tuple[int, str]:
        """Run a task: its exit status and output."""
        with self.start(label) as running:
            output = running.communicate()[0]
        return running.returncode, output

    def problems(self, label: str, output: str) -> list[tuple[str, int, str]]:
        """Apply a task's matchers to output: (file, line, message), with line 0 for a whole file."""
        problems = []
        for matcher in self.task(label)["problemMatcher"]:
            pattern = matcher["pattern"]
            assert "line" in pattern or pattern["kind"] == "file"
            for line in output.splitlines():
                if match := re.search(pattern["regexp"], line):
                    number = int(match[pattern["line"]]) if "line" in pattern else 0
                    problems.append((match[pattern["file"]], number, match[pattern["message"]]))
        return problems


class Debugger:
    """gdb, driven through its machine interface as by an editor's debug adapter."""

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
        """Send the adapter's commands in its order, then those of the configuration."""
        self.command(f'-environment-cd "{self._configuration["cwd"]}"')
        self.command(f'-file-exec-and-symbols "{self._configuration["program"]}"')
        self.command("-break-insert main", wanted="error")
        self.command(f"-target-select remote {self._configuration['miDebuggerServerAddress']}", wanted="connected")
        for command in self._configuration["postRemoteConnectCommands"]:
            self.console(command["text"])

    def command(self, text: str, wanted: str = "done") -> str:
        """Send a command and check its result."""
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return self.until(rf"\^({wanted}|error|exit)", wanted, text)

    def console(self, text: str) -> str:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        return self.command(f'-interpreter-exec console "{quoted}"')

    def go(self) -> str:
        """Continue to the next stop; the machine interface's record of it."""
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
