"""The files that a source text includes, for dependency scanners."""

import re

#: #include of C and assembly, and the assembler's include directives; group 1 is the delimiter, group 2 the name.
INCLUDE = r'^[ \t]*(?:#[ \t]*include|\.include|\.incbin)[ \t]+([<"])([^>"\n]+)[>"]'
_LINKER_INCLUDE = re.compile(r'^\s*INCLUDE\s+"?([^"\s;]+)"?', re.MULTILINE)


def linker_includes(text: str) -> list[str]:
    """Find the files that a linker script includes.

    Args:
        text: The script.

    Returns:
        Names after INCLUDE, outside comments.
    """
    return _LINKER_INCLUDE.findall(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
