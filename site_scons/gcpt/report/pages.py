"""HTML pages of templates: one file each, which asks for nothing else. What they are given is escaped."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gcpt import __version__
from gcpt.report.drawing import draw, size_text


def _pixels(value: float) -> str:
    """A length for SVG: as exact as a browser is."""
    return f"{value:.5f}".rstrip("0").rstrip(".")


def plural(count: int, word: str) -> str:
    """``1 hart``, ``2 harts``."""
    return f"{count:,} {word}" + "s" * (count != 1)


def render(template: str, **values: Any) -> str:
    """The page ``template`` of the package's templates, with these values."""
    environment = Environment(
        loader=PackageLoader("gcpt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        px=_pixels, size=size_text, hex=lambda value: f"{value:#x}", number=lambda value: f"{value:,}"
    )
    environment.globals.update(draw=draw, plural=plural, version=__version__)
    return environment.get_template(template).render(values)
