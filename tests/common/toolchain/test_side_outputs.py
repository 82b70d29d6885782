"""The real compilers write exactly the files that the command line is said to write."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand

FLAGS = [
    ["-MD"],
    ["-MMD", "-MP"],
    ["-g", "-gsplit-dwarf"],
    ["-fstack-usage"],
    ["--coverage"],
    ["-ftest-coverage"],
    ["-Wp,-MD,own.d"],
    ["-MD", "-MF", "named.d"],
    ["-fprofile-arcs"],
]
OUTPUTS = [[], ["-o", "out/x.o"], ["-o", "out/x.c.o"], ["-oout/y"], ["-o", "z.obj"]]


@pytest.mark.e2e
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("flags", [*FLAGS, ["-fcallgraph-info"]], ids=" ".join)
def test_names_are_those_of_the_compiler(compiler: str, flags: list[str], tmp_path: Path) -> None:
    """For each way to name the output, what is written is what was foretold."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    if compiler == "clang" and flags == ["-fcallgraph-info"]:
        pytest.skip("clang has no -fcallgraph-info")
    for number, output in enumerate(OUTPUTS):
        work = tmp_path / str(number)
        (work / "out").mkdir(parents=True)
        (work / "src").mkdir()
        (work / "src/foo.bar.c").write_text("int f(int x) { static int a[9]; return a[x]; }\n")
        argv = [compiler, *flags, "-c", "src/foo.bar.c", *output]
        command = parse_compile(argv)
        assert isinstance(command, CompileCommand)
        subprocess.run(argv, check=True, cwd=work)
        written = {str(p.relative_to(work)) for p in work.rglob("*") if p.is_file()}
        assert written - {"src/foo.bar.c"} == set(command.outputs)
