"""Standard output and standard error: names of any bytes, and errors that say which stream failed."""

import codecs
import io
import sys

_STANDARD_OUTPUT = "standard output"


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    """Encode the bytes of a file's name as they were, and characters that the encoding lacks as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    name = codecs.lookup_error("surrogateescape" if "\udc80" <= character <= "\udcff" else "backslashreplace")
    return name(UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason))


class _Output(io.FileIO):
    """A file whose errors name standard output."""

    def write(self, data: object) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            error.filename = _STANDARD_OUTPUT
            raise


def prepare_streams() -> None:
    """Make standard output and standard error take names of any bytes, and let errors of the first name it."""
    codecs.register_error("gcpt", _escaped)
    before = sys.stdout
    if isinstance(before, io.TextIOWrapper) and isinstance(before.buffer, io.BufferedWriter | io.FileIO):
        before.flush()
        file = _Output(before.fileno(), "w", closefd=False)
        buffer = file if isinstance(before.buffer, io.FileIO) else io.BufferedWriter(file)  # python -u has no buffer
        sys.stdout = io.TextIOWrapper(
            buffer, before.encoding, "gcpt", line_buffering=before.line_buffering, write_through=before.write_through
        )
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="gcpt")
