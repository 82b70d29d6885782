"""What of a toolchain is portable, and which commands that holds for."""

from __future__ import annotations

import pytest

from cyxmake_common.stand_in import STAND_IN
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.manifest import ToolchainManifest
from cyxmake_common.toolchain.portable import Portable, target_of

ZIG = Portable(
    tool="zig",
    version="0.17.1",
    program="/opt/zig/zig",
    data="/opt/zig/lib",
    drivers={"/opt/zig-cc": ("cc",)},
    targets=("aarch64-linux", "x86_64-windows"),
)


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (("zig-cc", "-target", "aarch64-linux-gnu.2.28", "-c", "a.c"), "aarch64-linux"),
        (("zig-cc", "--target=x86_64-windows-gnu"), "x86_64-windows"),
        (("zig-cc", "-c", "a.c"), ""),
        (("zig-cc", "-target", "aarch64-linux", "--target=x86_64-linux"), ""),
    ],
)
def test_the_target_is_what_the_command_says(words: tuple[str, ...], target: str) -> None:
    """The C library does not count; without one target, or with two, there is none."""
    assert target_of(words) == target


def test_only_tested_targets_may_be_compiled_elsewhere() -> None:
    """For any other machine nothing is proven, so nothing is said."""
    assert ZIG.properties(("zig-cc", "-target", "aarch64-linux-musl")) == (
        (STAND_IN, "zig 0.17.1"),
    )
    assert ZIG.properties(("zig-cc", "-target", "riscv64-linux-musl")) == ()
    assert ZIG.properties(("zig-cc",)) == ()


def test_a_manifest_tells_it() -> None:
    """It comes back as it was, and a damaged one is refused; other toolchains have none."""
    plain = ToolchainManifest(CompilerKind.CLANG, "1", "x86_64-linux", "/usr/bin", {})
    whole = ToolchainManifest(CompilerKind.CLANG, "1", "x86_64-linux", "/usr/bin", {}, portable=ZIG)
    assert ToolchainManifest.from_bytes(whole.to_bytes()) == whole
    assert ToolchainManifest.from_bytes(plain.to_bytes()).portable is None
    with pytest.raises(ValueError, match="portable"):
        ToolchainManifest.from_bytes(whole.to_bytes().replace(b'"/opt/zig/lib"', b"3"))
