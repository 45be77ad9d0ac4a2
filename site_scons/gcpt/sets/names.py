"""Names of images and folders in a set, and what they say: workload, point and weight.

The layouts are ``WORKLOAD/POINT/_POINT_WEIGHT_memory_.zstd`` with its variants, and, of older tools,
``WORKLOAD_COUNT_WEIGHT/0/_COUNT_.gz``.
"""

import re
from dataclasses import dataclass

#: The key on which files and indexes are joined: workload and point, as they are written.
Key = tuple[str, str]

#: The endings of manifests, which decide on their format.
MANIFEST_ENDINGS = (".toml", ".json")

_POINT = r"[0-9]{1,20}"
_WEIGHT = r"[0-9]{1,20}(?:\.[0-9]{1,40})?(?:e-?[0-9]{1,3})?"
_IMAGE = re.compile(rf"_({_POINT})_(?:({_WEIGHT})_)?(?:(memory|flash)_)?\.(?:zstd|zst|gz|bin)", re.ASCII)
_OLDEST = re.compile(rf"(.+)_({_POINT})_({_WEIGHT})", re.ASCII)
_DIGITS = re.compile(_POINT, re.ASCII)
#: The longest name of a workload, in characters: it becomes the name of folders.
_LONGEST = 200


@dataclass(frozen=True)
class ImageName:
    """The parts of an image's name.

    Attributes:
        point: The point.
        weight: The weight as it is written; "" if there is none.
        is_flash: Whether it is the flash image of a pair.
    """

    point: str
    weight: str
    is_flash: bool


@dataclass(frozen=True)
class Placement:
    """What a folder says about the image in it.

    Attributes:
        workload: The workload.
        point: The point.
        weight: The weight in the folder's name; "" if there is none.
        is_count: Whether the point is a number of instructions, not of an interval.
    """

    workload: str
    point: str
    weight: str = ""
    is_count: bool = False


def is_point(text: str) -> bool:
    """Return whether a text is the number of a point.

    Args:
        text: The text.
    """
    return bool(_DIGITS.fullmatch(text))


def is_workload(text: str) -> bool:
    """Return whether a text can be the name of a workload: one folder's name that a terminal can show.

    Args:
        text: The text.
    """
    return text.isprintable() and "/" not in text and text.strip(". ") != "" and len(text) <= _LONGEST


def image_name(name: str) -> ImageName | None:
    """Split the name of an image.

    Args:
        name: The file's name.

    Returns:
        Its parts; None if no generator writes such a name.
    """
    match = _IMAGE.fullmatch(name)
    return ImageName(match[1], match[2] or "", match[3] == "flash") if match else None


def placement(group: str, folder: str, image: ImageName | None = None) -> Placement | None:
    """Find the workload and point of a folder.

    Args:
        group: The name of the folder around it.
        folder: The folder's name: the point, or ``0``.
        image: The name of the image in it; None if only the folder is known.

    Returns:
        The placement; None if the folder and the image contradict each other, or the folder alone says nothing.
    """
    oldest = _OLDEST.fullmatch(group) if folder == "0" else None
    if oldest and (image is None or image.point == oldest[2]):
        return Placement(oldest[1], oldest[2], oldest[3], is_count=True)
    if image and folder == image.point:
        return Placement(group, folder)
    if image:
        return Placement(group, image.point) if folder == "0" and not oldest else None
    return Placement(group, folder) if is_point(folder) else None


def listed_name(name: str, point: str) -> tuple[str, str] | None:
    """Split the name of a checkpoint in a list: ``WORKLOAD_POINT`` or ``WORKLOAD_POINT_WEIGHT``.

    Args:
        name: The name.
        point: The point, if it is known, else "".

    Returns:
        Workload and point; None if the name has another form.
    """
    workload, _, last = name.rpartition("_")
    if workload and is_point(last) and point in ("", last):
        return workload, last
    match = _OLDEST.fullmatch(name)
    return (match[1], match[2]) if match and point in ("", match[2]) else None
