"""Tries the injected failures on this machine: python tests/failures/injected.py [REGEX].

Each must build, fail once broken and build again once mended; what it said when it failed is kept
in recorded.json, without this machine's paths, so that the diagnosis can be scored in a second.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent))

from support.injected_bases import BASES  # noqa: E402
from support.injected_cases import (  # noqa: E402
    Injected,
    NotAsTold,
    break_it,
    build_cleanly,
    cases,
    mend,
    run_broken,
)
from support.injection import Workplace  # noqa: E402
from support.source_packages import SourceUnavailable  # noqa: E402

RECORDED: Final = _HERE / "injected" / "recorded.json"
_LONGEST: Final = 6000
_LONGEST_LINE: Final = 1000


def recorded(path: Path) -> dict[str, dict[str, Any]]:
    """Return what each case said when it failed, and its exit status."""
    if not path.exists():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def kept(log: str, work: Workplace) -> str:
    """Return a log without this machine's paths, and not longer than needed."""
    for path, shown in ((work.root, "/src/project"), (work.aside, "/src/aside")):
        log = log.replace(str(path), shown)
    log = log.replace(str(Path.home()), "/home/user")
    log = re.sub(r"\x1b\[[0-9;]*m", "", log)
    if len(log) <= _LONGEST:
        return log
    lines = [_shortened(line) for line in log.splitlines(keepends=True)]
    head, tail = "", ""
    while lines and len(head) < _LONGEST // 4:
        head += lines.pop(0)
    while lines and len(tail) < _LONGEST * 3 // 4:
        tail = lines.pop() + tail
    return f"{head}[... {len(lines)} lines ...]\n{tail}"


def _shortened(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[:_LONGEST_LINE]} [... {len(line) - _LONGEST_LINE} characters ...]\n"


def try_case(
    case: Injected, place: Path, clean: set[str], *, only_fail: bool = False
) -> dict[str, Any]:
    """Try a case in three ways; returns what it said. Raises NotAsTold, SourceUnavailable."""
    base = BASES[case.base]
    sources = base.fetch(place)
    state = case.base + repr(case.first)
    if state not in clean and not only_fail:
        build_cleanly(base, sources, place / "clean", case.first)
        clean.add(state)
    work = break_it(case, sources, place / "broken")
    ran = run_broken(work)
    said = {"log": kept(ran.log, work), "status": ran.status, "seconds": round(ran.seconds, 1)}
    if not only_fail:
        mend(case, work)
        said["mended"] = True
    return said


def main() -> int:
    """Try the chosen cases; the exit status is 1 when one is not what it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chosen", nargs="?", default="", help="a regular expression of ids")
    parser.add_argument("--base", default="", help="a regular expression of projects")
    parser.add_argument("--new", action="store_true", help="only cases that were never recorded")
    parser.add_argument("--unmended", action="store_true", help="only cases not yet mended")
    parser.add_argument("--record", type=Path, default=RECORDED, help="where to keep it")
    parser.add_argument("--only-fail", action="store_true", help="break only, and record")
    parser.add_argument("--seconds", type=float, default=450, help="stop after this time")
    options = parser.parse_args()
    found = recorded(options.record)
    clean: set[str] = set()
    wrong = 0
    started = time.monotonic()
    for case in sorted(cases(options.chosen), key=lambda c: c.base):
        if not re.search(options.base, case.base) or (options.new and case.id in found):
            continue
        if options.unmended and found.get(case.id, {}).get("mended"):
            continue
        if time.monotonic() - started > options.seconds:
            print("stopped: out of time")
            break
        if why := case.reason_to_skip():
            print(f"skipped {case.id}: {why}", flush=True)
            continue
        place = Path(tempfile.mkdtemp(prefix="injected-"))
        try:
            found[case.id] = try_case(case, place, clean, only_fail=options.only_fail)
            print(f"ok      {case.id}", flush=True)
        except (NotAsTold, ValueError, SourceUnavailable, OSError) as error:
            wrong += 1
            found.pop(case.id, None)
            print(f"WRONG   {case.id}: {error}", flush=True)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        known = {c.id for c in cases()}
        text = json.dumps({k: v for k, v in found.items() if k in known}, indent=0, sort_keys=True)
        options.record.write_text(text + "\n")
    print(f"{len(found)} recorded, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
