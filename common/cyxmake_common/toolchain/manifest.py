"""What a toolchain tree says about itself, in a file of its own: who has the tree need not ask it.

Knows no files. The text belongs to the tree and so to the toolchain id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind, Language
from cyxmake_common.toolchain.portable import Portable
from cyxmake_common.toolchain.smoke import SmokeTest
from cyxmake_common.toolchain.twin import Twin

MANIFEST_PATH: Final = "/.cyxmake/toolchain.json"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class ToolchainManifest:
    """The facts of a toolchain; `builtin_includes` by language hold without search flags.

    `smoke` are compiles that must give known objects, under `variables` besides PATH.
    """

    kind: CompilerKind
    version: str
    target: str
    path: str
    builtin_includes: Mapping[str, tuple[str, ...]]
    smoke: tuple[SmokeTest, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    portable: Portable | None = None
    twin: Twin | None = None

    def builtin_for(self, command: CompileCommand) -> tuple[str, ...] | None:
        """Return a command's built-in include directories; None when only the compiler knows."""
        if relevant_search_flags(command, self.target):
            return None
        return self.builtin_includes.get(language_name(command))

    def to_bytes(self) -> bytes:
        """Encode canonically."""
        fields: dict[str, object] = {
            "format": _FORMAT,
            "kind": self.kind.value,
            "version": self.version,
            "target": self.target,
            "path": self.path,
            "builtin_includes": {k: list(v) for k, v in self.builtin_includes.items()},
            "smoke": [(test.arguments, test.output, str(test.digest)) for test in self.smoke],
            "variables": self.variables,
        }
        if self.portable is not None:
            fields["portable"] = self.portable.to_fields()
        if self.twin is not None:
            fields["twin"] = self.twin.to_fields()
        return json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n"

    @staticmethod
    def from_bytes(data: bytes) -> ToolchainManifest:
        """Decode; raises ValueError for anything else."""
        try:
            fields = json.loads(data)
            if fields["format"] != _FORMAT:
                raise ValueError(f"unknown format {fields['format']}")
            return ToolchainManifest(
                kind=CompilerKind(fields["kind"]),
                version=str(fields["version"]),
                target=str(fields["target"]),
                path=str(fields["path"]),
                builtin_includes={
                    str(name): tuple(map(str, paths))
                    for name, paths in fields["builtin_includes"].items()
                },
                smoke=tuple(
                    SmokeTest(tuple(map(str, arguments)), str(output), Digest.parse(digest))
                    for arguments, output, digest in fields.get("smoke", ())
                ),
                variables=tuple(
                    (str(name), str(value)) for name, value in fields.get("variables", ())
                ),
                portable=Portable.from_fields(fields["portable"]) if "portable" in fields else None,
                twin=Twin.from_fields(fields["twin"]) if "twin" in fields else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a toolchain manifest: {error}") from error


def language_name(command: CompileCommand) -> str:
    """Return under which language a command's built-in directories are known."""
    return "c++" if command.language in (Language.CXX, Language.CXX_TEXT) else "c"


def relevant_search_flags(command: CompileCommand, target: str) -> tuple[str, ...]:
    """Return the search flags that may change the built-in directories for a target.

    On x86 the processor chooses no other headers; elsewhere it may choose another multilib.
    """
    if not target.startswith(("x86_64", "i386", "i486", "i586", "i686", "amd64")):
        return command.search_flags
    return tuple(
        flag for flag in command.search_flags if not flag.startswith(("-march=", "-mcpu="))
    )
