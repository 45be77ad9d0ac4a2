"""Tools for work on the project: bench, mutants, coverage, lint, tables, setup. Not in the wheel."""
