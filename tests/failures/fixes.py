"""Lets cyxmake repair the injected failures: python tests/failures/fixes.py [REGEX].

What came of each is kept in fixed.json beside the recipes; `score.py fixes` counts it.
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

import platformdirs  # noqa: E402

from support.fix_trial import try_to_fix  # noqa: E402
from support.injected_cases import FOLDER, cases  # noqa: E402
from support.source_packages import SourceUnavailable  # noqa: E402


def main() -> int:
    """Try the chosen cases; the exit status is 1 when something forbidden or harmful was done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chosen", nargs="?", default="", help="a regular expression of ids")
    parser.add_argument("--base", default="", help="a regular expression of projects")
    parser.add_argument("--new", action="store_true", help="only cases without a result")
    parser.add_argument("--record", type=Path, default=FOLDER / "fixed.json")
    parser.add_argument("--seconds", type=float, default=450, help="stop after this time")
    options = parser.parse_args()
    path: Path = options.record
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    cache = platformdirs.user_cache_path("cyxmake-tests") / "fixing"
    cache.mkdir(parents=True, exist_ok=True)
    started, harm = time.monotonic(), False
    for case in sorted(cases(options.chosen), key=lambda c: (not c.autonomous, c.absent != "")):
        # Commands that are other ones altogether, cyxmake is not told of: it has its own.
        alone = any(
            change["kind"] == "extra_command" or ("old" in change and change["kind"] == "command")
            for change in case.change
        )
        if not re.search(options.base, case.base):
            continue
        if alone or (options.new and case.id in found) or case.reason_to_skip():
            continue
        if time.monotonic() - started > options.seconds:
            print("stopped: out of time")
            break
        place = Path(tempfile.mkdtemp(prefix="fixes-"))
        try:
            trial = try_to_fix(case, place, cache)
        except (SourceUnavailable, OSError, ValueError) as error:
            print(f"skipped {case.id}: {error}", flush=True)
            continue
        finally:
            shutil.rmtree(place, ignore_errors=True)
        harm = harm or bool(trial.forbidden or trial.harmed)
        found[case.id] = trial.as_json()
        path.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")
        word = "fixed" if trial.fixed else "told"
        odd = [*trial.collateral, *trial.not_restored, *trial.harmed, *trial.forbidden]
        print(f"{word:6} {case.id} {trial.tried} {trial.seconds} s {odd or ''}", flush=True)
        if not trial.fixed:
            print(f"       {trial.sentence}", flush=True)
    return 1 if harm else 0


if __name__ == "__main__":
    sys.exit(main())
