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
rule facts
  command = printf '%s\\n' 'ninja_dyndep_version = 1' 'build $main$extra_out: dyndep$extra_in' $
      $restat_line > $out
rule keepfacts
  command = printf '%s\\n' 'ninja_dyndep_version = 1' 'build $main$extra_out: dyndep$extra_in' $
      $restat_line > $out.tmp; cmp -s $out.tmp $out || cp $out.tmp $out; rm $out.tmp
  restat = 1
rule late
  command = for o in $out $made; do cat $in > $$o.tmp; cmp -s $$o.tmp $$o || cp $$o.tmp $$o; done
rule shy
  command = cat $in > $out.tmp; cmp -s $out.tmp $out || cp $out.tmp $out; rm $out.tmp
  restat = 1
  generator = 1
"""
CHANGES = [
    "touch",
    "edit",
    "remove",
    "remove source",
    "flag",
    "touch output",
    "drop depfile",
    "swap depfile",
]
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
PLAIN = ("deps", "depfile", "depskeep")


def escape(names: list[str]) -> str:
    """Write paths as a manifest needs them."""
    marked = [name.replace("$", "$$").replace(" ", "$ ").replace(":", "$:") for name in names]
    return " ".join(marked)


class RandomProject:
    """One build directory and the random choices that shape it."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.sources = [f"s{i}.c" for i in range(self.random.randint(2, 5))]
        self.outputs: list[str] = []
        self.statements: list[tuple[str, list[str]]] = []
        self.split = self.random.choice(["", "", "include", "subninja"])
        self.builddir = self.random.choice(["", "", "", "logs"])
        for source in self.sources:
            (root / source).write_text(f"{source}\n")
        for number in range(self.random.randint(2, 9)):
            self._add_statement(number)
        self.write_manifest()

    def _pick(self, pool: list[str], most: int) -> list[str]:
        return self.random.sample(pool, min(len(pool), self.random.randint(0, most)))

    def _add_statement(self, number: int) -> None:
        choose = self.random
        if choose.random() < 0.12:
            self._add_dyndep(number)
            return
        kind = "fails" if choose.random() < 0.05 else choose.choice(KINDS)
        known = self.sources + self.outputs
        outs = [f"out/d{number}/o{number}" if choose.random() < 0.3 else f"o{number}"]
        if kind not in PLAIN and choose.random() < 0.15:
            outs[0] += choose.choice([" blank", "$sign", ":colon", "'quote", "äöü"])
        implicit: list[str] = []
        if kind == "both" and choose.random() < 0.7:
            outs.append(f"o{number}b")
        if kind == "phony" and choose.random() < 0.2:
            implicit.append(f"o{number}never")
        plain = [
            name for name in known if kind not in PLAIN or name.isalnum() or name in self.sources
        ]
        ins = self._pick(plain, 3) or [choose.choice(plain)]
        if kind in ("phony", "cat", "quiet") and choose.random() < 0.15:
            ins = []
        line = f"build {escape(outs)}"
        line += f" | {escape(implicit)}" if implicit else ""
        line += f": {kind} {escape(ins)}"
        for mark, most, chance in (("|", 2, 0.3), ("||", 2, 0.3), ("|@", 1, 0.2)):
            extra = self._pick(known, most) if choose.random() < chance else []
            line += f" {mark} {escape(extra)}" if extra else ""
        bindings = [f"flags = # {number}"]
        if kind in PLAIN:
            bindings.append(f"seen = {' '.join(self._pick(self.sources, 2))}")
        self.statements.append((line, bindings))
        self.outputs += outs

    def _add_dyndep(self, number: int) -> None:
        """Add an edge whose further inputs and outputs are found out by another edge."""
        choose = self.random
        facts, main, made = f"o{number}.dd", f"o{number}", f"o{number}.late"
        known = [name for name in self.sources + self.outputs if name.isascii()]
        simple = [name for name in known if not set(name) & set(" $:'")]
        extra_out = f" | {made}" if choose.random() < 0.6 else ""
        extra_in = "".join(f" | {name}" for name in self._pick(simple, 1))
        restat = "'  restat = 1'" if choose.random() < 0.5 else ""
        self.statements.append(
            (
                f"build {facts}: {choose.choice(['facts', 'keepfacts'])} {self._one(simple)}",
                [
                    f"main = {main}",
                    f"extra_out = {extra_out.replace(' ', '$ ')}",
                    f"extra_in = {extra_in.replace(' ', '$ ')}",
                    f"restat_line = {restat}",
                ],
            )
        )
        line = f"build {main}: late {self._one(simple)} || {facts}"
        self.statements.append((line, [f"dyndep = {facts}", f"made = {made if extra_out else ''}"]))
        self.outputs += [main, facts]
        if extra_out and choose.random() < 0.7:
            self.outputs.append(made)

    def _one(self, names: list[str]) -> str:
        return self.random.choice(names)

    def write_manifest(self) -> None:
        """Write build.ninja from the statements."""
        blocks = [
            "\n".join([line, *(f"  {binding}" for binding in bindings)]) + "\n"
            for line, bindings in self.statements
        ]
        half = len(blocks) // 2 if self.split else 0
        part = "flags = none\n" + "".join(blocks[:half])
        (self.root / "part.ninja").write_text(part, encoding="utf-8")
        head = f"builddir = {self.builddir}\n" if self.builddir else ""
        text = f"{head}{RULES}{self.split} part.ninja\n" if self.split else f"{head}{RULES}"
        (self.root / "build.ninja").write_text(text + "".join(blocks[half:]), encoding="utf-8")

    def targets(self) -> list[str]:
        """Choose what to build: mostly everything."""
        return [] if self.random.random() < 0.8 else self._pick(self.outputs, 2)

    def change(self) -> str:
        """Change something and say what."""
        kind = self.random.choice(CHANGES)
        if kind == "flag":
            index = self.random.randrange(len(self.statements))
            bindings = self.statements[index][1]
            if bindings[0].startswith("flags"):
                bindings[0] = f"flags = # {self.random.random()}"
            self.write_manifest()
            return f"flag {index}"
        name = self.random.choice(
            self.sources if kind in ("touch", "edit", "remove source") else self.outputs
        )
        path = self.root / name
        if kind == "drop depfile":
            path.with_name(path.name + ".d").unlink(missing_ok=True)
        elif kind == "swap depfile":
            other = self.root / f"{self.random.choice(self.outputs)}.d"
            if other.is_file():
                path.with_name(path.name + ".d").write_bytes(other.read_bytes())
        elif kind in ("remove", "remove source"):
            path.unlink(missing_ok=True)
        elif path.exists() or kind == "edit":
            if kind == "edit":
                path.write_text(f"{self.random.random()}\n")
            now = time.time_ns()
            os.utime(path, ns=(now, now))
        return f"{kind} {name}"
