"""Run and verify restorers: QEMU, gdb, comparison, instruction counts, snapshots, synthetic checkpoints."""
