"""What is kept of one failed action: its command, its inputs by digest, and how it ended.

Knows no files. Variables that look like secrets are left out, and named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from cyxmake_common.action import Properties
from cyxmake_common.diagnosis.reduce import redact
from cyxmake_common.digest import Digest

_VERSION: Final = 1
_ID_LENGTH: Final = 10
_OUTPUT: Final = 64 << 10
_SECRET: Final = re.compile(r"(?i)passw|secret|token|credential|cookie|auth|api_?key|private_?key")


@dataclass(frozen=True, slots=True)
class Ending:
    """How an action ended: the tool's exit code, or what kept it from an end of its own."""

    kind: str
    cause: str
    detail: str
    exit_code: int
    output: bytes
    where: str
    """The worker, or `here`."""

    def __str__(self) -> str:
        if self.kind == "tool":
            return f"exit code {self.exit_code}"
        return f"{self.kind}: {self.cause}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Bundle:
    """One failed action of the project at `project`; `target` is what it was to make."""

    id: str
    time: str
    target: str
    project: str
    directory: str
    arguments: tuple[str, ...]
    environment: Properties
    withheld: tuple[str, ...]
    outputs: tuple[str, ...]
    action: Digest
    input_root: Digest
    toolchain: Digest
    toolchain_files: Digest
    """A blob: where the toolchain's files stood on this machine, by digest."""
    platform: Properties
    blobs: tuple[Digest, ...]
    """All that the store has for it."""
    line: str
    """Why it failed, in one line."""
    fingerprint: str
    ending: Ending

    def to_json(self) -> str:
        """Encode."""
        fields = asdict(self)
        fields["ending"]["output"] = self.ending.output[:_OUTPUT].decode("latin-1")
        digests = ("action", "input_root", "toolchain", "toolchain_files")
        fields.update({name: str(getattr(self, name)) for name in digests})
        fields["blobs"] = [str(digest) for digest in self.blobs]
        return json.dumps({"version": _VERSION, **fields}, indent=1)

    @staticmethod
    def from_json(text: str) -> Bundle:
        """Decode; raises ValueError for what is no bundle of this version."""
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields.pop("version") != _VERSION:
                raise ValueError("a bundle of another version")
            ending = fields.pop("ending")
            ending["output"] = ending["output"].encode("latin-1")
            for name in ("action", "input_root", "toolchain", "toolchain_files"):
                fields[name] = Digest.parse(fields[name])
            fields["blobs"] = tuple(Digest.parse(digest) for digest in fields["blobs"])
            for name in ("arguments", "withheld", "outputs"):
                fields[name] = tuple(fields[name])
            for name in ("environment", "platform"):
                fields[name] = tuple((key, value) for key, value in fields[name])
            return Bundle(**fields, ending=Ending(**ending))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a bundle: {error}") from error


def id_of(action: Digest) -> str:
    """Return the name of an action's bundle: the same failure has the same."""
    return action.hash[:_ID_LENGTH]


def without_secrets(
    environment: Iterable[tuple[str, str]],
) -> tuple[Properties, tuple[str, ...]]:
    """Return an environment without what looks secret, and the names that were left out."""
    kept, withheld = [], []
    for name, value in environment:
        text = f"{name}={value}"
        if _SECRET.search(name) or "[secret]" in redact(text):
            withheld.append(name)
        else:
            kept.append((name, value))
    return tuple(kept), tuple(withheld)
