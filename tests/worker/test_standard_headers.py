"""Which headers are taken for those of the C and C++ libraries."""

from __future__ import annotations

import pytest

from cyxmake_worker.standard_headers import is_standard

BUILTIN = (
    "/usr/include/c++/12",
    "/usr/lib/gcc/x86_64-linux-gnu/12/include",
    "/usr/local/include",
    "/usr/include/x86_64-linux-gnu",
    "/usr/include",
)


@pytest.mark.parametrize(
    ("path", "standard"),
    [
        ("/usr/include/c++/12/vector", True),
        ("/usr/include/stdio.h", True),
        ("/usr/include/features-time64.h", True),
        ("/usr/include/x86_64-linux-gnu/sys/cdefs.h", True),
        ("/usr/include/aarch64-linux-gnu/bits/types.h", True),
        ("/usr/include/linux/types.h", True),
        ("/usr/include/gtest/gtest.h", False),
        ("/usr/include/boost/assert.hpp", False),
        ("/usr/include/mylib/sys/cdefs.h", False),
        ("/usr/include/zlib.h", False),
        ("/home/me/project/stdio.h", False),
        ("/home/me/usr/include/stdio.h", False),
    ],
)
def test_the_languages_own_headers(path: str, standard: bool) -> None:
    """Only by name, and only in the compiler's own folders."""
    assert is_standard(path, BUILTIN) is standard
