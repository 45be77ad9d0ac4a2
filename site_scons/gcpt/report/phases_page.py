"""The page of ``gcpt simpoints --html``: the clusters of a run's intervals over time, and the chosen points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from gcpt.report import pages

if TYPE_CHECKING:
    from gcpt.checkpoint.clusters import Clusters

#: The most columns of the picture; of a longer run, each column shows several intervals.
_COLUMNS = 1000
#: Degrees from the hue of one cluster to that of the next: the golden angle, so that no two of them are close.
_HUE = 137.508


@dataclass(frozen=True)
class Run:
    """Adjacent columns that look the same.

    Attributes:
        first: The first column.
        count: Number of columns.
        value: What they show: a cluster, or the share of a cluster, from 1 (few intervals) to 4 (nearly all).
    """

    first: int
    count: int
    value: int


def columns(labels: Sequence[int], most: int = _COLUMNS) -> list[Sequence[int]]:
    """Divide intervals into columns of equal length; the last one may be shorter.

    Args:
        labels: The cluster of each interval.
        most: The most columns.

    Returns:
        The clusters of each column's intervals.
    """
    length = -(-len(labels) // most)
    return [labels[first : first + length] for first in range(0, len(labels), length)]


def strip(divided: Sequence[Sequence[int]]) -> list[Run]:
    """Return the cluster that most intervals of each column belong to.

    Args:
        divided: The clusters of each column's intervals.

    Returns:
        The runs of the same cluster, from left to right.
    """
    return _runs([max(sorted(set(column)), key=column.count) for column in divided])


def lane(divided: Sequence[Sequence[int]], cluster: int) -> list[Run]:
    """Return the share of one cluster in each column.

    Args:
        divided: The clusters of each column's intervals.
        cluster: The cluster.

    Returns:
        The runs of the same share, without columns that have no interval of the cluster.
    """
    return [run for run in _runs([-(-4 * column.count(cluster) // len(column)) for column in divided]) if run.value]


def _runs(values: Sequence[int]) -> list[Run]:
    runs, first = [], 0
    for value, group in groupby(values):
        count = len(list(group))
        runs.append(Run(first, count, value))
        first += count
    return runs


def page(name: str, clusters: "Clusters", instructions: int, facts: Mapping[str, object]) -> str:
    """Render the page of a choice of points.

    Args:
        name: The workload.
        clusters: The clusters of its intervals.
        instructions: Instructions of all intervals.
        facts: What the points were chosen from, and how, by name.

    Returns:
        The page as HTML.
    """
    divided = columns(clusters.labels)
    length = len(divided[0])
    count = len(clusters.labels)
    lanes: list[dict[str, Any]] = [
        {
            "cluster": cluster,
            "hue": f"{cluster * _HUE % 360:.0f}",
            "interval": interval,
            "instructions": instructions * interval // count,
            "column": interval // length,
            "weight": weight,
            "size": clusters.labels.count(cluster),
            "runs": lane(divided, cluster),
        }
        for cluster, (interval, weight) in enumerate(zip(clusters.intervals, clusters.weights, strict=True))
    ]
    return pages.render(
        "phases.html",
        name=name,
        intervals=count,
        instructions=instructions,
        length=length,
        columns=len(divided),
        strip=strip(divided),
        lanes=lanes,
        facts=facts,
    )
