"""How a restorer is made: generated files, flags, toolchains, audit, provenance, export. For SCons and dev only."""
