"""Links and static libraries on a real cluster: the bytes of plain ninja, by every way there is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support import link_project
from support.builds import nothing_to_do, run
from support.processes import BuildRun, Cluster

AWAY = ("--download", "toplevel")


class Bench:
    """One project of links at `root`; what ninja made of it, and the first cluster build."""

    wanted: dict[str, bytes]
    found: dict[str, bytes]
    first: BuildRun

    def __init__(self, cluster: Cluster, root: Path) -> None:
        self._cluster = cluster
        self.root = root
        self.outputs = link_project.write(root)

    def here(self, *targets: str) -> dict[str, bytes]:
        """Return what plain ninja makes in a fresh build directory."""
        shutil.rmtree(self.root / "out", ignore_errors=True)
        run(["ninja", "-C", str(self.root), *targets])
        return self.made(*targets)

    def made(self, *targets: str) -> dict[str, bytes]:
        """Return the outputs of links that are here, or those of some targets."""
        paths = {name: self.root / name for name in targets or self.outputs}
        return {name: path.read_bytes() for name, path in paths.items() if path.exists()}

    def there(self, *arguments: str, fresh: bool = True) -> BuildRun:
        """Build on the cluster."""
        if fresh:
            shutil.rmtree(self.root / "out", ignore_errors=True)
        done = self._cluster.build(self.root, "-v", *arguments)
        assert done.status == 0, done.output + done.errors
        return done


@pytest.fixture(scope="module")
def bench(shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A project that the cluster has built once."""
    bench = Bench(shared_cluster, tmp_path_factory.mktemp("links").resolve() / "p")
    bench.wanted = bench.here()
    bench.first = bench.there(*AWAY)
    bench.found = bench.made()
    return bench


def equal(wanted: dict[str, bytes], found: dict[str, bytes]) -> None:
    """Fail with the names of files that differ."""
    assert wanted.keys() == found.keys()
    assert [name for name in wanted if wanted[name] != found[name]] == []


def test_every_kind_of_link_is_ninjas(bench: Bench) -> None:
    """Programs, libraries and archives made by workers without a linker equal local ones."""
    assert bench.wanted.keys() == set(bench.outputs)
    assert bench.first.summary["local_reasons"] == {}, bench.first.output
    equal(bench.wanted, bench.found)
    bench.there(*AWAY)
    assert not (bench.root / "out/m.o").exists()
    for program in ("c", "thin", "cxx", "shared", "searched", "gold", "lto/program"):
        assert run([str(bench.root / "out" / program)]) == "41\n"
    assert bench.there(*AWAY, fresh=False).summary["actions"] == 0


def test_a_wiped_directory_comes_back_from_the_cache(bench: Bench) -> None:
    """Links hit as compiles do, also where everything comes home; ninja then has nothing to do."""
    again = bench.there()
    assert again.summary["local"] == again.summary["remote"] == 0, again.output
    equal(bench.wanted, bench.made())
    assert (bench.root / "out/m.o").exists()
    assert nothing_to_do(bench.root)


@pytest.mark.parametrize(
    ("name", "text", "targets"),
    [
        ("a.c", "int a(int x) { return x + 1; }\nint more;\n", ("out/thin", "out/liba.a")),
        ("s.map", "V2 { global: b; hidden; local: *; };\n", ("out/libs.so.1.0", "out/shared")),
        ("first/libpick.a", "INPUT(out/libb.a -lm)\n", ("out/searched",)),
    ],
    ids=["member of an archive", "version script", "library found earlier"],
)
def test_changed_inputs_miss(bench: Bench, name: str, text: str, targets: tuple[str, ...]) -> None:
    """What a link reads is in its key: nothing stale comes from the cache, and back again hits."""
    path = bench.root / name
    before = path.read_text() if path.exists() else None
    path.write_text(text)
    wanted = bench.here(*targets)
    changed = bench.there(*AWAY, *targets)
    equal(wanted, bench.made(*targets))
    ran = [line for line in changed.output.splitlines() if "[w" in line]
    for target in targets:
        assert any(f" {target} " in line for line in ran), (target, changed.output)
    if before is None:
        path.unlink()
    else:
        path.write_text(before)
    assert bench.there(*AWAY, *targets).summary["remote"] == 0
    equal({name: bench.wanted[name] for name in targets}, bench.made(*targets))


def test_a_local_command_finds_its_inputs(bench: Bench) -> None:
    """What stayed in the cluster comes home before a command here reads it, with what it needs."""
    manifest = bench.root / "build.ninja"
    text = manifest.read_text()
    rule = "rule run\n  command = out/shared > $out && nm out/b.o >> $out\n"
    edge = "build out/said: run | out/shared out/b.o\n"
    manifest.write_text(text + rule + edge)
    try:
        done = bench.there("--download", "minimal", "out/said")
        assert (bench.root / "out/said").read_text().startswith("41\n")
        assert set(done.summary["local_reasons"]) == {"not a compile"}
        here = {path.name for path in (bench.root / "out").iterdir()}
        assert {"said", "shared", "b.o", "libs.so.1.0"} <= here
        assert not {"m.o", "pic.o", "liba.a"} & here
        assert bench.there("--download", "minimal", "out/said", fresh=False).summary["actions"] == 0
    finally:
        manifest.write_text(text)


def test_ninja_makes_what_it_does_not_find(bench: Bench) -> None:
    """Plain ninja after a build that left objects away is right, and so is the next build."""
    bench.there(*AWAY)
    run(["ninja", "-C", str(bench.root)])
    equal(bench.wanted, bench.made())
    assert nothing_to_do(bench.root)
    assert bench.there(*AWAY, fresh=False).summary["actions"] == 0


def test_lost_files_are_made_again(bench: Bench) -> None:
    """When what was left in the cluster cannot be had, the build plans anew and goes on."""
    bench.there(*AWAY, "out/c")
    source = bench.root / "m.c"
    before = source.read_text()
    source.write_text(before + "int fresh;\n")
    try:
        done = bench.there(*AWAY, "--local", "out/c", fresh=False)
        assert "planning anew" in done.output
        assert done.summary["actions"] == 6, done.output
        found = bench.made("out/c")
        assert found == bench.here("out/c")
    finally:
        source.write_text(before)
