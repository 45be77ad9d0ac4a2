"""The files that set up a container or a continuous integration: their syntax, and their steps where those can run."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from faults import sound

from gcpt.checkout import ROOT
from gcpt.checkpoint import output
from gcpt.checkpoint.places import SINGLE_CORE, Checkpoint
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Recipe

#: The commands of the README, and what has to precede them: a bare Debian 12 lacks these packages.
KNOWN = {
    "apt-get update && apt-get install -y --no-install-recommends ca-certificates git python3",
    'git config --global --add safe.directory "$PWD"',
    "./sconsw --setup-only",
    *re.findall(r"^ {4}(\./sconsw.*)$", (ROOT / "README.md").read_text(), re.MULTILINE),
}
ACTION = ROOT / ".github/actions/verify"


def _yaml(text: str) -> Any:
    return yaml.safe_load(text)


def test_the_container_and_the_workflow_run_what_the_readme_says() -> None:
    lines = [line.partition(" ") for line in (ROOT / "Containerfile").read_text().splitlines() if line[0] != "#"]
    assert {word for word, _, _ in lines} == {"FROM", "RUN", "COPY", "WORKDIR", "CMD"}
    [image] = (rest for word, _, rest in lines if word == "FROM")
    assert {rest for word, _, rest in lines if word == "RUN"} <= KNOWN
    [job] = _yaml((ROOT / ".github/workflows/tests.yml").read_text())["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert job["container"] == image and set(runs) <= KNOWN and runs[-2:] == ["./sconsw", "./sconsw test"]
    dev = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert (ROOT / ".devcontainer" / dev["build"]["dockerfile"]).samefile(ROOT / "Containerfile")
    assert dev["postCreateCommand"] in KNOWN


def test_the_example_gives_the_inputs_of_the_action() -> None:
    inputs = _yaml((ACTION / "action.yml").read_text())["inputs"]
    [example] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL)
    [job] = _yaml(example)["jobs"].values()
    [step] = [step for step in job["steps"] if step.get("uses", "").endswith("/" + str(ACTION.relative_to(ROOT)))]
    assert set(step["with"]) == set(inputs)


def _run_action(checkpoint: Path) -> list[int]:
    """The exit statuses of the action's steps after the first, which installs, with the default inputs."""
    action = _yaml((ACTION / "action.yml").read_text())
    values = {"${{ inputs.checkpoint }}": str(checkpoint)}
    values["${{ inputs.platform }}"] = action["inputs"]["platform"]["default"]
    statuses = []
    for step in action["runs"]["steps"][1:]:
        words = {name: values[word] for name, word in step["env"].items()}
        environment = {**os.environ, "GITHUB_ACTION_PATH": str(ACTION), **words}
        statuses.append(subprocess.run([step["shell"], "-ec", step["run"]], env=environment, check=False).returncode)
    return statuses


def test_the_action_accepts_a_sound_checkpoint_only(tmp_path: Path) -> None:
    checkpoint, path = sound(Recipe(locks=False)), tmp_path / "it is a checkpoint"
    pieces = [*synthetic.blocks(Checkpoint(SINGLE_CORE, checkpoint.harts)), *checkpoint.memory]
    output.write_pieces(path, [(address - DRAM, data) for address, data in pieces], 16 << 20)
    assert _run_action(path) == [0, 0]
    path.write_bytes(path.read_bytes()[: 1 << 19])
    assert all(_run_action(path))
