"""Response files are cut into words as gcc and clang cut them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import expand, no_files, split_response

ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
PIECES = st.sampled_from(["a", "b", " ", "\n", "\t", "'", '"', "\\", "\\\n", "''", "$", "\\ "])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", []),
        (b"  \n", []),
        (b"-a -b\n-c", ["-a", "-b", "-c"]),
        (b"'a b' \"c d\" e\\ f", ["a b", "c d", "e f"]),
        (rb"-DX=\"y\"", ['-DX="y"']),
        (b"a'b'\"c\"", ["abc"]),
        (b"''", [""]),
    ],
)
def test_words(data: bytes, words: list[str]) -> None:
    """Blanks separate, quotes and backslashes join."""
    assert split_response(data) == words


@pytest.mark.parametrize("data", [b"'a", b'a"', b"a\\", b"\xff\xfea\0", b"\xef\xbb\xbfa"])
def test_odd_files_stay_here(data: bytes) -> None:
    """An unclosed quote or another encoding is not guessed at (trap 17)."""
    assert isinstance(split_response(data), LocalOnly)


def test_lone_at_sign_is_an_argument() -> None:
    """`@` alone names no file."""
    assert expand(["@", "a"], no_files) == (["@", "a"], [])


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PIECES, max_size=10).map("".join))
def test_agrees_with_gcc(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """gcc's own view of a response file, as it hands it on, is the same."""
    words = split_response(text.encode())
    if isinstance(words, LocalOnly) or any(word.startswith(("-", "@")) for word in words):
        return
    work = tmp_path_factory.mktemp("response")
    (work / "r").write_text(text)
    argv = ["gcc", "-nostdlib", "-nostartfiles", "@r"]
    done = subprocess.run(argv, check=False, cwd=work, capture_output=True, env=ENVIRONMENT)
    # Words are inputs that do not exist: the linker names each of them.
    pattern = rb"ld: cannot find (.*?): No such file or directory\n"
    lines = re.findall(pattern, done.stderr, re.DOTALL)
    assert [line.decode() for line in lines] == words


def test_paths(tmp_path: Path) -> None:
    """The reader gets paths as they are spelled."""
    asked: list[str] = []

    def read(path: str) -> bytes:
        asked.append(path)
        return (tmp_path / path).read_bytes()

    (tmp_path / "x.rsp").write_bytes(b"-c")
    assert expand(["@x.rsp", "@./x.rsp"], read) == (["-c", "-c"], ["x.rsp", "./x.rsp"])
    assert asked == ["x.rsp", "./x.rsp"]
