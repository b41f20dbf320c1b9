"""Versions: hashes of what can change a score. Torch-free: sources are read as text, and imports are followed without running
anything. Comments, docstrings and layout do not count: a version changes when the code does."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evaluators.runtime.numerics import POLICY
from evaluators.track import Track
from reference_models import registry as models

PUBLISHED_SECRET = b"standings: the published secret of the ledger"
"""Seeds the hidden test splits of results that anybody can repeat: the ledger in docs/, and the command line."""

OURS = ("evaluators", "reference_models")
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "onnx", "onnxruntime", "pydantic")


def track_version(track: type[Track]) -> str:
    """SHA-256 over a track's spec (data hashes and budget included), the code of its module and of all that it imports of
    ours, and the numeric policy: 64 hex digits."""
    parts = [track.spec.model_dump_json(), json.dumps(POLICY, sort_keys=True), code_hash(track.__module__)]
    return _sha256("\0".join(parts).encode())


def model_hash(name: str) -> str:
    """SHA-256 over the code of a reference model's file and of all that it imports of ours: 64 hex digits.

    Raises LookupError for an unknown name.
    """
    if name not in models.MODELS:
        models.get(name)  # raises with the nearest name
    return code_hash(models.MODELS[name].partition(":")[0])


@lru_cache(maxsize=512)
def code_hash(module: str) -> str:
    """SHA-256 over the code of a module and of every module of ours that it imports, directly or not."""
    return _sha256("\0".join(f"{name}\0{_code(name)}" for name in imported_modules(module)).encode())


def source_of_module(module: str) -> str:
    """The text of a module's file, as it was when this process first read it; empty for what is no module of a file."""
    return _source(module) or ""


def imported_modules(module: str) -> list[str]:
    """The module and all modules of our packages that it imports, with the packages that hold them, sorted."""
    roots = {*OURS, module.partition(".")[0]}
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found and _source(name) is not None:
            found.add(name)
            waiting += [name.rpartition(".")[0]] if "." in name else []
            waiting += [other for other in _imports(name) if other.partition(".")[0] in roots]
    return sorted(found)


def _imports(module: str) -> Iterable[str]:
    """Names that a module's source imports; `from a import b` may name a module a.b as well."""
    for node in ast.walk(ast.parse(_source(module) or "")):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@lru_cache(maxsize=2048)
def _source(module: str) -> str | None:
    """Source of a module, found by its path, since importing the packages above it could import torch. None for anything that
    is not a module with a source file."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    if not rest and spec.origin.endswith(".py"):
        return Path(spec.origin).read_text(encoding="utf-8")
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file.read_text(encoding="utf-8")
    return None


def _code(module: str) -> str:
    tree = ast.parse(_source(module) or "")
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not _is_docstring(line)]
    return ast.unparse(tree)


def _is_docstring(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def fingerprint() -> str:
    """SHA-256 over everything that the catalogue is made of: all our sources, and the versions of the libraries."""
    here = Path(__file__).parent
    files = sorted(path for name in OURS for path in (here.parent / name).rglob("*.py"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(here.parent)}\0".encode() + path.read_bytes() + b"\0")
    digest.update(json.dumps(library_versions(), sort_keys=True).encode())
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that can change a number; those that are not installed are left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
