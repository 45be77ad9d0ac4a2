"""What the headers of a set's images say, and digests."""

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, as_completed
from typing import Any

from gcpt.errors import UserError, one_line
from gcpt.sets.findings import Finding
from gcpt.sets.names import Key
from gcpt.sets.points import Point
from gcpt.sets.results import digest

#: Facts in which the points of a workload agree.
_COMMON = ("layout", "harts", "vlen", "restorer")


def header_facts(point: Point) -> dict[str, Any]:
    """Describe a point by the headers of its images.

    Args:
        point: The point.

    Returns:
        Container, layout, harts, VLEN in bits, privilege modes, generator, and the embedded restorer if it has one.

    Raises:
        UserError: The image cannot be read, or has no checkpoint.
    """
    from gcpt.report.description import describe

    described = describe(point.path, point.flash)
    if "harts" not in described:
        raise UserError(f"{point.path}: a restorer without a checkpoint")
    facts = {"container": described["container"], "layout": described["layout"], "harts": len(described["harts"])}
    vlens = sorted({hart["vlen"] for hart in described["harts"]})
    facts["vlen"] = vlens[0] if len(vlens) == 1 else vlens
    facts["privilege"] = sorted({hart["mode"] for hart in described["harts"]})
    facts["generator"] = described["generator"]["name"]
    if "restorer" in described:
        facts["restorer"] = f"{described['restorer']['version']} {described['restorer']['commit']}"
    return facts


def examine(point: Point, headers: bool, digests: bool) -> tuple[dict[str, Any], str]:
    """Read the images of a point. Runs in a worker.

    Args:
        point: The point.
        headers: Read the headers.
        digests: Compute the SHA-256 of the images.

    Returns:
        The facts, and one line about what is wrong, or "".
    """
    facts: dict[str, Any] = {}
    try:
        if digests:
            facts["sha256"] = digest(point.path)
            if point.flash:
                facts["flash_sha256"] = digest(point.flash)
        if headers:
            facts |= header_facts(point)
    except UserError as error:
        return facts, one_line(str(error).removeprefix(f"{point.path}: "))
    except OSError as error:
        return facts, error.strerror or str(error)
    return facts, ""


def examine_all(
    executor: Executor, points: tuple[Point, ...], headers: bool, digests: bool
) -> Iterator[tuple[Point, dict[str, Any], str]]:
    """Read the images of points.

    Args:
        executor: Where.
        points: The points.
        headers: Read the headers.
        digests: Compute the SHA-256 of the images.

    Yields:
        Each point with what ``examine`` says, as they complete.
    """
    futures = {executor.submit(examine, point, headers, digests): point for point in points}
    for future in as_completed(futures):
        yield futures[future], *future.result()


def mixed(facts: Mapping[Key, Mapping[str, Any]]) -> Iterator[Finding]:
    """Find points that differ from most of their workload's points.

    Args:
        facts: The facts about each point.

    Yields:
        A finding for each difference.
    """
    workloads: dict[str, dict[Key, Mapping[str, Any]]] = {}
    for key, values in facts.items():
        if "layout" in values:
            workloads.setdefault(key[0], {})[key] = values
    for members in workloads.values():
        for name in _COMMON:
            counts = Counter(str(values.get(name, "none")) for values in members.values())
            usual, count = counts.most_common(1)[0]
            for key, values in members.items():
                if (value := str(values.get(name, "none"))) != usual:
                    what = f"{name} {value}, but {usual} in {count} of the workload's points"
                    yield Finding("mixed", what, key)
