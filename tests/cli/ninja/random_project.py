"""Makes small random ninja projects and changes them at random, the same way for the same seed.

Knows nothing of our code; only of ninja's language and of the file system.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

RULES = """\
pool narrow
  depth = 1
rule cat
  command = cat $in /dev/null > $out $flags
rule both
  command = for o in $out; do cat $in /dev/null > $$o; done $flags
rule keep
  command = cat $in /dev/null > $out.tmp; cmp -s $out.tmp $out || cp $out.tmp $out; rm $out.tmp
  restat = 1
rule quiet
  command = test -e $out || touch $out
  restat = 1
rule gen
  command = cat $in /dev/null > $out $flags
  generator = 1
rule deps
  command = cat $in $seen > $out; echo $out: $in $seen > $out.d
  depfile = $out.d
  deps = gcc
rule depfile
  command = cat $in $seen > $out; echo $out: $in $seen > $out.d
  depfile = $out.d
rule depskeep
  command = cat $in $seen > $out.tmp; cmp -s $out.tmp $out || cp $out.tmp $out; $
      rm $out.tmp; echo "$out: $in $seen" > $out.d
  depfile = $out.d
  restat = 1
rule rsp
  command = cat $out.rsp > $out
  rspfile = $out.rsp
  rspfile_content = $in_newline $flags
  pool = narrow
rule fails
  command = test -e allow && cat $in > $out
rule shy
  command = cat $in > $out.tmp; cmp -s $out.tmp $out || cp $out.tmp $out; rm $out.tmp
  restat = 1
  generator = 1
"""
KINDS = [
    "cat",
    "both",
    "keep",
    "quiet",
    "gen",
    "deps",
    "depfile",
    "depskeep",
    "rsp",
    "shy",
    "phony",
]
RARE = ["fails"]


class RandomProject:
    """One build directory and the random choices that shape it."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.sources = [f"s{i}.c" for i in range(self.random.randint(2, 5))]
        self.outputs: list[str] = []
        self.statements: list[tuple[str, list[str]]] = []
        for source in self.sources:
            (root / source).write_text(f"{source}\n")
        for number in range(self.random.randint(2, 9)):
            self._add_statement(number)
        self.write_manifest()

    def _pick(self, pool: list[str], most: int) -> list[str]:
        return self.random.sample(pool, min(len(pool), self.random.randint(0, most)))

    def _add_statement(self, number: int) -> None:
        choose = self.random
        kind = choose.choice(RARE if choose.random() < 0.05 else KINDS)
        known = self.sources + self.outputs
        outs = [f"out/d{number}/o{number}" if choose.random() < 0.3 else f"o{number}"]
        implicit_outs: list[str] = []
        if kind == "both" and choose.random() < 0.7:
            outs.append(f"o{number}b")
        ins = self._pick(known, 3) or [choose.choice(known)]
        if kind in ("phony", "cat", "quiet") and choose.random() < 0.15:
            ins = []
        line = f"build {' '.join(outs)}"
        line += f" | {' '.join(implicit_outs)}" if implicit_outs else ""
        line += f": {kind} {' '.join(ins)}"
        for mark, most, chance in (("|", 2, 0.3), ("||", 2, 0.3), ("|@", 1, 0.1)):
            extra = self._pick(known, most) if choose.random() < chance else []
            line += f" {mark} {' '.join(extra)}" if extra else ""
        bindings = [f"flags = # {number}"]
        if kind in ("deps", "depfile", "depskeep"):
            bindings.append(f"seen = {' '.join(self._pick(self.sources, 2))}")
        self.statements.append((line, bindings))
        self.outputs += outs

    def write_manifest(self) -> None:
        """Write build.ninja from the statements."""
        text = RULES
        for line, bindings in self.statements:
            text += "\n".join([line, *(f"  {binding}" for binding in bindings)]) + "\n"
        (self.root / "build.ninja").write_text(text)

    def targets(self) -> list[str]:
        """Choose what to build: mostly everything."""
        return [] if self.random.random() < 0.8 else self._pick(self.outputs, 2)

    def change(self) -> str:
        """Change something and say what."""
        kind = self.random.choice(
            ["touch", "edit", "remove", "flag", "touch output", "drop depfile"]
        )
        if kind == "flag":
            index = self.random.randrange(len(self.statements))
            self.statements[index][1][0] = f"flags = # {self.random.random()}"
            self.write_manifest()
            return f"flag {index}"
        name = self.random.choice(self.sources if kind in ("touch", "edit") else self.outputs)
        path = self.root / name
        if kind == "drop depfile":
            path.with_name(path.name + ".d").unlink(missing_ok=True)
        elif kind == "remove":
            path.unlink(missing_ok=True)
        elif path.exists():
            if kind == "edit":
                path.write_text(f"{self.random.random()}\n")
            now = time.time_ns()
            os.utime(path, ns=(now, now))
        return f"{kind} {name}"
