"""What can be wrong with a ninja build description, its graph or its logs.

Knows nothing of how a description is read.
"""

from __future__ import annotations

from cyxmake_common.errors import ProjectError


class ManifestError(ProjectError):
    """A manifest or a dyndep file cannot be read; the message starts with file and line."""

    code = "ninja-manifest"


class GraphError(ProjectError):
    """The graph cannot be built: a cycle, a missing source, an unknown target."""

    code = "ninja-graph"


class DepfileError(ProjectError):
    """A depfile that a compiler wrote cannot be understood."""

    code = "ninja-depfile"
