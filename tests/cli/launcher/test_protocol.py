"""The bytes between stub and agent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_cli.launcher import protocol
from cyxmake_cli.launcher.protocol import CompileRequest, Header, parse_compile_request
from cyxmake_common.errors import ProtocolError

TEXT = st.binary(max_size=40).map(
    lambda b: b.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)
NAMES = TEXT.filter(lambda name: name and "=" not in name)


@given(
    TEXT, TEXT, st.lists(TEXT, min_size=1), st.dictionaries(NAMES, TEXT), st.integers(0, 0o777),
    st.booleans(),
)  # fmt: skip
def test_a_request_survives_the_way(
    directory: str,
    compiler: str,
    argv: list[str],
    environ: dict[str, str],
    umask: int,
    terminal: bool,
) -> None:
    """Any bytes but NUL, in every place."""
    request = CompileRequest(directory, compiler, tuple(argv), environ, umask, terminal)
    data = request.to_bytes()
    header = Header.parse(data[: protocol.HEADER.size])
    body = data[protocol.HEADER.size :]
    assert header.length == len(body)
    assert parse_compile_request(header, body) == request


def test_a_variable_that_is_there_twice_is_what_getenv_finds() -> None:
    """The first one counts, as for the compiler."""
    body = b"/d\0/c\0gcc\0A=1\0A=2\0B\0"
    header = Header(len(body), protocol.COMPILE, 1, 3, 0, 0)
    assert parse_compile_request(header, body).environ == {"A": "1", "B": ""}


@pytest.mark.parametrize(
    ("arguments", "variables", "body"),
    [(0, 0, b"/d\0/c\0"), (1, 0, b"/d\0/c\0gcc"), (2, 0, b"/d\0/c\0gcc\0"), (1, 1, b"/d\0/c\0a\0")],
)
def test_texts_that_do_not_add_up_are_refused(arguments: int, variables: int, body: bytes) -> None:
    """A request that is cut off or miscounted is nobody's compile."""
    header = Header(len(body), protocol.COMPILE, arguments, variables, 0, 0)
    with pytest.raises(ProtocolError):
        parse_compile_request(header, body)


@pytest.mark.parametrize(
    "data",
    [
        protocol.HEADER.pack(b"CYX0", 0, 0, 0, 0, 0, 0),
        protocol.HEADER.pack(protocol.MAGIC, protocol.MOST_BYTES + 1, 0, 0, 0, 0, 0),
        b"GET / HTTP/1.1\r\nHost: some\r\n"[: protocol.HEADER.size],
    ],
)
def test_another_version_and_other_protocols_are_refused(data: bytes) -> None:
    """Before a byte of the body is read."""
    with pytest.raises(ProtocolError):
        Header.parse(data)


def test_a_request_shows_no_secrets() -> None:
    """Neither arguments nor variables are in what may be logged."""
    request = CompileRequest("/d", "/c", ("gcc", "-Dsecret"), {"TOKEN": "secret"})
    assert "secret" not in repr(request)
