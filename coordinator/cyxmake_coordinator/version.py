"""Which version of CyxMake this is.

Knows nothing of protocol versions.
"""

from __future__ import annotations


def version() -> str:
    """Return the installed version; a checkout that is not installed has none."""
    from importlib import metadata

    try:
        return metadata.version("cyxmake")
    except metadata.PackageNotFoundError:
        return "not installed"
