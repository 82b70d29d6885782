"""Puts cells of the equality table into words: a line for each, and the page docs/CORPORA.md.

Knows nothing of how cells are measured.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence

from support.corpora import CONFIGURATIONS, CORPORA
from support.equality import Cell, Figures

_HEAD = """# Real projects

Made by `python tests/bench/equality.py --markdown docs/CORPORA.md`;
not edited by hand.

A cell is one project in one configuration. It is built by ninja or make alone, wiped, and built in
the same directory by a cluster (one coordinator, two workers, TLS on loopback). Every file that the
build wrote is compared, with its mode: objects, archives, programs, depfiles, `.gcno`, `.dwo`,
generated sources, and what ninja recorded of dependencies. Then come a second build in a wiped
directory, and one in a second checkout at another path and of other depth (in plain and g it is
compared with a local build there). A file is excused only when two plain local builds differ in it
too; such files are listed below.

Workers are *bare* when their root file system holds Python and the modules of CyxMake, and no
compiler, no other program, no header.
"""


_MOST_FAULTS = 10
"""What is listed of a cell with many faults; its result has them all."""


def cell_line(cell: Cell) -> str:
    """Return one line for the terminal."""
    parts = [f"{cell.project}:{cell.configuration}:{cell.workers}", f"{cell.files} files"]
    parts.append(f"local {cell.local_seconds:.1f} s")
    named = (("first", cell.first), ("again", cell.again), ("elsewhere", cell.elsewhere))
    parts += [f"{name} {_figures(found)}" for name, found in named if found is not None]
    if cell.changing:
        parts.append(f"{len(cell.changing)} files change by themselves")
    if cell.tests:
        parts.append(f"tests {cell.tests}")
    parts.append("; ".join(cell.faults()[:12]) or "OK")
    return " | ".join(parts)


def _figures(found: Figures) -> str:
    return f"{found.hits}+{found.remote}r+{found.local}l {found.seconds:.1f} s"


def markdown(cells: Sequence[Cell]) -> str:
    """Return the page."""
    order = [(p, c) for c in CONFIGURATIONS for p in CORPORA]
    shown = sorted(cells, key=lambda c: (c.workers, order.index((c.project, c.configuration))))
    parts = [_HEAD]
    dates = sorted({cell.date for cell in shown})
    parts.append(
        f"Measured {' to '.join(dict.fromkeys((dates[0], dates[-1])))} with {_versions()}, on two "
        f"cores that other work shared: seconds show that a build is no stranger, not how fast a "
        f"cluster is. Code: {', '.join(sorted({cell.commit for cell in shown}))}.\n"
        if dates
        else "Nothing was measured yet.\n"
    )
    for workers in sorted({cell.workers for cell in shown}):
        parts.append(f"## Workers: {workers}\n")
        parts += _table(cell for cell in shown if cell.workers == workers)
        ran = {(cell.project, cell.configuration) for cell in shown if cell.workers == workers}
        missing = [f"{p}:{c}" for p, c in order if (p, c) not in ran]
        if missing:
            parts.append(f"Not run: {', '.join(missing)}.\n")
    parts += _notes(shown)
    return "\n".join(parts).rstrip() + "\n"


def _table(cells: Iterable[Cell]) -> list[str]:
    lines = [
        "| project | configuration | files | unequal | compiles | remote | stayed here "
        "| again: hits | second checkout: hits | name their directory | local s | cluster s "
        "| hits s |",
        "|---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for cell in cells:
        first, again, elsewhere = cell.first, cell.again, cell.elsewhere
        kept = ", ".join(f"{text} ({n})" for text, n in first.kept.items()) if first else ""
        row = [
            cell.project,
            cell.configuration,
            str(cell.files),
            str(len(cell.unequal)) if again else "?",
            str(first.compiles) if first else "?",
            str(first.remote) if first else "?",
            kept,
            f"{again.hit_rate:.0f} %" if again else "?",
            f"{elsewhere.hit_rate:.0f} %" if elsewhere else "",
            str(cell.bound),
            f"{cell.local_seconds:.1f}",
            f"{first.seconds:.1f}" if first else "?",
            f"{again.seconds:.1f}" if again else "?",
        ]
        lines.append(f"| {' | '.join(row)} |")
    return ["\n".join(lines) + "\n"]


def _notes(cells: Sequence[Cell]) -> list[str]:
    parts = ["## Configurations\n"]
    for name, configuration in CONFIGURATIONS.items():
        flags = " ".join(configuration.flags)
        parts.append(
            f"- {name}: " + (f"`{flags}`" if flags else "the project's own release options")
        )
    parts.append(
        "\nObjects that name their directory, or are made of a text that does (debug information, "
        "`__FILE__` in messages; in ninja's, which are built for link-time optimisation, it is "
        "compressed), those whose command line defines a macro with it, and those whose compiler "
        "warned of something in it, are no other checkout's; "
        "all others have to be hits there. `-frandom-seed` stands where a compiler would put "
        "random names or the time into every object.\n"
    )
    parts.append("## The projects' own tests, on what the cluster built\n")
    parts.append("| project | version | workers | tests | result |\n|---|---|---|---|---|")
    for cell in cells:
        if cell.tests:
            result = cell.tests.partition("\n")[0][:160]
            row = (cell.project, cell.version, cell.workers, cell.tests_said, result)
            parts.append(f"| {' | '.join(row)} |")
    changing = [cell for cell in cells if cell.changing]
    if changing:
        parts.append("\n## Files in which two plain local builds differ\n")
        parts += [
            f"- {cell.project}:{cell.configuration} ({cell.workers}): {', '.join(cell.changing)}"
            for cell in changing
        ]
    faulty = [cell for cell in cells if cell.faults()]
    parts.append("\n## Faults\n")
    parts += [
        f"- {cell.project}:{cell.configuration} ({cell.workers}): {fault}"
        for cell in faulty
        for fault in _first(cell.faults())
    ] or ["None."]
    return parts


def _first(faults: Sequence[str]) -> list[str]:
    """Return a line for each of the first faults, and how many more there are."""
    shown = [fault.splitlines()[0][:300] for fault in faults[:_MOST_FAULTS]]
    more = len(faults) - len(shown)
    return [*shown, f"and {more} more"] if more else shown


def _versions() -> str:
    found = []
    for argv in (["gcc", "--version"], ["cmake", "--version"], ["ninja", "--version"]):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        first = done.stdout.partition("\n")[0]
        found.append(first if argv[0] in first else f"{argv[0]} {first}")
    return ", ".join(found)
