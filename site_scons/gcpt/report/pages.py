"""Render the HTML pages: self-contained files from templates that escape all values."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gcpt import __version__
from gcpt.report.drawing import draw, size_text


def _pixels(value: float) -> str:
    """A length for SVG, with the five decimals that browsers distinguish."""
    return f"{value:.5f}".rstrip("0").rstrip(".")


def plural(count: int, word: str) -> str:
    """Write a count with its noun, such as ``1 hart`` or ``2 harts``.

    Args:
        count: The count.
        word: The singular of the noun.

    Returns:
        The text.
    """
    return f"{count:,} {word}" + "s" * (count != 1)


def render(template: str, **values: Any) -> str:
    """Render a page.

    Args:
        template: The file name of one of the package's templates.
        values: The variables of the template.

    Returns:
        The page as HTML.
    """
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
