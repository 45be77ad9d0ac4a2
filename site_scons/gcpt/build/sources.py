"""Which files a source text names: for the dependency scanners."""

import re

#: #include of C and assembly, and the assembler's own directives; group 1 the delimiter, group 2 the name.
INCLUDE = r'^[ \t]*(?:#[ \t]*include|\.include|\.incbin)[ \t]+([<"])([^>"\n]+)[>"]'
_LINKER_INCLUDE = re.compile(r'^\s*INCLUDE\s+"?([^"\s;]+)"?', re.MULTILINE)


def linker_includes(text: str) -> list[str]:
    """The files that a linker script INCLUDEs."""
    return _LINKER_INCLUDE.findall(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
