"""The nanopb generator, run in this process because starting another Python takes longer than generating."""

import importlib.util
import tempfile
import threading
from pathlib import Path

#: The generator has global state.
_lock = threading.Lock()


def generate(proto: Path) -> tuple[str, str]:
    """Generate C for protobuf messages.

    Args:
        proto: The .proto file; nanopb's .options file next to it is used if it exists.

    Returns:
        C source and header.

    Raises:
        ValueError: protoc reported errors.
    """
    with _lock:
        from google.protobuf import descriptor_pb2
        from grpc_tools import protoc
        from nanopb.generator import nanopb_generator

        with tempfile.TemporaryDirectory() as folder:
            descriptors = Path(folder, "descriptors")
            status = protoc.main(["protoc", f"-I{proto.parent}", "--include_imports", f"-o{descriptors}", str(proto)])
            if status:
                raise ValueError(f"protoc found errors in {proto}")
            files = descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file
        arguments = [f"-I{proto.parent}", "--quiet", "--error-on-unmatched", proto.name]
        options, _ = nanopb_generator.process_cmdline(arguments, is_plugin=False)
        result = nanopb_generator.process_file(proto.name, files[-1], options)
        return result["sourcedata"], result["headerdata"]


def inputs() -> list[Path]:
    """The generator's files that change with its version, as dependencies."""
    files = {
        "nanopb": "generator/nanopb_generator.py",
        "grpc_tools": "grpc_version.py",
        "google.protobuf": "__init__.py",
    }
    paths = []
    for package, name in files.items():
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:  # a foreign google hides it: generate() explains that
            continue
        if spec and spec.submodule_search_locations:
            paths += [Path(folder, name) for folder in spec.submodule_search_locations]
    return [path for path in paths if path.is_file()]
