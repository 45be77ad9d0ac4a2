"""Choose the points that represent a run: cluster its basic-block vectors as SimPoint does.

The vectors of the intervals are projected to few dimensions at random and clustered by k-means for each number of
clusters. The Bayesian information criterion decides the number; the interval nearest to each centre stands for its
cluster. Method: Sherwood et al., "Automatically Characterizing Large Scale Program Behavior" (ASPLOS 2002); score:
Pelleg and Moore, "X-means" (ICML 2000).
"""

import gzip
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.random_projection import GaussianRandomProjection
from threadpoolctl import threadpool_limits

from gcpt.errors import UserError

Vectors = NDArray[np.float64]

#: Dimensions after the projection.
DIMENSIONS = 15
#: The share of the range of scores that the chosen number of clusters must reach.
_ENOUGH = 0.9
#: Starts of each k-means, of which the best counts.
_STARTS = 5
#: The least variance: intervals whose shares differ by a thousandth are equal, such as those that cut a loop elsewhere.
_LEAST_VARIANCE = 1e-6
#: The numbers of blocks have up to 7 digits: the random projection has a vector for each. Counts have up to 18.
_LINE = re.compile(r"T(?: *:[0-9]{1,7}:[0-9]{1,18})+ *")
_ENTRY = re.compile(r":([0-9]+):([0-9]+)")


@dataclass(frozen=True)
class Profile:
    """The basic-block vectors of a run.

    Attributes:
        shares: A row for each interval: the share of each block in its instructions.
        instructions: Instructions of all intervals.
    """

    shares: csr_array
    instructions: int


@dataclass(frozen=True)
class Clusters:
    """Clusters of intervals, numbered as they first appear.

    Attributes:
        labels: The cluster of each interval.
        intervals: The interval that represents each cluster.
        weights: The share of the intervals in each cluster.
        scores: The score of each number of clusters, from 1.
    """

    labels: list[int]
    intervals: list[int]
    weights: list[float]
    scores: list[float]


def read(file: Path) -> Profile:
    """Read basic-block vectors.

    Args:
        file: Text as SimPoint reads it, plain or gzip'd: a line for each interval, ``T:block:count :block:count ...``;
            other lines are comments.

    Returns:
        The vectors.

    Raises:
        UserError: The file cannot be read, or a line is wrong, or there is none.
    """
    shares: list[float] = []
    columns: list[int] = []
    ends = [0]
    total = 0
    for number, line in enumerate(_lines(file), 1):
        if not line.startswith("T"):
            continue
        if not _LINE.fullmatch(line):
            raise UserError(
                f"{file}: line {number}: want T:block:count :block:count and so on, block below 10^7, count below 10^18"
            )
        entries = [(int(block), int(count)) for block, count in _ENTRY.findall(line)]
        instructions = sum(count for _, count in entries)
        if not instructions:
            raise UserError(f"{file}: line {number}: the interval has no instructions")
        total += instructions
        columns += [block for block, _ in entries]
        shares += [count / instructions for _, count in entries]
        ends.append(len(columns))
    if not total:
        raise UserError(f"{file}: there is no interval: want lines T:block:count, as gcpt profile writes them")
    size = (len(ends) - 1, max(columns) + 1)
    return Profile(csr_array((shares, columns, ends), shape=size), total)


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open("rb") as start:
            is_packed = start.read(2) == b"\x1f\x8b"
        with gzip.open(file, "rt") if is_packed else file.open() as text:
            for line in text:
                yield line.rstrip("\n")
    except (gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not a text file, or damaged: {error}") from error
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}") from error


def choose(profile: Profile, most: int, seed: int) -> Clusters:
    """Cluster the intervals and choose one for each cluster.

    Args:
        profile: The basic-block vectors.
        most: The most clusters.
        seed: Of the random projection and the starts of k-means; the same seed gives the same result.

    Returns:
        The clusters: the fewest whose score is at least 90 % of the way from the worst score to the best.
    """
    points = _projected(profile.shares, seed)
    distinct = len(np.unique(points.round(12), axis=0))
    with threadpool_limits(1):  # the threads would wait for each other most of the time
        models = [
            KMeans(count, n_init=_STARTS, random_state=seed).fit(points) for count in range(1, min(most, distinct) + 1)
        ]
        scores = [score(points, model.labels_, model.inertia_) for model in models]
        enough = min(scores) + _ENOUGH * (max(scores) - min(scores))
        model = next(model for model, value in zip(models, scores, strict=True) if value >= enough)
        return _clusters(model.labels_.tolist(), np.asarray(model.transform(points)), scores)


def _projected(shares: csr_array, seed: int) -> Vectors:
    """Project vectors at random to DIMENSIONS dimensions, unless they have no more."""
    if shares.shape[1] <= DIMENSIONS:
        return np.asarray(shares.toarray())
    return np.asarray(GaussianRandomProjection(DIMENSIONS, random_state=seed).fit_transform(shares))


def _clusters(labels: Sequence[int], distances: Vectors, scores: list[float]) -> Clusters:
    """Renumber clusters as they first appear, and choose the nearest interval of each, the first of several."""
    order = list(dict.fromkeys(labels))
    members = {label: [number for number, each in enumerate(labels) if each == label] for label in order}
    intervals = [min(members[label], key=lambda number: float(distances[number, label].round(12))) for label in order]
    weights = [len(members[label]) / len(labels) for label in order]
    return Clusters([order.index(label) for label in labels], intervals, weights, scores)


def score(points: Vectors, labels: NDArray[np.int32], inertia: float) -> float:
    """Return the Bayesian information criterion of a clustering: spherical clusters of one variance.

    Args:
        points: A row for each interval.
        labels: The cluster of each.
        inertia: The sum of squared distances to the centres.

    Returns:
        The score; more is better.
    """
    number, dimensions = points.shape
    sizes = np.bincount(labels)
    count = len(sizes)
    variance = max(inertia / (dimensions * max(number - count, 1)), _LEAST_VARIANCE)
    likelihood = float((sizes * np.log(sizes / number)).sum())
    likelihood -= number * dimensions / 2 * math.log(2 * math.pi * variance) + dimensions * (number - count) / 2
    parameters = count - 1 + dimensions * count + 1
    return float(likelihood - parameters / 2 * math.log(number))
