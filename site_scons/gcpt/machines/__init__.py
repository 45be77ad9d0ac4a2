"""Where a restorer runs and is judged: QEMU, gdb, verification, snapshots, synthetic checkpoints."""
