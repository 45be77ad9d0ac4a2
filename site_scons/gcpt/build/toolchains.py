"""The toolchains of this machine: their detection, their test, and the choice of one for a build.

Each run looks for the commands. Whether the assembler supports the firmware is tested once and saved in the build
folder until the compiler changes.
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

from gcpt import checkout
from gcpt.build import toolchain
from gcpt.console import format_table
from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.options import CROSS_COMPILE

#: Prefixes of GNU toolchains: bare metal (the reference), Linux of Debian, Linux of upstream.
PREFIXES = (CROSS_COMPILE, "riscv64-linux-gnu-", "riscv64-unknown-linux-gnu-")
#: LLVM versions to look for in command names (clang-19), newest first.
_LLVM_VERSIONS = range(30, 12, -1)
#: The oldest LLVM whose assembler supports the firmware.
OLDEST_LLVM = 17
#: Assembly that the firmware needs and older assemblers reject.
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
    """A toolchain. The first word of each command is a name on PATH or a path.

    Attributes:
        name: Name for messages.
        kind: gnu, llvm or zig.
        compiler: The compiler's command.
        linker: The linker's command.
        objdump: The disassembler's command; empty if there is none.
        others: Separate programs that the compiler runs, as dependencies.
    """

    name: str
    kind: str
    compiler: tuple[str, ...]
    linker: tuple[str, ...]
    objdump: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def files(self, search_path: str) -> dict[str, list[Path]]:
        """Locate the programs.

        Args:
            search_path: The value of PATH.

        Returns:
            Existing files by command; those of ``others`` belong to the compiler.
        """
        programs = {name: [command[0]] for name, command in self._commands().items()}
        programs["compiler"] += self.others
        located = {name: [shutil.which(word, path=search_path) for word in words] for name, words in programs.items()}
        return {name: [Path(path) for path in paths if path] for name, paths in located.items()}

    def missing(self, search_path: str) -> str:
        """Check that all programs exist.

        Args:
            search_path: The value of PATH.

        Returns:
            A message about the first missing program, or "".
        """
        words = (command[0] for command in self._commands().values())
        return next((f"{word} is not found" for word in words if not shutil.which(word, path=search_path)), "")

    def environment(self, build_dir: Path) -> dict[str, str]:
        """The environment variables that its commands need.

        Args:
            build_dir: The build folder, which has zig's cache.

        Returns:
            Variables to add to the caller's environment.
        """
        if self.kind != "zig":
            return {}
        cache = str(_zig_cache(build_dir).absolute())
        return {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}

    def _commands(self) -> dict[str, tuple[str, ...]]:
        commands = {name: getattr(self, name) for name in ("compiler", "linker", "objdump")}
        return {name: words for name, words in commands.items() if words}


def _zig_cache(build_dir: Path) -> Path:
    return build_dir / "zig-cache"


def _gnu(prefix: str) -> Toolchain:
    compiler, linker, objdump, assembler = (f"{prefix}{command}" for command in ("gcc", "ld", "objdump", "as"))
    return Toolchain(compiler, "gnu", (compiler,), (linker,), (objdump,), (assembler,))


def _llvm(suffix: str) -> Toolchain:
    compiler, linker, objdump = (f"{command}{suffix}" for command in ("clang", "ld.lld", "llvm-objdump"))
    return Toolchain(compiler, "llvm", (compiler,), (linker,), (objdump,))


def _zig() -> Toolchain:
    """Zig of the Python environment: the program itself, without the Python wrapper of its package."""
    package = importlib.util.find_spec("ziglang")
    folder = Path(package.submodule_search_locations[0]) if package and package.submodule_search_locations else None
    program = str(_relative(folder / "zig")) if folder else "zig"
    return Toolchain("zig", "zig", (program, "cc"), (program, "ld.lld"))


def _relative(path: Path) -> Path:
    """A path inside the project relative to it, so that all checkouts have the same commands."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def candidates(kind: str, prefix: str, search_path: str) -> Iterator[Toolchain]:
    """List the toolchains that the options allow.

    Args:
        kind: The value of ``toolchain=``.
        prefix: The value of ``cross_compile=``.
        search_path: The value of PATH.

    Yields:
        Toolchains in the order of preference; their programs need not exist.
    """
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


def try_out(candidate: Toolchain, env: Mapping[str, str], build_dir: Path) -> str:
    """Test whether an assembler supports the firmware.

    Args:
        candidate: The toolchain.
        env: Environment of the command.
        build_dir: The build folder.

    Returns:
        Why the toolchain is unusable, or "".
    """
    with tempfile.TemporaryDirectory(prefix="gcpt-probe-") as folder:
        source = Path(folder, "probe.S")
        source.write_text(_PROBE)
        command = [
            *candidate.compiler,
            *toolchain.asm_flags(candidate.kind),
            "-c",
            "-o",
            str(source.with_suffix(".o")),
            str(source),
        ]
        environment = {**env, **candidate.environment(build_dir)}
        try:
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"cannot be run: {error.strerror}"
    if not run.returncode:
        return ""
    errors = [line.replace(f"{source}:", "line ") for line in run.stderr.splitlines() if "error" in line.lower()]
    need = f"; LLVM {OLDEST_LLVM} or newer does" if candidate.kind == "llvm" else ""
    first = errors[0].strip() if errors else f"exit status {run.returncode}"
    return f"does not support the firmware's assembly{need} ({first})"


@dataclass
class Verdicts:
    """Saved results of ``try_out``.

    Attributes:
        file: A JSON file with a fingerprint of the compiler and the result, by the toolchain's name.
    """

    file: Path
    _known: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self._known = json.loads(self.file.read_text())
        except (OSError, ValueError):
            self._known = {}

    def get(self, candidate: Toolchain, search_path: str) -> str | None:
        """Look up a saved result.

        Args:
            candidate: The toolchain.
            search_path: The value of PATH.

        Returns:
            The result of ``try_out``; None without a result for this compiler.
        """
        fingerprint, verdict = self._known.get(candidate.name, ["", ""])
        return verdict if fingerprint == _fingerprint(candidate, search_path) else None

    def put(self, candidate: Toolchain, search_path: str, verdict: str) -> None:
        """Save a result.

        Args:
            candidate: The toolchain.
            search_path: The value of PATH.
            verdict: The result of ``try_out``.

        Raises:
            UserError: The file cannot be written.
        """
        self._known[candidate.name] = [_fingerprint(candidate, search_path), verdict]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            partial = self.file.with_name(f".{self.file.name}.{os.getpid()}")
            partial.write_text(json.dumps(self._known, indent=1) + "\n")
            partial.replace(self.file)
        except OSError as error:
            raise UserError(f"{self.file}: {error.strerror}: choose another folder with build_dir=") from None


def _fingerprint(candidate: Toolchain, search_path: str) -> str:
    """A digest that changes with the toolchain's files and with the test."""
    paths = [path for paths in candidate.files(search_path).values() for path in paths]
    files = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
    return hashlib.sha256(repr((files, toolchain.asm_flags(candidate.kind), _PROBE)).encode()).hexdigest()[:16]


def _verdicts_file(build_dir: Path) -> Path:
    return build_dir / "toolchains.json"


def cached_files(build_dir: Path) -> tuple[Path, Path]:
    """The files about toolchains in a build folder.

    Args:
        build_dir: The build folder.

    Returns:
        The saved test results and zig's cache.
    """
    return _verdicts_file(build_dir), _zig_cache(build_dir)


def choose(config: BuildConfig, search_path: str, verdict: Callable[[Toolchain], str]) -> tuple[Toolchain, list[str]]:
    """Choose the first usable toolchain.

    Args:
        config: The configuration.
        search_path: The value of PATH.
        verdict: Returns why a toolchain with all programs is unusable, or "".

    Returns:
        The toolchain, and the reasons against those before it.

    Raises:
        UserError: No toolchain is usable.
    """
    rejected: list[str] = []
    for candidate in candidates(config.toolchain, config.cross_compile, search_path):
        missing = candidate.missing(search_path)
        reason = "" if missing else verdict(candidate)
        if not (missing or reason):
            return candidate, rejected
        rejected.append(missing or f"{candidate.name} {reason}")
    if config.cross_compile:
        raise UserError(f"{rejected[0]}: choose another prefix with cross_compile=, or remove it")
    option = "" if config.toolchain == "auto" else f"toolchain={config.toolchain}: "
    remedy = "./sconsw --setup-only installs it" if checkout.present() else "pip install 'gcpt[build]' brings zig"
    raise UserError(f"{option}{'; '.join(rejected)}: {remedy}, or choose another toolchain=")


def for_build(config: BuildConfig, env: Mapping[str, str]) -> tuple[Toolchain, list[str]]:
    """Choose the toolchain of a build; results of tests are saved in the build folder.

    Args:
        config: The configuration.
        env: Environment of commands.

    Returns:
        The toolchain, and the reasons against those before it.

    Raises:
        UserError: No toolchain is usable, or a result cannot be saved.
    """
    search_path = env.get("PATH", os.defpath)
    verdicts = Verdicts(_verdicts_file(config.build_dir))

    def verdict(candidate: Toolchain) -> str:
        known = verdicts.get(candidate, search_path)
        if known is None:
            known = try_out(candidate, env, config.build_dir)
            verdicts.put(candidate, search_path, known)
        return known

    return choose(config, search_path, verdict)


def presumed(config: BuildConfig, env: Mapping[str, str]) -> Toolchain:
    """Predict the toolchain of a build without running any command.

    Args:
        config: The configuration.
        env: Environment of commands.

    Returns:
        The first toolchain without a known problem, or else the first allowed one, whose programs may be missing.
    """
    search_path = env.get("PATH", os.defpath)
    verdicts = Verdicts(_verdicts_file(config.build_dir))
    try:
        return choose(config, search_path, lambda candidate: verdicts.get(candidate, search_path) or "")[0]
    except UserError:
        return next(candidates(config.toolchain, config.cross_compile, search_path))


def versions(used: Toolchain, env: Mapping[str, str]) -> dict[str, str]:
    """Ask a toolchain's programs for their versions.

    Args:
        used: The toolchain.
        env: Environment of commands.

    Returns:
        First lines of ``--version`` for "compiler" and "linker".

    Raises:
        OSError: A program cannot be run.
        subprocess.CalledProcessError: A program failed.
    """

    def first_line(*command: str) -> str:
        run = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=True)
        return run.stdout.split("\n")[0]

    zig = f" (zig {first_line(used.compiler[0], 'version')})" if used.kind == "zig" else ""
    return {
        "compiler": first_line(*used.compiler, "--version") + zig,
        "linker": first_line(*used.linker, "--version"),
    }


def report(config: BuildConfig, env: Mapping[str, str]) -> str:
    """Format the table of all toolchains, after testing each.

    Args:
        config: The configuration.
        env: Environment of commands.

    Returns:
        A row per toolchain in the order of preference, with its version or the reason why it is unusable.
    """
    search_path = env.get("PATH", os.defpath)
    rows, chosen = [], False
    for candidate in candidates("auto", config.cross_compile, search_path):
        if reason := candidate.missing(search_path) or try_out(candidate, env, config.build_dir):
            rows.append(("", candidate.kind, candidate.name, reason))
        else:
            version = versions(candidate, env)["compiler"]
            rows.append(("" if chosen else "*", candidate.kind, candidate.name, version))
            chosen = True
    return f"{format_table(('', 'toolchain', 'command', 'version'), rows)}\n*: toolchain=auto uses this one"
