"""Names of systems and processors, as properties have them."""

from __future__ import annotations

import pytest

from cyxmake_common.platform import is_processor, isa, os_family


@pytest.mark.parametrize(
    ("system", "machine", "names"),
    [
        ("linux", "aarch64", ("linux", "arm-a64")),
        ("darwin", "arm64", ("macos", "arm-a64")),
        ("darwin", "x86_64", ("macos", "x86-64")),
        ("win32", "AMD64", ("windows", "x86-64")),
        ("freebsd14", "riscv64", ("freebsd14", "riscv-64")),
    ],
)
def test_every_system_spells_them_alike(system: str, machine: str, names: tuple[str, str]) -> None:
    """What one system calls arm64 and another aarch64 is one property."""
    assert (os_family(system), isa(machine)) == names


def test_processors_are_told_from_other_words() -> None:
    """Either spelling is one; a system is none."""
    assert all(map(is_processor, ("aarch64", "arm64", "arm-a64", "AMD64")))
    assert not any(map(is_processor, ("linux", "vax", "")))
