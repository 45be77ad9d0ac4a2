"""What one build is: the frozen BuildConfig that everything after the options reads."""

from dataclasses import dataclass
from pathlib import Path

from gcpt.platforms import Platform

MODES = ("normal", "dual_core", "single_core", "auto")
LOG_LEVELS = ("quiet", "info", "debug")


@dataclass(frozen=True)
class BuildConfig:
    """One restorer, validated: addresses are physical bytes, hart numbers below ``harts``."""

    mode: str
    platform: Platform
    harts: int
    stop_cpu: tuple[int, ...] = ()
    display_cpu: tuple[int, ...] = ()
    payload: Path | None = None
    payload_position: int = 0x8010_0000
    dtb: Path | None = None
    header_addr: int | None = None
    log: str = "quiet"

    @property
    def direct(self) -> bool:
        """Whether one hart's state at a fixed place is all there is to do: no C, no stack, no write to memory."""
        return self.mode == "single_core" and self.log == "quiet" and not self.display_cpu

    @property
    def protobuf(self) -> bool:
        """Whether the restorer decodes protobuf headers."""
        return self.mode in ("normal", "auto")
