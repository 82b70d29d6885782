"""Gives the outputs of a stored result the names that they have in this checkout.

Knows no files. CMake names an object after the whole path of a source that is not below its own
directory, so another checkout's result may have other names for the same outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cyxmake_common.action import ActionResult
from cyxmake_common.protocol.messages import CacheEntry


def renamed(entry: CacheEntry, outputs: Sequence[str], root: str) -> CacheEntry:
    """Return the entry with the names of a command's outputs; as it is where they are the same.

    The key is equal, so the names are but for the root. What cannot be told apart keeps its name,
    and is no result for this command.
    """
    inside = f".dir{root}/"
    if entry.root or not any(inside in output for output in outputs):
        return entry
    result = ActionResult.from_bytes(entry.result)
    stored = [output.path for output in result.outputs]
    names: dict[str, str] = {}
    for output in outputs:
        before, found, after = output.partition(inside)
        alike = [
            path
            for path in stored
            if path == output
            or (found and path.startswith(f"{before}.dir/") and path.endswith(f"/{after}"))
        ]
        if len(alike) != 1 or alike[0] in names:
            return entry
        names[alike[0]] = output
    here = tuple(replace(o, path=names.get(o.path, o.path)) for o in result.outputs)
    return entry.model_copy(
        update={
            "result": replace(result, outputs=here).to_bytes(),
            "depfile": names.get(entry.depfile, entry.depfile),
        }
    )
