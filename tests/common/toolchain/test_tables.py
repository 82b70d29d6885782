"""The option tables: complete entries, longest match, and nothing unknown let through."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.toolchain.tables import Role, Shape, look_up


@pytest.mark.parametrize(
    ("argument", "role", "value"),
    [
        ("-I", Role.INCLUDE, None),
        ("-Ix", Role.INCLUDE, "x"),
        ("-isystem", Role.SYSTEM, None),
        ("-isysroot/x", Role.HEADER_ROOT, "/x"),
        ("-include", Role.FORCED, None),
        ("-imacrosx", Role.MACROS, "x"),
        ("-Wall", Role.PLAIN, "all"),
        ("-Wl,-x", Role.LINK, "-x"),
        ("-Wa,-x", Role.ASSEMBLER, "-x"),
        ("-MD", Role.DEPS, ""),
        ("-MDx", None, None),
        ("-m32", Role.SEARCH, ""),
        ("-m", None, None),
        ("-", None, None),
        ("-fdiagnostics-color", Role.COLOUR, ""),
        ("-fno-modules", Role.PLAIN, "modules"),
        ("-fmodules", Role.LOCAL, ""),
        ("-mllvm=x", Role.LOCAL, "=x"),
    ],
)
def test_look_up(argument: str, role: Role | None, value: str | None) -> None:
    """Exact names come first, then the longest prefix."""
    found = look_up(argument)
    assert (found.option.role if found else None) is role
    assert (found.value if found else None) == value


@given(st.from_regex(r"-[a-z-]{0,12}", fullmatch=True))
def test_every_entry_is_usable(argument: str) -> None:
    """Whatever matches has a value or takes one, and a reason when it must stay here."""
    found = look_up(argument)
    if found is None:
        return
    assert argument.startswith(found.option.name)
    assert found.value is not None or found.option.shape in (Shape.SEPARATE, Shape.EITHER)
    if found.option.role in (Role.LOCAL, Role.SIDE):
        assert found.option.note


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_no_option_of_gcc_that_names_a_file_is_plain() -> None:
    """Of all options that the installed gcc lists, those with a file or directory are not plain."""
    text = ""
    for group in ("common,joined", "common,separate", "c++,joined", "c++,separate", "c,joined"):
        text += subprocess.run(
            ["gcc", "-Q", f"--help={group}"], check=True, capture_output=True, text=True
        ).stdout
    named = {
        line.split()[0]
        for line in text.splitlines()
        if line.startswith("  -") and any(word in line for word in ("<file", "<dir", "<path"))
    }
    plain = set()
    for option in named:
        name, _, value = option.partition("<")
        found = look_up(name + "x" if value else name)
        if found is not None and found.option.role is Role.PLAIN:
            plain.add(option)
    assert not plain
