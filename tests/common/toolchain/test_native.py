"""Writing out "native": the driver runs the same, whatever processor it then stands on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind
from cyxmake_common.toolchain.native import (
    Commands,
    explicit,
    machine_flags,
    means_the_same,
    names_native,
    question,
    read_commands,
)
from cyxmake_common.toolchain.probe import CompilerProbe

GCC_SAYS = (
    " /usr/lib/cc1 -quiet /dev/null -march=other -mavx --param l1-cache-size=7 -mtune=other -quiet"
    " -dumpbase null -m64 -g -o /tmp/ccAbCdEf.s\nCOLLECT_GCC=gcc\n as --64 -o x.o /tmp/ccAbCdEf.s\n"
)
CLANG_SAYS = (
    ' (in-process)\n "/usr/bin/clang" "-cc1" "-target-cpu" "other" "-target-feature" "+avx"'
    ' "-target-feature" "-xop" "-O2" "-o" "x.o"\n'
)


def test_machine_flags() -> None:
    """Only what may change the processor is asked for, with values that stand apart."""
    text = "gcc -march=native -O2 -mllvm -x -target arm -MD -m32 --target=x -mno-avx -c a.c"
    assert names_native(text.split())
    assert machine_flags(text.split()) == (
        "-march=native", "-target", "arm", "-m32", "--target=x", "-mno-avx"
    )  # fmt: skip
    assert not names_native(["gcc", "-march=native+crypto"])


def test_gcc_is_told_what_it_would_find_out(tmp_path: Path) -> None:
    """Under the spec file the real driver runs another machine's options, and none of its own."""
    said = explicit(
        CompilerKind.GCC, ["gcc", "-march=native", "-c", "a.c"], read_commands(GCC_SAYS)
    )
    assert said is not None
    ((path, text),) = said.provided
    assert said.argv == ("gcc", f"-specs={path}", "-march=native", "-c", "a.c")
    assert isinstance(parse_compile(said.argv), CompileCommand)
    if shutil.which("gcc") is None:
        return
    specs = tmp_path / "specs"
    specs.write_bytes(text)
    for flags in (["-march=native"], ["-mtune=native"], ["-march=native", "-mtune=native"]):
        arguments = question([f"-specs={specs}", *flags], "c")
        told = CompilerProbe("gcc", os.environ).told(*arguments).partition("cc1")[2].split("\n")[0]
        for option in ("-march", "-mtune"):
            values = {
                word.strip('"') for word in told.split() if word.strip('"').startswith(option)
            }
            assert f"{option}=other" in values
            assert values <= {f"{option}=other", "-march=x86-64", "-mtune=generic"}


def test_clang_gets_processor_and_features() -> None:
    """They come before what the command line itself hands to the frontend."""
    argv = ["clang", "-Xclang", "-target-feature", "-Xclang", "+fma", "-march=native", "-c", "a.c"]
    said = explicit(CompilerKind.CLANG, argv, read_commands(CLANG_SAYS))
    assert said is not None
    features = "-Xclang -target-feature -Xclang +avx -Xclang -target-feature -Xclang -xop"
    features += " -Xclang -target-feature -Xclang +fma"
    assert " ".join(said.argv) == f"clang {features} -march=other -c a.c"
    assert isinstance(parse_compile(said.argv), CompileCommand)
    recorded = [*argv, "-grecord-command-line"]
    assert explicit(CompilerKind.CLANG, recorded, read_commands(CLANG_SAYS)) is None


def test_what_is_not_the_same_is_noticed() -> None:
    """Another option, another order of features, or no answer at all is not the same."""
    clang, gcc = read_commands(CLANG_SAYS), read_commands(GCC_SAYS)
    assert means_the_same(gcc, read_commands(GCC_SAYS.replace("AbCdEf", "123456")))
    assert not means_the_same(gcc, read_commands(GCC_SAYS.replace("-m64", "-m32")))
    moved = CLANG_SAYS.replace('"+avx" "-target-feature" "-xop"', '"-xop" "-target-feature" "+avx"')
    assert moved != CLANG_SAYS
    assert not means_the_same(clang, read_commands(moved))
    assert not means_the_same((), ())
    no_answers: list[Commands] = [(), (("cc1", "a.c"),)]
    for answer in no_answers:
        assert explicit(CompilerKind.GCC, ["gcc", "-march=native"], answer) is None


@pytest.mark.parametrize(
    "text",
    [
        "clang -Xclang -target-feature -c a.c",
        "clang -c a.c -Xclang -target-feature",
        "clang -Xclang -target-feature -Xclang -load=x -c a.c",
    ],
)
def test_values_of_the_frontend_are_read_in_pairs(text: str) -> None:
    """A value that is missing, or is none, keeps the compile here."""
    assert not isinstance(parse_compile(text.split()), CompileCommand)
