"""The build of a restorer: generated files, flags, toolchains, audit, provenance, export. For SCons and dev only."""
