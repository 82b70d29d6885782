"""Names of things that travel between programs, one type each.

Knows nothing of how the names are made; whoever creates a thing makes its id.
"""

from __future__ import annotations

from typing import NewType

BuildId = NewType("BuildId", str)
"""Everything one `dbuild` started."""

LeaseId = NewType("LeaseId", str)
"""One promise that a worker owns an action until a moment."""

Namespace = NewType("Namespace", str)
"""The part of the action cache an identity reads and writes; follows from its token."""

OperationId = NewType("OperationId", str)
"""One client's wish to have an action done."""

SessionId = NewType("SessionId", str)
"""One authenticated control connection, with the bulk connections that belong to it."""

TokenId = NewType("TokenId", str)
"""The public half of a token."""

WorkerId = NewType("WorkerId", str)
"""A worker's name; unique among the live workers of a coordinator."""
