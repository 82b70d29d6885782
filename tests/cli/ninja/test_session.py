"""A whole build in memory: readiness, restat, failures, pools, dyndeps, logs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cyxmake_cli.ninja.errors import GraphError
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.ninja.session import BuildGraph, Keep, Options, Result
from cyxmake_common.errors import ProjectError
from support.memory_disk import MemoryDisk

RULES = """\
rule cat
  command = cat $in > $out $x
rule keep
  command = keep $in > $out
  restat = 1
rule cc
  command = cc $in -o $out
  depfile = $out.d
  deps = gcc
rule gen
  command = gen $out
  generator = 1
"""


class Build:
    """A build directory in memory whose commands write all outputs, unless told otherwise."""

    def __init__(self, manifest: str, *sources: str, options: Options | None = None) -> None:
        self.disk = MemoryDisk(dict.fromkeys(sources, ""))
        self.disk.put("build.ninja", RULES + manifest)
        self.options = options or Options(explain=True)
        self.fails: set[str] = set()
        self.unchanged: set[str] = set()
        self.depfiles: dict[str, str] = {}
        self.contents: dict[str, str] = {}
        self.on_run: Callable[[Edge], None] = lambda edge: None
        self.clock = 0

    def load(self) -> BuildGraph:
        return BuildGraph.load(self.disk, self.options)

    def run(self, *targets: str) -> list[str]:
        """Build and return the first outputs of what ran, in order."""
        graph = self.load()
        graph.plan(targets)
        ran = self.drain(graph)
        graph.close()
        return ran

    def drain(self, graph: BuildGraph) -> list[str]:
        ran: list[str] = []
        while (edge := graph.next_ready()) is not None:
            ran.append(edge.outputs[0].path)
            self.finish(graph, edge)
        return ran

    def finish(self, graph: BuildGraph, edge: Edge) -> None:
        graph.started(edge, self.clock)
        self.clock += 10
        name = edge.outputs[0].path
        ok = name not in self.fails
        if ok:
            for node in edge.outputs:
                if node.path not in self.unchanged or not self.disk.stat(node.path):
                    self.disk.put(node.path, self.contents.get(node.path, ""))
            if name in self.depfiles:
                self.disk.put(f"{name}.d", self.depfiles[name])
        self.on_run(edge)
        graph.finished(edge, Result(ok), self.clock)

    def touch(self, *paths: str) -> None:
        for path in paths:
            self.disk.put(path, self.disk.files.get(path, b""))


def test_a_chain_runs_in_order_and_then_rests() -> None:
    """Sources first; a second build has nothing to do."""
    build = Build("build b: cat a\nbuild c: cat b\n", "a")
    assert build.run() == ["b", "c"]
    assert build.run() == []
    build.touch("a")
    assert build.run() == ["b", "c"]


def test_a_changed_command_runs_again() -> None:
    """The log's hash is of the command, also through a variable."""
    build = Build("x = 1\nbuild b: cat a\n", "a")
    build.run()
    build.disk.put("build.ninja", RULES + "x = 2\nbuild b: cat a\n")
    assert build.run() == ["b"]


def test_a_generator_ignores_a_changed_command() -> None:
    """Only a changed or missing input counts."""
    build = Build("build b: gen a\n", "a")
    build.run()
    build.disk.put("build.ninja", RULES.replace("gen $out", "gen2 $out") + "build b: gen a\n")
    assert build.run() == []


def test_order_only_inputs_order_but_do_not_dirty() -> None:
    """They are made first, yet their change rebuilds nothing."""
    build = Build("build b: cat a || tool\nbuild tool: cat t\n", "a", "t")
    assert build.run("b") == ["tool", "b"]
    build.touch("t")
    assert build.run("b") == ["tool"]


def test_an_unchanged_restat_output_spares_its_users() -> None:
    """Also users further up; what is spared is named."""
    build = Build("build b: keep a\nbuild c: cat b\nbuild d: cat c\n", "a")
    build.run()
    build.touch("a")
    build.unchanged = {"b"}
    graph = build.load()
    assert graph.plan()
    edge = graph.next_ready()
    assert edge is not None
    graph.started(edge, 0)
    finished = graph.finished(edge, Result(True), 1)
    assert [e.outputs[0].path for e in finished.cleaned] == ["c", "d"]
    assert not graph.more_to_do()
    assert build.run() == []


def test_users_with_unknown_deps_are_not_spared() -> None:
    """Without its dependency record an edge must run whatever restat says."""
    build = Build("build b: keep a\nbuild c: cc b\n", "a")
    build.depfiles["c"] = "c: b h\n"
    build.run()
    build.touch("a")
    build.disk.remove(".ninja_deps")
    build.unchanged = {"b"}
    assert build.run() == ["b", "c"]


def test_headers_come_from_the_depfile_which_is_removed() -> None:
    """The deps log remembers them; a touched header rebuilds."""
    build = Build("build o: cc a\n", "a", "h")
    build.depfiles["o"] = "o: a h\n"
    assert build.run() == ["o"]
    assert "o.d" not in build.disk.files
    build.touch("h")
    graph = build.load()
    assert graph.plan()
    assert graph.explanations(graph.wanted()[0])[0].startswith("output o older than most recent")
    assert build.run() == ["o"]
    assert build.run() == []


@pytest.mark.parametrize(
    ("held", "keep", "message", "left"),
    [
        ("o: a h\n", False, b"", None),
        ("o: a h\n", True, b"", b"o: a h\n"),
        ("", False, b"", b""),
        ("nonsense\n", False, b"expected ':' in depfile", b"nonsense\n"),
    ],
)
def test_a_held_depfile_leaves_what_a_written_one_leaves(
    held: str, keep: bool, message: bytes, left: bytes | None
) -> None:
    """Deps, messages, files: all as ninja has them after a command that wrote its depfile."""
    found = []
    for is_held in (False, True):
        options = Options(keep=Keep(depfiles=keep))
        build = Build("build o: cc a\n", "a", "h", options=options)
        build.disk.put("o.d", held if not is_held else "o: stale\n")
        graph = build.load()
        graph.plan()
        edge = graph.next_ready()
        assert edge is not None
        graph.started(edge, 0)
        build.disk.put("o", "")
        finished = graph.finished(edge, Result(True, b"", held.encode() if is_held else None), 1)
        assert (finished.ok, finished.output) == (not message, message)
        assert build.disk.files.get("o.d") == left
        graph.close()
        found.append(build.disk.files[".ninja_deps"])
    assert found[0] == found[1]


def test_a_removed_header_rebuilds_instead_of_stopping() -> None:
    """The compiler shall say whether it is still needed."""
    build = Build("build o: cc a\n", "a", "h")
    build.depfiles["o"] = "o: a h\n"
    build.run()
    build.disk.remove("h")
    build.depfiles["o"] = "o: a\n"
    assert build.run() == ["o"]
    assert build.run() == []


def test_a_missing_source_stops() -> None:
    """The message names who needs it."""
    build = Build("build b: cat a\n")
    with pytest.raises(
        GraphError, match="'a', needed by 'b', missing and no known rule to make it"
    ):
        build.run()


def test_a_cycle_is_spelled_out() -> None:
    """From the first node round to itself."""
    build = Build("build a: cat b\nbuild b: cat c\nbuild c: cat a\n")
    with pytest.raises(GraphError, match=r"dependency cycle: a -> b -> c -> a$"):
        build.run("a")
    twins = Build("build a b: cat c\nbuild c: cat a\n")
    with pytest.raises(GraphError, match=r"dependency cycle: a -> c -> a$"):
        twins.run("b")


def test_unknown_targets_get_a_suggestion() -> None:
    """And `^` names what is made of a source."""
    build = Build("build prog: cat a\nbuild o: cc b\n", "a", "b", "h")
    build.depfiles["o"] = "o: b h\n"
    build.run()
    graph = build.load()
    with pytest.raises(GraphError, match="unknown target 'porg', did you mean 'prog'"):
        graph.plan(["porg"])
    with pytest.raises(GraphError, match=r"unknown target 'zzz'$"):
        graph.plan(["zzz"])
    with pytest.raises(GraphError, match="empty path"):
        graph.plan([""])
    with pytest.raises(GraphError, match="'prog' has no out edge"):
        graph.plan(["prog^"])
    assert graph.target("./a^").path == "prog"
    assert graph.target("h^").path == "o"


def test_one_failure_ends_the_build_by_default() -> None:
    """Nothing new is handed out; what runs may still finish."""
    build = Build("build a: cat s\nbuild b: cat s\nbuild c: cat s\n", "s")
    build.fails = {"a"}
    graph = build.load()
    assert graph.plan()
    first, second = graph.next_ready(), graph.next_ready()
    assert first is not None
    assert second is not None
    graph.started(second, 0)
    build.finish(graph, first)
    assert graph.gave_up()
    assert graph.next_ready() is None
    graph.finished(second, Result(True), 1)
    assert graph.failure() == "subcommand failed"


def test_keep_going_runs_what_does_not_depend_on_the_failure() -> None:
    """Then it says that it cannot make progress."""
    manifest = "build a: cat s\nbuild b: cat a\nbuild c: cat s\n"
    build = Build(manifest, "s", options=Options(keep_going=0))
    build.fails = {"a"}
    graph = build.load()
    graph.plan()
    assert build.drain(graph) == ["a", "c"]
    assert graph.failure() == "cannot make progress due to previous errors"
    graph.close()
    build.fails = set()
    assert build.run() == ["a", "b"]


def test_a_pool_limits_its_edges() -> None:
    """At most depth of them are out at a time; others pass by."""
    pool = "pool p\n  depth = 1\n"
    lines = "".join(f"build {name}: cat s\n  pool = p\n" for name in "abc")
    build = Build(pool + lines + "build z: cat s\n", "s")
    graph = build.load()
    graph.plan()
    first, second = graph.next_ready(), graph.next_ready()
    assert [e and e.outputs[0].path for e in (first, second)] == ["a", "z"]
    assert graph.next_ready() is None
    assert first is not None
    build.finish(graph, first)
    third = graph.next_ready()
    assert third is not None
    assert third.outputs[0].path == "b"


def test_the_longest_way_starts_first() -> None:
    """An edge with much behind it is more urgent than one declared earlier."""
    build = Build("build a: cat s\nbuild z: cat s\nbuild y: cat z\nbuild x: cat y\n", "s")
    assert build.run() == ["z", "y", "a", "x"]


def test_known_durations_weigh() -> None:
    """One slow edge outweighs a chain of quick ones."""
    log = "# ninja log v5\n0\t9000\t1\tslow\t1\n" + "".join(
        f"0\t10\t1\t{name}\t1\n" for name in ("z", "y", "x")
    )
    build = Build("build z: cat s\nbuild y: cat z\nbuild x: cat y\nbuild slow: cat s\n", "s")
    build.disk.put(".ninja_log", log)
    assert build.run()[0] == "slow"


def test_validations_are_built_with_their_user_but_not_before_it() -> None:
    """A failing validation fails the build; its user is built all the same."""
    build = Build("build a: cat s |@ check\nbuild check: cat a\n", "s")
    assert build.run("a") == ["a", "check"]
    assert build.run("a") == []


def test_a_phony_without_inputs_is_always_dirty() -> None:
    """CMake's `FORCE` idiom."""
    build = Build("build force: phony\nbuild a: cat s | force\n", "s")
    assert build.run() == ["a"]
    assert build.run() == ["a"]


def test_a_phony_passes_the_time_of_its_inputs_on() -> None:
    """A touched file behind a name rebuilds who uses the name."""
    build = Build("build name: phony s t\nbuild a: cat name\n", "s", "t")
    assert build.run() == ["a"]
    assert build.run() == []
    build.touch("t")
    assert build.run() == ["a"]


def test_a_dyndep_file_adds_inputs_and_outputs() -> None:
    """What it names is built first, and counts from then on."""
    manifest = (
        "build dd: cat s\nbuild late: cat t\nbuild a: cat s || dd\n  dyndep = dd\n"
        "build user: cat extra || dd\n"
    )
    build = Build(manifest, "s", "t")
    build.contents["dd"] = "ninja_dyndep_version = 1\nbuild a | extra: dyndep | late\n"
    build.disk.put("extra")
    assert build.run("a", "user") == ["dd", "late", "a", "user"]
    assert build.run("a", "user") == []
    build.touch("t")
    assert build.run("a", "user") == ["late", "a", "user"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "dd:1: expected 'ninja_dyndep_version = ...'"),
        ("build a: dyndep\n", "dd:1: expected 'ninja_dyndep_version = ...'"),
        ("x = 1\n", "dd:1: expected 'ninja_dyndep_version = ...'"),
        ("ninja_dyndep_version = 2\n", "dd:1: unsupported 'ninja_dyndep_version = 2'"),
        ("V\nV\n", "dd:2: unexpected identifier"),
        ("V\n", "'a' not mentioned in its dyndep file 'dd'"),
        ("V\nbuild a x: dyndep\n", "dd:2: explicit outputs not supported"),
        ("V\nbuild a: dyndep x\n", "dd:2: explicit inputs not supported"),
        ("V\nbuild a: cat\n", "dd:2: expected build command name 'dyndep'"),
        ("V\nbuild a: dyndep || x\n", "dd:2: order-only inputs not supported"),
        ("V\nbuild a: dyndep\n  x = 1\n", "dd:3: binding is not 'restat'"),
        ("V\nbuild a: dyndep\nbuild a: dyndep\n", "dd:3: multiple statements for 'a'"),
        ("V\nbuild q: dyndep\n", "dd:2: no build statement exists for 'q'"),
        ("V\nbuild a | b: dyndep\n", "multiple rules generate b"),
        ("V\nbuild a: dyndep\nbuild b: dyndep\n",
         "dyndep file 'dd' mentions output 'b' whose build statement does not have a dyndep "
         "binding for the file"),
        ("V\nbuild a | a: dyndep\n", "multiple rules generate a"),
        ("V\nbuild a: dyndep | a\n", "dependency cycle: a -> a"),
    ],
)  # fmt: skip
def test_a_wrong_dyndep_file_stops(content: str, message: str) -> None:
    """The words are ninja's."""
    build = Build("build b: cat s\nbuild a: cat s || dd\n  dyndep = dd\n", "s")
    build.disk.put("dd", content.replace("V\n", "ninja_dyndep_version = 1.0\n"))
    with pytest.raises(ProjectError) as caught:
        build.run("a")
    assert caught.value.message.startswith(message)


def test_response_files_live_as_long_as_their_command() -> None:
    """Present while it runs, gone after success, left after failure."""
    rule = "rule rsp\n  command = r\n  rspfile = $out.rsp\n  rspfile_content = $in!\n"
    build = Build(rule + "build sub/a: rsp s t\n", "s", "t")
    seen: list[bytes] = []
    build.on_run = lambda edge: seen.append(build.disk.files["sub/a.rsp"])
    build.fails = {"sub/a"}
    build.run()
    assert "sub/a.rsp" in build.disk.files
    build.fails = set()
    build.run()
    assert seen == [b"s t!", b"s t!"]
    assert "sub/a.rsp" not in build.disk.files
    assert "sub" in build.disk.made


def test_show_includes_are_filtered_and_remembered() -> None:
    """The lines go, the header counts, also when the compile fails."""
    rule = "rule cl\n  command = cl\n  deps = msvc\n"
    build = Build(rule + "build o: cl a\n", "a", "h")
    graph = build.load()
    graph.plan()
    edge = graph.next_ready()
    assert edge is not None
    graph.started(edge, 0)
    build.disk.put("o")
    output = b"a.c\r\nNote: including file: h\r\nwarning\r\n"
    assert graph.finished(edge, Result(True, output), 1).output == b"warning\n"
    graph.close()
    assert build.run() == []
    build.touch("h")
    assert build.run() == ["o"]


def test_a_broken_depfile_fails_the_edge() -> None:
    """The reason is appended to the output."""
    build = Build("build o: cc a\n", "a")
    graph = build.load()
    graph.plan()
    edge = graph.next_ready()
    assert edge is not None
    graph.started(edge, 0)
    build.disk.put("o")
    build.disk.put("o.d", "nonsense")
    finished = graph.finished(edge, Result(True, b"out"), 1)
    assert (finished.ok, finished.output) == (False, b"out\nexpected ':' in depfile")
    assert graph.failure() == "subcommand failed"


def test_a_foreign_depfile_makes_dirty() -> None:
    """A depfile (without deps=) that speaks of another file is not believed."""
    rule = "rule plain\n  command = p\n  depfile = $out.d\n"
    build = Build(rule + "build o: plain a\n", "a", "h")
    build.depfiles["o"] = "o: a h\n"
    assert build.run() == ["o"]
    assert build.run() == []
    build.disk.put("o.d", "other: a h\n")
    assert build.run() == ["o"]
    build.disk.remove("o.d")
    assert build.run() == ["o"]


def test_abandoned_edges_leave_nothing_half_written() -> None:
    """Changed outputs go, untouched ones stay, unless a depfile may be newer."""
    build = Build("build a: cat s\nbuild b: cat s\nbuild o: cc s\n", "s")
    build.depfiles["o"] = "o: s\n"
    build.run()
    build.touch("s")
    graph = build.load()
    graph.plan()
    edges = []
    while (edge := graph.next_ready()) is not None:
        graph.started(edge, 0)
        edges.append(edge)
    build.touch("a")
    graph.abandon(edges)
    assert {"a", "b", "o"} & set(build.disk.files) == {"b"}


def test_the_manifest_is_brought_up_to_date_first() -> None:
    """A generator edge for build.ninja runs, and then the graph is loaded again."""
    build = Build("build build.ninja: gen lists\nbuild a: cat s\n", "s", "lists")
    build.touch("lists")
    graph = build.load()
    assert graph.plan_manifest()
    build.contents["build.ninja"] = build.disk.files["build.ninja"].decode()
    assert build.drain(graph) == ["build.ninja"]
    assert graph.manifest_rebuilt()
    graph.close()
    graph = build.load()
    assert not graph.plan_manifest()
    assert graph.plan()
    assert build.drain(graph) == ["a"]


def test_an_unchanged_manifest_is_not_loaded_again() -> None:
    """With restat, regeneration that changes nothing goes on with the same graph."""
    build = Build("build build.ninja: keep lists\nbuild a: cat s\n", "s", "lists")
    build.unchanged = {"build.ninja"}
    build.touch("build.ninja")
    build.touch("lists")
    graph = build.load()
    assert graph.plan_manifest()
    assert build.drain(graph) == ["build.ninja"]
    assert not graph.manifest_rebuilt()
    assert graph.plan(["a"])
    assert build.drain(graph) == ["a"]


def test_logs_live_in_the_build_directory() -> None:
    """As the manifest's `builddir` says."""
    build = Build("builddir = out\nbuild a: cat s\n", "s")
    build.run()
    assert {"out/.ninja_log", "out/.ninja_deps"} <= set(build.disk.files)


@pytest.mark.parametrize(("release", "mtime"), [("1.11.1", "output"), ("1.13.0", "start")])
def test_each_release_records_its_own_mtime(release: str, mtime: str) -> None:
    """Until 1.11 the newest output; since then the start, so that an edit meanwhile counts."""
    build = Build("build a: cat s\n", "s", options=Options(ninja_version=release))
    build.on_run = lambda edge: build.touch("s")
    build.disk.tick()
    build.run()
    recorded = build.load().build_log.entries["a"].mtime
    assert (recorded == build.disk.stat("a")) == (mtime == "output")
    assert recorded < build.disk.stat("s")
    assert ".ninja_lock" not in build.disk.files


def test_a_source_missing_from_the_manifest_stops_newer_releases() -> None:
    """Since 1.12 a depfile that names a vanished source does not excuse it."""
    build = Build("build o: cc a\n", "a", options=Options(ninja_version="1.12.0"))
    build.depfiles["o"] = "o: a h\n"
    build.disk.put("h")
    build.run()
    build.disk.remove("a")
    with pytest.raises(GraphError, match="'a', needed by 'o', missing"):
        build.run()


def test_a_dry_run_touches_nothing() -> None:
    """All edges are handed out, no file changes."""
    manifest = "build sub/b: cat a\nbuild c: cc sub/b\n"
    build = Build(manifest, "a", options=Options(dry_run=True))
    before = dict(build.disk.mtimes)
    graph = build.load()
    graph.plan()
    ran = []
    while (edge := graph.next_ready()) is not None:
        graph.started(edge, 0)
        graph.finished(edge, Result(True), 0)
        ran.append(edge.outputs[0].path)
    graph.abandon([])
    graph.close()
    assert ran == ["sub/b", "c"]
    assert build.disk.mtimes == before


def test_a_very_deep_chain_needs_no_deep_stack() -> None:
    """Five thousand edges one after the other."""
    size = 5000
    chain = "".join(f"build n{i + 1}: cat n{i}\n" for i in range(size))
    build = Build(chain, "n0")
    assert len(build.run(f"n{size}")) == size
    build.touch("n0")
    graph = build.load()
    assert graph.plan([f"n{size}"])
    assert len(graph.wanted()) == size


def test_an_unreadable_file_stops() -> None:
    """An error of the disk is not a missing file."""
    build = Build("build b: cat a\n", "a")
    build.disk.unreadable.add("a")
    with pytest.raises(GraphError, match=r"stat\(a\)"):
        build.run()


def test_everything_prints_itself_in_one_line() -> None:
    """Logs and failed assertions show the state."""
    build = Build("pool p\n  depth = 1\nbuild b: cat a\n  pool = p\n", "a")
    graph = build.load()
    graph.plan()
    edge = graph.wanted()[0]
    for thing in (graph, edge, edge.inputs[0], edge.pool, edge.rule, edge.env, graph.build_log):
        assert "\n" not in repr(thing)
    assert repr(edge) == "Edge(0 b: cat of 1 inputs)"
    assert repr(edge.outputs[0]) == "Node(b mtime=0 dirty)"
    assert graph.warnings() == ()
