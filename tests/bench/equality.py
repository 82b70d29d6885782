"""The equality table: real projects, built locally and by a cluster, every file compared.

    python tests/bench/equality.py [--only zstd:plain] [--markdown docs/CORPORA.md]

Starts a coordinator and two workers for each kind of workers (bare, normal), and runs every cell of
projects x configurations x kinds that has no result yet (`--fresh` runs them all again). Results
are JSON in a folder outside of the tree.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parents[2]
for part in ("common", "coordinator", "worker", "cli", "tests"):
    sys.path.insert(0, str(ROOT / part))

from support.corpora import CONFIGURATIONS, CORPORA  # noqa: E402
from support.equality import WITHOUT_CCACHE, Cell, run_cells  # noqa: E402
from support.equality_report import cell_line, markdown  # noqa: E402
from support.launcher_user import User, make_user  # noqa: E402
from support.processes import bare_root, cluster  # noqa: E402

WORKERS = ("bare", "normal")
RESULTS = platformdirs.user_cache_path("cyxmake-tests") / "equality"


def wanted(only: list[str]) -> list[tuple[str, str]]:
    """Return the cells that were asked for, in the order of the table; `zstd`, `:g`, `zstd:g`."""
    asked = [name.partition(":")[::2] for name in only or [""]]
    return [
        (project, configuration)
        for configuration in CONFIGURATIONS
        for project in CORPORA
        if any(p in ("", project) and c in ("", configuration) for p, c in asked)
    ]


def commit() -> str:
    """Return what is checked out, with a mark when it was changed since."""
    argv = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "?"


def run(cells: Mapping[tuple[str, str], list[str]], results: Path, scratch: Path) -> None:
    """Run cells, each kind of workers on a cluster of its own.

    The results of a project and configuration are kept as soon as they are there.
    """
    with ExitStack() as stack:
        users = {
            workers: stack.enter_context(_user(workers, scratch))
            for workers in WORKERS
            if any(workers in kinds for kinds in cells.values())
        }
        for (project, configuration), kinds in cells.items():
            date = datetime.datetime.now(datetime.UTC).date().isoformat()
            rows = [
                (
                    Cell(project, "", configuration, workers, commit=commit(), date=date),
                    users[workers],
                )
                for workers in kinds
            ]
            run_cells(rows, scratch)
            for cell, _ in rows:
                file = result_file(results, project, configuration, cell.workers)
                file.write_text(json.dumps(cell.to_json(), indent=1) + "\n", "utf-8")
                print(cell_line(cell), flush=True)


@contextmanager
def _user(workers: str, scratch: Path) -> Iterator[User]:
    """Start a cluster, and bring a user of it."""
    home = scratch / f"cluster-{workers}"
    home.mkdir()
    root = bare_root(scratch / "root") if workers == "bare" else None
    if root is not None:
        programs, has_headers, compiler = root.look()
        if len(programs) != 1 or has_headers or compiler:
            raise SystemExit(f"the root of the workers is not bare: {programs} {compiler}")
    with cluster(home, root=root) as made:
        token = made.token("client", "1d")
        user = make_user(scratch / f"user-{workers}", CYXMAKE_TOKEN=token, **WITHOUT_CCACHE)
        try:
            yield user
        finally:
            user.stop()


def result_file(results: Path, project: str, configuration: str, workers: str) -> Path:
    """Return where the result of a cell is kept."""
    return results / f"{workers}-{project}-{configuration}.json"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="PROJECT:CONFIGURATION")
    parser.add_argument("--workers", choices=WORKERS, help="both kinds, unless one is named")
    parser.add_argument("--fresh", action="store_true", help="run cells that have a result too")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--scratch", type=Path, help="a folder for builds; some GB")
    parser.add_argument("--markdown", type=Path, help="write the table of all results here")
    parser.add_argument("--no-run", action="store_true", help="only show what is there")
    options = parser.parse_args()
    # Ended by whoever started it, it still ends its own cluster and removes its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    options.results.mkdir(parents=True, exist_ok=True)
    kinds = (options.workers,) if options.workers else WORKERS
    cells = {}
    for project, configuration in wanted(options.only):
        missing = [
            workers
            for workers in kinds
            if options.fresh
            or not result_file(options.results, project, configuration, workers).exists()
        ]
        if missing:
            cells[project, configuration] = missing
    if cells and not options.no_run:
        scratch = Path(tempfile.mkdtemp(prefix="equality-", dir=options.scratch))
        try:
            run(cells, options.results, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    done = [
        Cell.from_json(json.loads(file.read_text("utf-8")))
        for file in sorted(options.results.glob("*.json"))
    ]
    if options.markdown:
        options.markdown.write_text(markdown(done), "utf-8")
    faulty = [cell for cell in done if cell.faults()]
    print(f"{len(done)} cells, {len(faulty)} with faults")
    sys.exit(1 if faulty else 0)


if __name__ == "__main__":
    main()
