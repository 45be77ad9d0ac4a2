"""Python packages that cannot be imported: absent, or hidden by another one of the same name."""

import sys
from pathlib import Path
from types import ModuleType

from gcpt import checkout


def explain(error: ImportError | AttributeError) -> str:
    """Explain why a package cannot be imported.

    Args:
        error: The exception of the import: the package is absent, or has not what gcpt uses.

    Returns:
        One line: the module, where Python looked, the remedy.
    """
    is_module = isinstance(error, AttributeError) and isinstance(error.obj, ModuleType)
    name = str(error.obj.__name__ if is_module else error.name or "a module")  # type: ignore[union-attr]
    top = name.partition(".")[0]
    places = list(getattr(sys.modules.get(top), "__path__", ()))
    file = getattr(sys.modules.get(top), "__file__", None)
    if file or places:
        place = Path(file or places[0])
        folder = (place.parent if place.name == "__init__.py" else place) if file else place
        return f"{name}: {error}: Python found {top} in {folder}: remove that from PYTHONPATH and the current folder"
    remedy = (
        "run ./sconsw --setup-only, or install gcpt with pip" if checkout.present() else "install gcpt again with pip"
    )
    return f"{name} is not installed: {remedy}"
