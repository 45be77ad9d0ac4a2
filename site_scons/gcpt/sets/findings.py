"""The table of the findings of ``gcpt set scan``. Codes are stable: users search for them."""

from dataclasses import dataclass

from gcpt.errors import UserError
from gcpt.sets.names import Key

#: Findings of one set, at most: more come from an index of another set, or from a hostile one.
MAX_FINDINGS = 100_000


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        code: Its stable name.
        means: What is wrong, in general.
        remedy: How to fix it.
    """

    code: str
    means: str
    remedy: str


KINDS: tuple[Kind, ...] = (
    Kind("missing", "an index names a point that has no image", "copy the image, or use the index of this set"),
    Kind("extra", "no index names a point that has an image", "use the index of this set, or remove the image"),
    Kind(
        "duplicate",
        "a point has several images, or an index names it twice",
        "remove all but one; gcpt takes none of them",
    ),
    Kind(
        "stray",
        "an image that belongs to no point: its name and its folder differ, it is a flash image without memory, or it "
        "is a leftover of the generator (`_0_0.000000_.gz`)",
        "move it to its folder, or remove it",
    ),
    Kind("empty", "an image has no bytes", "copy it again"),
    Kind(
        "unweighted",
        "neither an index nor the image's name gives the point's weight: it cannot be scored",
        "add the index with the weights (`weights0` or JSON)",
    ),
    Kind(
        "mis-weighted",
        "a weight is not from 0 to 1, differs between name and index, or a workload's weights add up to more than 1",
        "find out which belongs to this set; gcpt uses JSON before `weights0` before the name",
    ),
    Kind(
        "contradiction",
        "two indexes disagree: on a weight, on which points there are, on a workload's instructions, or a list's name "
        "on its path",
        "keep the indexes of one version of the set",
    ),
    Kind(
        "path-leaves-set",
        "a path in an index, or a symbolic link, leaves the set's folder",
        "copy the images into the set, or trust it with `--allow-outside`",
    ),
    Kind("bad-name", "a name cannot be that of a workload or point, or a terminal cannot show it", "rename it"),
    Kind("bad-index", "an index, or a line in it, cannot be read", "write it again"),
    Kind("unreadable", "a file or folder cannot be read, or an image has no checkpoint", "copy it again"),
    Kind("changed", "an image is not the one that the manifest describes", "copy it again, or scan the set again"),
    Kind(
        "mixed",
        "a point has another layout, number of harts, VLEN or embedded restorer than most of its workload's points",
        "take the point again with the settings of the others",
    ),
)

CODES = tuple(kind.code for kind in KINDS)


@dataclass(frozen=True)
class Finding:
    """A fault of a set.

    Attributes:
        code: The code of its kind.
        what: What is wrong.
        key: Workload and point, either may be "".
        path: The file, relative to the set's folder; "" if it is none in particular.
    """

    code: str
    what: str
    key: Key = ("", "")
    path: str = ""

    @property
    def name(self) -> str:
        """The point, workload or file that it is about."""
        return "_".join(filter(None, self.key)) or self.path


class Findings(list[Finding]):
    """The findings of a set: not more than anybody reads."""

    def append(self, finding: Finding) -> None:
        """Add a finding.

        Args:
            finding: The finding.

        Raises:
            UserError: There are too many.
        """
        if len(self) >= MAX_FINDINGS:
            raise UserError(
                f"more than {MAX_FINDINGS:,} findings, the last about {finding.path or finding.name}: "
                "give a set with its own indexes"
            )
        super().append(finding)
