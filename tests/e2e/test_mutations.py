"""Random edits against a real cluster: whatever was changed, the result is the local one.

After each edit everything is built on the cluster and, at the same place, by plain ninja. Objects,
their modes, recorded dependencies, exit status and messages have to be the same. A longer run:
`CYXMAKE_MUTATIONS=300 CYXMAKE_SEED=7 pytest tests/e2e/test_mutations.py`.

Runs without a wrong result; "local" has the failures, which are confirmed here:

    seed  steps  hits  remote  local
       1     50   374     158     18
       2     60   342     116    202
       3     50   420      94     36
       4    120   932     223    165
     201    100   779     229     92
     202    100   842     203     55
     203    100   717     259    124
     304    100   774     207    119
     405     60   410     181     69
     401    100   726     265    109

and, since the variables of the locale change, too (611 found one that our interpreter had set; 616
stopped at step 79 for a random name in a message of clang's, not at a wrong result; 615 gave none
either, but more misses than hits, which the test still refuses):

     611    100     .       .      .
     614    100     .       .      .
     615    100   450     566     84
     711     60   431     108    121
     712    100   471     258    371
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from support.mutations import MutatingProject, build_here, observe
from support.processes import Cluster, dbuild, environment

_STEPS = int(os.environ.get("CYXMAKE_MUTATIONS", "6"))
_SEEDS = [int(os.environ["CYXMAKE_SEED"])] if "CYXMAKE_SEED" in os.environ else [1, 2]


@pytest.mark.timeout(120 + 10 * _STEPS)
@pytest.mark.parametrize("seed", _SEEDS)
def test_no_edit_gives_a_wrong_result(seed: int, tmp_path: Path, shared_cluster: Cluster) -> None:
    """Builds on the cluster are those of plain ninja, after every edit; most are hits."""
    project = MutatingProject(tmp_path, Random(seed))
    token = shared_cluster.token("client", expires="12h")
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    steps: list[str] = []
    wrong: list[str] = []
    for number in range(_STEPS):
        steps.append(f"{number}: {project.step() if number else 'the first build'}")
        shutil.rmtree(project.root / "out", ignore_errors=True)
        more = {**project.environment, "CYXMAKE_TOKEN": token}
        old = os.umask(project.umask)
        try:
            done = dbuild(shared_cluster.home, project.root, "-k", "0", **more)
        finally:
            os.umask(old)
        there = observe(project.root, done.status, done.output + done.errors)
        here = build_here(project.root, environment(**project.environment), project.umask)
        if difference := there.difference(here):
            report = [f"seed {seed}, step {number}", *steps, *difference, done.output, done.errors]
            wrong.append("\n".join(report))
            if not os.environ.get("CYXMAKE_GO_ON"):
                break
            print(f"seed {seed}:", steps[-1], *difference, sep="\n    ")
        for name in ("cache_hits", "remote", "local", "failed"):
            counts[name] += done.summary.get(name, 0)
        reasons.update(done.summary.get("local_reasons", {}))
    print(f"seed {seed}, {len(steps)} steps: {dict(counts)} {dict(reasons)}")
    assert not wrong, wrong[0]
    assert counts["cache_hits"] > counts["remote"] > 0 or _STEPS < 5
