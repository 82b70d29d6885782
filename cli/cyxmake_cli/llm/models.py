"""The model files of this machine: found, recognised, and known again by their SHA-256.

Knows no library that runs them. A file that has changed since it was looked at is not run: a model
is a program in all but name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cyxmake_cli import config
from cyxmake_cli.llm.backend import ModelRefused

_MAGIC: Final = b"GGUF"
_ENDING: Final = ".gguf"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model's file."""

    path: Path
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.path.name


def model_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where models are looked for."""
    return config.data_directory(environ) / "models"


def found_models(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the model files in the user's data directory, by name."""
    return sorted(p for p in model_directory(environ).glob(f"*{_ENDING}") if p.is_file())


def find_model(named: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file of a path, of a name or part of one, or the first; raises ModelRefused."""
    folder = model_directory(environ)
    if named and (named.startswith("~") or os.sep in named or named.endswith(_ENDING)):
        path = Path(named).expanduser()
        for candidate in (path, folder / named):
            if candidate.is_file():
                return candidate.absolute()
        raise ModelRefused(f"there is no model file {path}", next_step="check ai.providers")
    found = [path for path in found_models(environ) if named.lower() in path.name.lower()]
    if not found:
        what = f"no model file named like {named!r}" if named else "no model file"
        raise ModelRefused(
            f"{what} in {folder}", next_step=f"put a {_ENDING} file there: `cyxmake ai load FILE`"
        )
    return found[0]


def inspect(path: Path, environ: Mapping[str, str] = os.environ) -> ModelFile:
    """Return what a model file is; reads all of it once, again when it has changed.

    Raises ModelRefused for what is no model.
    """
    try:
        status = path.stat()
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                raise ModelRefused(f"{path} is no GGUF file")
            stamp = [status.st_size, status.st_mtime_ns]
            kept = _kept(environ).get(str(path))
            if isinstance(kept, dict) and kept.get("stamp") == stamp:
                return ModelFile(path, status.st_size, str(kept["sha256"]))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelRefused(f"{path} cannot be read: {error.strerror}") from error
    _keep(str(path), {**(kept or {}), "stamp": stamp, "sha256": digest}, environ)
    return ModelFile(path, status.st_size, digest)


def pin(model: ModelFile, environ: Mapping[str, str] = os.environ) -> None:
    """Remember that this content, and no other, is meant by the path."""
    kept = _kept(environ).get(str(model.path)) or {}
    _keep(str(model.path), {**kept, "pinned": model.sha256}, environ)


def unpin(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Forget what was meant by a path; tells whether anything was."""
    known = _kept(environ)
    if str(path) not in known:
        return False
    _keep(str(path), None, environ)
    return True


def checked(path: Path, environ: Mapping[str, str] = os.environ) -> ModelFile:
    """Return a model file as `inspect`, if it is the one that was pinned; raises ModelRefused."""
    model = inspect(path, environ)
    pinned = (_kept(environ).get(str(path)) or {}).get("pinned")
    if pinned and pinned != model.sha256:
        raise ModelRefused(
            f"{path} is not the file that was loaded: SHA-256 {model.sha256[:16]}..., "
            f"not {pinned[:16]}...",
            next_step=f"`cyxmake ai load {path}`, if the change is meant",
        )
    return model


def _file(environ: Mapping[str, str]) -> Path:
    return config.data_directory(environ) / "models.json"


def _kept(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(_file(environ).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(path: str, entry: dict[str, Any] | None, environ: Mapping[str, str]) -> None:
    known = _kept(environ)
    known.pop(path, None)
    if entry is not None:
        known[path] = entry
    file = _file(environ)
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # then it is read again the next time
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch.write_text(json.dumps(known, indent=1), "utf-8")
        scratch.replace(file)
