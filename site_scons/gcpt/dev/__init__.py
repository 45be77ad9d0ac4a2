"""For work on the project itself: bench, planted faults, coverage, lint, tables, set-up. Not in the wheel."""
