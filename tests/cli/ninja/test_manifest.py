"""The manifest language: scopes, escapes, sections, errors."""

from __future__ import annotations

import pytest

from cyxmake_cli.ninja.errors import GraphError, ManifestError
from cyxmake_cli.ninja.graph import Edge, State
from cyxmake_cli.ninja.manifest import load_manifest
from support.memory_disk import MemoryDisk

CAT = "rule cat\n  command = cat $in > $out\n"


def parse(text: str, **files: str) -> State:
    named = {name.replace("_", "."): content for name, content in files.items()}
    return load_manifest(MemoryDisk({"build.ninja": text, **named}).read)


def only_edge(text: str) -> Edge:
    return parse(text).edges[-1]


def paths(edge: Edge) -> tuple[list[str], list[str]]:
    return [node.path for node in edge.outputs], [node.path for node in edge.inputs]


def test_all_sections_of_a_build_statement() -> None:
    """Explicit, implicit, order-only and validation paths are told apart."""
    edge = only_edge(CAT + "build a b | c: cat d e | f || g h |@ v\n")
    assert paths(edge) == (["a", "b", "c"], ["d", "e", "f", "g", "h"])
    assert (edge.implicit_outputs, edge.implicit_inputs, edge.order_only) == (1, 1, 2)
    assert [node.path for node in edge.validations] == ["v"]
    assert [node.path for node in edge.blocking_inputs] == ["d", "e", "f"]
    assert edge.command() == "cat d e > a b"


def test_escapes_and_continuations() -> None:
    """Every `$` escape, in values and in paths."""
    edge = only_edge(
        "x = one$ two$:$$ $\n   three\nrule r\n  command = echo $x ${x}y $in_newline\n"
        "build o$ 1 $\n  o$:2: r i$$1 $\n    i2\n"
    )
    assert paths(edge) == (["o 1", "o:2"], ["i$1", "i2"])
    assert edge.command() == "echo one two:$ three one two:$ threey 'i$1'\ni2"


def test_a_continuation_inside_a_path_joins_it() -> None:
    """Ninja skips the line break and the next line's indent in the middle of a word."""
    assert paths(only_edge(CAT + "build a: cat fo$\n   o\n")) == (["a"], ["foo"])


def test_rule_variables_are_expanded_late_in_the_edges_scope() -> None:
    """Edge bindings win over the rule's, the rule's over the file's; files see the value then."""
    state = parse(
        "flags = -O0\nrule cc\n  command = cc $flags $opt -o $out $in\n  description = CC $out\n"
        "opt = file\nbuild a.o: cc a.c\nbuild b.o: cc b.c\n  flags = $flags -g\n  opt =\n"
        "  description = mine\nflags = -O2\n"
    )
    first, second = state.edges
    assert first.command() == "cc -O2 file -o a.o a.c"
    assert second.command() == "cc -O0 -g  -o b.o b.c"
    assert (first.description(), second.description()) == ("CC a.o", "mine")


def test_edge_bindings_are_seen_in_its_paths() -> None:
    """A build statement's own variables may stand in its paths."""
    edge = only_edge(CAT + "build $d/o: cat ${d}/i\n  d = sub\n")
    assert paths(edge) == (["sub/o"], ["sub/i"])


def test_include_shares_and_subninja_nests_the_scope() -> None:
    """What a subninja sets is gone afterwards; its rules may shadow."""
    state = parse(
        "v = top\n" + CAT + "include inc.ninja\nsubninja sub.ninja\nbuild last: cat $v\n",
        inc_ninja="v = included\n",
        sub_ninja="v = sub\nrule cat\n  command = special $in\nbuild inner: cat $v\n",
    )
    inner, last = state.edges
    assert (inner.command(), last.command()) == ("special sub", "cat included > last")


def test_pools_defaults_and_version() -> None:
    """Pools have a depth, the console pool exists, defaults are nodes."""
    state = parse(
        "ninja_required_version = 1.5\npool p\n  depth = 3\nrule r\n  command = x\n  pool = p\n"
        "build a: r\nbuild b: r\n  pool = console\nbuild c: r\n  pool =\ndefault a $\n  b\n"
    )
    assert [edge.pool.depth for edge in state.edges] == [3, 1, 0]
    assert state.edges[1].use_console
    assert [node.path for node in state.default_nodes()] == ["a", "b"]


def test_without_defaults_the_roots_are_built() -> None:
    """Everything that nothing else uses."""
    state = parse(CAT + "build a: cat x\nbuild b: cat a\nbuild c: cat x\n")
    assert [node.path for node in state.default_nodes()] == ["b", "c"]


def test_a_graph_without_roots_is_refused() -> None:
    """A cycle of everything leaves nothing to start from."""
    with pytest.raises(GraphError, match="could not determine root nodes"):
        parse(CAT + "build a: cat b\nbuild b: cat a\n").default_nodes()


def test_in_and_out_are_quoted_only_for_the_shell() -> None:
    """The paths of depfile and rspfile are taken as they are."""
    edge = only_edge(
        "rule r\n  command = c @$out.rsp\n  depfile = $out.d\n  rspfile = $out.rsp\n"
        "  rspfile_content = $in\n  deps = gcc\nbuild a$ b: r 'x y$ z\n"
    )
    assert (edge.depfile(), edge.rspfile()) == ("a b.d", "a b.rsp")
    assert edge.rspfile_content() == "''\\''x' 'y z'"
    assert edge.hashed_command() == "c @'a b'.rsp;rspfile=''\\''x' 'y z'"


def test_windows_line_ends_comments_and_blank_lines() -> None:
    """What editors leave behind does no harm."""
    state = parse(
        "# comment\r\n\r\nx = 1\r\n   # indented\r\nrule r\r\n  command = c $x $\r\n   more\r\n"
        "build a: r b $\r\n  c\r\n  # inside\n  y = 2\r\n \nz = 3\n"
    )
    assert paths(state.edges[0]) == (["a"], ["b", "c"])
    assert state.edges[0].command() == "c 1 more"
    assert state.edges[0].binding("y") == "2"


def test_old_cmake_phony_self_reference_is_forgiven() -> None:
    """The input is dropped with a warning."""
    state = parse("build a: phony a b\n")
    assert paths(state.edges[0]) == (["a"], ["b"])
    assert state.warnings == [
        "phony target 'a' names itself as an input; ignoring [-w phonycycle=warn]"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foobar", "build.ninja:1: expected '=', got eof"),
        ("x 3\n", "build.ninja:1: expected '=', got identifier"),
        ("x = 3", "build.ninja:1: unexpected EOF"),
        ("x = 3\ny 2\n", "build.ninja:2: expected '=', got identifier"),
        ("x = $", "build.ninja:1: bad $-escape (literal $ must be written as $$)"),
        ("x = a$\n b$%\n", "build.ninja:2: bad $-escape (literal $ must be written as $$)"),
        ("x = ${a b}\n", "build.ninja:1: bad $-escape (literal $ must be written as $$)"),
        ("\tx = 1\n", "build.ninja:1: tabs are not allowed, use spaces"),
        ("# no newline", "build.ninja:1: lexing error"),
        ("  x = 1\n", "build.ninja:1: unexpected indent"),
        (": x\n", "build.ninja:1: unexpected ':'"),
        ("build\n", "build.ninja:1: expected path"),
        ("build : x\n", "build.ninja:1: expected path"),
        ("build x: y z\n", "build.ninja:1: unknown build rule 'y'"),
        ("build x:: y z\n", "build.ninja:1: expected build command name"),
        ("build x: | y\n", "build.ninja:1: expected build command name"),
        ("build x\n", "build.ninja:1: expected ':', got newline ($ also escapes ':')"),
        ("build x || y: phony\n", "build.ninja:1: expected ':', got '||' ($ also escapes ':')"),
        ("build x: phony a | b | c\n", "build.ninja:1: expected newline, got '|'"),
        ("build x: phony a || b | c\n", "build.ninja:1: expected newline, got '|'"),
        ("build x: phony a :\n", "build.ninja:1: expected newline, got ':'"),
        ("build x: phony $\n  $%\n", "build.ninja:2: bad $-escape (literal $ must"),
        ("build $x: phony\n", "build.ninja:1: empty path"),
        ("build a: phony\nbuild a: phony\n", "build.ninja:2: multiple rules generate a"),
        ("rule r\n", "build.ninja:2: expected 'command =' line"),
        ("rule r\n  command =\n", "build.ninja:3: expected 'command =' line"),
        ("rule r\n  cmd = x\n", "build.ninja:2: unexpected variable 'cmd'"),
        ("rule r\n  command = x\nrule r\n  command = y\n", "build.ninja:3: duplicate rule 'r'"),
        ("rule %foo\n", "build.ninja:1: expected rule name"),
        ("rule r\n  command = x\n  rspfile = y\n",
         "build.ninja:4: rspfile and rspfile_content need to be both specified"),
        ("build a: phony\n  pool = no\n", "build.ninja:1: unknown pool name 'no'"),
        ("pool p\n", "build.ninja:2: expected 'depth =' line"),
        ("pool p\n  depth = -1\n", "build.ninja:2: invalid pool depth"),
        ("pool p\n  deep = 1\n", "build.ninja:2: unexpected variable 'deep'"),
        ("pool console\n  depth = 1\n", "build.ninja:1: duplicate pool 'console'"),
        ("default nope\n", "build.ninja:1: unknown target 'nope'"),
        ("default\n", "build.ninja:1: expected target name"),
        ("build a: phony\ndefault a:\n", "build.ninja:2: expected newline, got ':'"),
        ("include missing.ninja\n",
         "build.ninja:1: loading 'missing.ninja': No such file or directory"),
        ("ninja_required_version = 9.1\n",
         "build.ninja:1: ninja_required_version is 9.1, newer than 1.13"),
        ("rule r\n  command = x\nbuild a: r\n  dyndep = dd\n",
         "build.ninja:3: dyndep 'dd' is not an input"),
        ("subninja bad.ninja\n", "bad.ninja:1: expected path"),
    ],
)  # fmt: skip
def test_errors_name_file_and_line(text: str, message: str) -> None:
    """The words are ninja's."""
    with pytest.raises(ManifestError) as caught:
        parse(text, bad_ninja="build\n")
    assert caught.value.message.startswith(message)


def test_a_missing_manifest_is_an_error() -> None:
    """It is not an empty one."""
    with pytest.raises(ManifestError, match=r"loading 'build.ninja': No such file"):
        load_manifest(MemoryDisk().read)


def test_rule_variables_that_need_each_other_are_refused() -> None:
    """The cycle is spelled out."""
    edge = only_edge("rule r\n  command = $depfile\n  depfile = $command x\nbuild a: r\n")
    with pytest.raises(ManifestError, match="cycle in rule variables: command -> depfile -> comm"):
        edge.command()


def test_two_thousand_edges_are_few_steps_each() -> None:
    """A large manifest parses completely; its speed is measured by the benchmarks."""
    statements = "".join(f"build o{i}: cat i{i} | a b || c\n  f = -g $out\n" for i in range(2000))
    assert len(parse(CAT + statements).edges) == 2000
