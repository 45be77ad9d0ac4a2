"""The toolchains of this machine: which there are, which of them can make restorers, and which one a build takes.

Whether its files are there is looked at each time; whether it understands the firmware is tried once and remembered in
a file, until the compiler is another one.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gcpt.build import toolchain
from gcpt.console import format_table
from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.options import CROSS_COMPILE

#: The prefixes of GNU toolchains: for bare metal, the reference; Debian's and upstream's for Linux.
PREFIXES = (CROSS_COMPILE, "riscv64-linux-gnu-", "riscv64-unknown-linux-gnu-")
#: Versions of LLVM whose commands may bear them in their name (clang-19), the newest first; from which on it does.
_LLVM_VERSIONS = range(30, 12, -1)
OLDEST_LLVM = 17
#: What of the assembler the firmware needs and older ones do not have.
_PROBE = """\
    .option arch, +d, +v, +h, +zifencei
    vsetvl  zero, a0, a1
    vl8re8.v v0, (a2)
    hfence.gvma
    fence.i
    csrw    0x10a, a0
"""


@dataclass(frozen=True)
class Toolchain:
    """One toolchain: its commands in words, the first of each a name to look for on PATH, or a path.

    objdump: none where it has none. others: commands that those run, of which it is known that they are separate files.
    """

    name: str
    kind: str
    compiler: tuple[str, ...]
    linker: tuple[str, ...]
    objdump: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def files(self, search_path: str) -> dict[str, list[Path]]:
        """The files of its commands, as far as they are there, by what they are for; others are the compiler's."""
        words = {name: [command[0]] for name, command in self._commands().items()}
        words["compiler"] += self.others
        found = {name: [shutil.which(word, path=search_path) for word in named] for name, named in words.items()}
        return {name: [Path(path) for path in paths if path] for name, paths in found.items()}

    def missing(self, search_path: str) -> str:
        """Why it cannot be used as far as files tell, or ""."""
        words = (command[0] for command in self._commands().values())
        return next((f"{word} is not found" for word in words if not shutil.which(word, path=search_path)), "")

    def environment(self, build_dir: Path) -> dict[str, str]:
        """What its commands need besides the caller's environment."""
        if self.kind != "zig":
            return {}
        cache = str(_zig_cache(build_dir).absolute())
        return {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}

    def _commands(self) -> dict[str, tuple[str, ...]]:
        named = {name: getattr(self, name) for name in ("compiler", "linker", "objdump")}
        return {name: words for name, words in named.items() if words}


def _zig_cache(build_dir: Path) -> Path:
    return build_dir / "zig-cache"


def _gnu(prefix: str) -> Toolchain:
    compiler, linker, objdump, assembler = (f"{prefix}{command}" for command in ("gcc", "ld", "objdump", "as"))
    return Toolchain(compiler, "gnu", (compiler,), (linker,), (objdump,), (assembler,))


def _llvm(suffix: str) -> Toolchain:
    compiler, linker, objdump = (f"{command}{suffix}" for command in ("clang", "ld.lld", "llvm-objdump"))
    return Toolchain(compiler, "llvm", (compiler,), (linker,), (objdump,))


def _zig() -> Toolchain:
    """The one of the environment: the command itself, which its Python package only starts."""
    package = importlib.util.find_spec("ziglang")
    folder = Path(package.submodule_search_locations[0]) if package and package.submodule_search_locations else None
    program = str(_shown(folder / "zig")) if folder else "zig"
    return Toolchain("zig", "zig", (program, "cc"), (program, "ld.lld"))


def _shown(path: Path) -> Path:
    """Relative to the project where it is inside, so that commands are the same in every checkout."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def candidates(kind: str, prefix: str, search_path: str) -> Iterator[Toolchain]:
    """Those that ``toolchain=kind`` and ``cross_compile=prefix`` allow, in the order in which they are tried."""
    if prefix:
        yield _gnu(prefix)
        return
    if kind in ("auto", "gnu"):
        yield from map(_gnu, PREFIXES)
    if kind in ("auto", "llvm"):
        suffixes = (f"-{version}" for version in _LLVM_VERSIONS)
        yield from (_llvm(suffix) for suffix in suffixes if shutil.which(f"clang{suffix}", path=search_path))
        yield _llvm("")
    if kind in ("auto", "zig"):
        yield _zig()


def try_out(one: Toolchain, env: Mapping[str, str], build_dir: Path) -> str:
    """Runs the assembler on what the firmware needs of it: why it does not do, or ""."""
    with tempfile.TemporaryDirectory(prefix="gcpt-probe-") as folder:
        source = Path(folder, "probe.S")
        source.write_text(_PROBE)
        command = [
            *one.compiler,
            *toolchain.asm_flags(one.kind),
            "-c",
            "-o",
            str(source.with_suffix(".o")),
            str(source),
        ]
        environment = {**env, **one.environment(build_dir)}
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"cannot be run: {error.strerror}"
    if not done.returncode:
        return ""
    said = [line.replace(f"{source}:", "line ") for line in done.stderr.splitlines() if "error" in line.lower()]
    need = f"; LLVM {OLDEST_LLVM} or newer does" if one.kind == "llvm" else ""
    first = said[0].strip() if said else f"it ended with {done.returncode}"
    return f"does not take the firmware's assembly{need} ({first})"


@dataclass
class Tried:
    """What ``try_out`` said before, kept in ``file``: by name, a mark of the very compiler, and why it does not do."""

    file: Path
    _known: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self._known = json.loads(self.file.read_text())
        except (OSError, ValueError):
            self._known = {}

    def get(self, one: Toolchain, search_path: str) -> str | None:
        """The verdict on ``one``; None where there is none yet."""
        mark, verdict = self._known.get(one.name, ["", ""])
        return verdict if mark == _mark(one, search_path) else None

    def put(self, one: Toolchain, search_path: str, verdict: str) -> None:
        self._known[one.name] = [_mark(one, search_path), verdict]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            partial = self.file.with_name(f".{self.file.name}.{os.getpid()}")
            partial.write_text(json.dumps(self._known, indent=1) + "\n")
            partial.replace(self.file)
        except OSError as error:
            raise UserError(f"{self.file}: {error.strerror}: name another folder with build_dir=") from None


def _mark(one: Toolchain, search_path: str) -> str:
    """What is another when one of its files or what is tried is."""
    paths = [path for paths in one.files(search_path).values() for path in paths]
    files = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
    return hashlib.sha256(repr((files, toolchain.asm_flags(one.kind), _PROBE)).encode()).hexdigest()[:16]


def _verdicts(build_dir: Path) -> Path:
    return build_dir / "toolchains.json"


def remembered(build_dir: Path) -> tuple[Path, Path]:
    """What a build folder keeps of toolchains: what was tried, and what zig makes on the way."""
    return _verdicts(build_dir), _zig_cache(build_dir)


def choose(config: BuildConfig, search_path: str, verdict: Callable[[Toolchain], str]) -> tuple[Toolchain, list[str]]:
    """The first candidate that is there and that ``verdict`` finds no fault with, and why those before it were not.

    UserError, in one line, where there is none.
    """
    rejected: list[str] = []
    for one in candidates(config.toolchain, config.cross_compile, search_path):
        missing = one.missing(search_path)
        reason = "" if missing else verdict(one)
        if not (missing or reason):
            return one, rejected
        rejected.append(missing or f"{one.name} {reason}")
    if config.cross_compile:
        raise UserError(f"{rejected[0]}: name another prefix with cross_compile=, or leave it out")
    asked = "" if config.toolchain == "auto" else f"toolchain={config.toolchain}: "
    raise UserError(f"{asked}{'; '.join(rejected)}: ./sconsw --setup-only installs it, or choose another toolchain=")


def for_build(config: BuildConfig, env: Mapping[str, str]) -> tuple[Toolchain, list[str]]:
    """As ``choose``; a candidate that this build folder does not know yet is tried out, and remembered."""
    search_path = env.get("PATH", os.defpath)
    tried = Tried(_verdicts(config.build_dir))

    def verdict(one: Toolchain) -> str:
        known = tried.get(one, search_path)
        if known is None:
            known = try_out(one, env, config.build_dir)
            tried.put(one, search_path, known)
        return known

    return choose(config, search_path, verdict)


def presumed(config: BuildConfig, env: Mapping[str, str]) -> Toolchain:
    """The toolchain that a build would take, as far as can be told without running anything; there may be none."""
    search_path = env.get("PATH", os.defpath)
    tried = Tried(_verdicts(config.build_dir))
    try:
        return choose(config, search_path, lambda one: tried.get(one, search_path) or "")[0]
    except UserError:
        return next(candidates(config.toolchain, config.cross_compile, search_path))


def versions(one: Toolchain, env: Mapping[str, str]) -> dict[str, str]:
    """What its compiler and its linker call themselves, a line each; OSError or CalledProcessError when they do not."""

    def first_line(*command: str) -> str:
        done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=True)
        return done.stdout.split("\n")[0]

    zig = f" (zig {first_line(one.compiler[0], 'version')})" if one.kind == "zig" else ""
    return {
        "compiler": first_line(*one.compiler, "--version") + zig,
        "linker": first_line(*one.linker, "--version"),
    }


def report(config: BuildConfig, env: Mapping[str, str]) -> str:
    """A row for each toolchain that ``toolchain=auto`` may take, in its order: its version, or why it does not do."""
    search_path = env.get("PATH", os.defpath)
    rows, chosen = [], False
    for one in candidates("auto", config.cross_compile, search_path):
        if reason := one.missing(search_path) or try_out(one, env, config.build_dir):
            rows.append(("", one.kind, one.name, reason))
        else:
            rows.append(("" if chosen else "*", one.kind, one.name, versions(one, env)["compiler"]))
            chosen = True
    return f"{format_table(('', 'toolchain', 'command', 'version'), rows)}\n*: what toolchain=auto takes"
