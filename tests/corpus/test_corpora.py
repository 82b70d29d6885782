"""Real projects on a real cluster: byte-equal to ninja, then entirely from the cache.

Run with `pytest -m corpus`; sources are fetched by package name and kept outside of the tree.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import configure, planned, products, recorded_dependencies, run
from support.corpora import CORPORA, Corpus, corpus
from support.processes import Cluster, begin, cluster, wait_for_lines

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A coordinator and two workers for all projects."""
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def prepare(name: str, directory: Path) -> tuple[Corpus, Path, Path]:
    """Return the project, a fresh copy of its sources, and its build directory."""
    for tool in ("cmake", "ninja", "meson"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    spec = CORPORA[name]
    sources = directory / name
    if not sources.exists():
        shutil.copytree(corpus(name), sources, symlinks=True)
    return spec, sources / spec.source if spec.source else sources, directory / f"{name}-build"


def dependencies(build: Path) -> list[str]:
    """Return ninja's recorded header dependencies in an order of their own."""
    return sorted(recorded_dependencies(build).split("\n\n"))


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_equal_then_cached_then_incremental(name: str, shared: Cluster, tmp_path: Path) -> None:
    """Every file equals ninja's; a wiped build is all hits; touches run exactly ninja's set."""
    spec, source, build = prepare(name, tmp_path)
    configure(spec.configure, source, build)
    start = time.monotonic()
    run(["ninja", "-C", str(build)])
    local_seconds = time.monotonic() - start
    wanted, recorded, always = products(build), dependencies(build), planned(build)

    configure(spec.configure, source, build)
    first = shared.build(source, "--build-dir", str(build))
    assert first.status == 0, first.output[-3000:] + first.errors
    assert first.summary["cache_hits"] == 0
    assert set(first.summary["local_reasons"]) <= {"not a compile"}
    assert products(build) == wanted
    assert dependencies(build) == recorded
    assert planned(build) == always
    if spec.test:
        run([part.format(source=source, build=build) for part in spec.test])

    configure(spec.configure, source, build)
    again = shared.build(source, "--build-dir", str(build))
    assert again.status == 0, again.output[-3000:]
    assert again.summary["remote"] == 0
    assert again.summary["cache_hits"] == first.summary["remote"]
    assert products(build) == wanted
    assert planned(build) == always

    for touched in (spec.one_source, spec.hot_header):
        (source_root(spec, source) / touched).touch()
        ran = run(["ninja", "-C", str(build)]).splitlines()  # a restat may stop a planned action
        count = sum(line.startswith("[") for line in ran)
        (source_root(spec, source) / touched).touch()
        done = shared.build(source, "--build-dir", str(build))
        assert done.status == 0
        assert done.summary["actions"] == count > len(always), touched
        assert planned(build) == always

    idle = [shared.build(source, "--build-dir", str(build)).summary for _ in range(5)]
    assert all(summary["actions"] == len(always) for summary in idle)
    print(
        f"\n{name}: ninja {local_seconds:.1f} s, cold {first.summary['wall']:.1f} s, "
        f"warm {again.summary['wall']:.1f} s, {first.summary['remote']} compiles, "
        f"no-op {statistics.median(s['wall'] for s in idle):.3f} s, "
        f"MB up {first.summary['bytes_up'] / 1e6:.1f}, down {first.summary['bytes_down'] / 1e6:.1f}"
    )


def source_root(spec: Corpus, source: Path) -> Path:
    """Return the top of the unpacked sources."""
    return source.parents[len(Path(spec.source).parts) - 1] if spec.source else source


@pytest.mark.parametrize("moment", range(10))
def test_kill_a_worker_at_any_moment(moment: int, tmp_path: Path) -> None:
    """kill -9 of one of two workers, at ten different moments of a zstd build."""
    spec, source, build = prepare("zstd", tmp_path)
    configure(spec.configure, source, build)
    run(["ninja", "-C", str(build)])
    wanted, always = products(build), planned(build)
    with cluster(tmp_path) as made:
        configure(spec.configure, source, build)
        running = begin(made, source, "--build-dir", str(build))
        wait_for_lines(running, moment * 4)
        made.workers[f"w{moment % 2}"].kill()
        output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output[-3000:]
    assert products(build) == wanted
    assert planned(build) == always
