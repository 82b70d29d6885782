"""A small C and C++ project that changes at random, and what a build of it leaves.

Everything random comes from the generator that is handed in, so that a seed names a whole run. The
project is as awkward as a few translation units can be: names that stand in several directories,
symlinks among the search directories, computed and forced includes, includes by the assembler.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

_UNITS: Final[dict[str, str]] = {
    "src/main.c": '#include "a.h"\n#include <both.h>\nint main(void) { return A + BOTH; }\n',
    "src/deep/near.c": '#include "near.h"\n#include <a.h>\nint near(void) { return NEAR + A; }\n',
    "src/next.c": "#include <chain.h>\nint chain[] = { CHAIN };\n",
    "src/has.c": '#if __has_include("maybe.h")\n#include "maybe.h"\n'
    "#else\n#define MAYBE 0\n#endif\n"
    "#if __has_include(<sysmaybe.h>)\nint sysmaybe;\n#endif\nint maybe = MAYBE;\n",
    "src/computed.c": '#ifndef WHICH\n#define WHICH "list.def"\n#endif\n#define X(n) int x_##n;\n'
    "#include WHICH\n#include <sys.h>\nint sys = SYS;\n",
    "src/generated.c": '#include "gen/config.h"\n#include "../inc1/a.h"\n'
    "int generated = CONFIG;\nstatic int unused_one(void) { return A; }\n",
    "src/forced.c": 'int forced = FORCED;\nconst char *file(void) { return "" __FILE__; }\n',
    "src/once.cpp": '#include "once.h"\n#include <twin.h>\nnamespace { int hidden = ONCE; }\n'
    "int twin() { return TWIN + hidden; }\n",
    "src/linked.cpp": "#include <linked.h>\n#include <both.h>\n"
    "int linked() { return LINKED + BOTH; }\n",
    "src/start.S": '#include "asm.h"\n.include "part.inc"\n.data\n.incbin "data/blob.bin"\n',
    "src/blob.c": '__asm__(".data\\n.incbin \\"data/blob.bin\\"\\n.text");\n#include <sys.h>\n'
    "int blob = SYS;\n",
}
_FILES: Final[dict[str, str]] = {
    "inc1/a.h": '#pragma once\n#include "inner.h"\n#define A (1 + INNER)\n',
    "inc1/inner.h": "#define INNER 1\n",
    "inc2/both.h": "#define BOTH 2\n",
    "inc3/both.h": "#define BOTH 3\n",
    "inc1/chain.h": "#include_next <chain.h>\n",
    "inc2/chain.h": "#define CHAIN 1 LINK\n#include_next <chain.h>\n",
    "sys/chain.h": "#ifndef LINK\n#define LINK , 9\n#endif\n"
    "#ifndef CHAIN\n#define CHAIN 7\n#endif\n",
    "sys/sys.h": "#define SYS 5\nstatic int unused_sys(void) { return 1; }\n",
    "src/deep/near.h": "#define NEAR 4\n",
    "src/list.def": "X(one) X(two)\n",
    "inc3/maybe.h": "#define MAYBE 6\n",
    "inc1/force.h": "#define FORCED 8\n",
    "gen/config.h": "#define CONFIG 1\n",
    "inc1/once.h": '#pragma once\n#define ONCE 1\n#include "inner.h"\n',
    "inc2/twin.h": "#pragma once\n#ifdef TWIN\n#undef TWIN\n#define TWIN 2\n"
    "#else\n#define TWIN 1\n#endif\n",
    "targets/one/linked.h": "#define LINKED 1\n",
    "targets/two/linked.h": "#define LINKED 2\n",
    "inc1/asm.h": ".globl start\nstart: nop\n",
    "inc2/part.inc": ".long 17\n",
    "data/blob.bin": "blob one",
}
_INCLUDES: Final = (
    ("-I", "inc1"),
    ("-I", "inc2"),
    ("-iquote", "quoted"),
    ("-I", "missing"),
    ("-I", "link"),
    ("-isystem", "syslink/current"),
    ("-isystem", "sys"),
    ("-I", "inc3"),
    ("-I", "."),
    ("-idirafter", "after"),
)
_FOLDERS: Final = (
    "inc1", "inc2", "inc3", "sys", "missing", "quoted", "after", "src", "src/deep", "link",
    "targets/one", "targets/two", ".", "gen", "syslink/current",
)  # fmt: skip
_FLAGS: Final = (
    "-DINNER_=1", "-DA_=2", "-O1", "-O2", "-g", "-g0", "-Wall", "-Wextra", "-fPIC", "-fno-ident",
    "-fdiagnostics-color=always", "-Wp,-DWRAPPED=1", "-DWHICH='<sys.h>'", "-DMAYBE_=3",
    "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-D__STRICT=1", "-Wsystem-headers",
    "-include inc1/a.h", "-fstack-protector-all", "-MP", "-gdwarf-4", "-frandom-seed=x", "-UA",
    "-ffile-prefix-map={root}=.", '-DROOT="\\"{root}\\""', "-frecord-gcc-switches", "-w",
    "-Wunused-function", "-fdebug-prefix-map={root}=/x", "-nostdinc", "-pedantic", "-H",
)  # fmt: skip
_STANDARDS: Final = {"c": ("-std=gnu11", "-std=c99"), "c++": ("-std=c++11", "-std=gnu++17")}
_VARIABLES: Final[dict[str, tuple[str, ...]]] = {
    "CPATH": ("inc3", "targets/two:inc2", ":sys", "{root}/targets/one"),
    "C_INCLUDE_PATH": ("inc3", "missing:sys", "{root}/inc2"),
    "CPLUS_INCLUDE_PATH": ("targets/two", "{root}/inc3"),
    "SOURCE_DATE_EPOCH": ("1", "1700000000"),
    "LANG": ("C", "C.UTF-8", "de_DE.UTF-8"),
    "LC_ALL": ("C", "C.UTF-8", "en_US.UTF-8"),
    "LC_CTYPE": ("C", "C.UTF-8", "de_DE.UTF-8"),
    "LC_MESSAGES": ("C", "de_DE.UTF-8"),
    "LANGUAGE": ("de", "en"),
    "GCC_COLORS": ("", "error=01;31"),
    "GCC_EXTRA_DIAGNOSTIC_OUTPUT": ("fixits-v1",),
    "PWD": ("{root}", "{alias}"),
    "TZ": ("UTC", "Asia/Tokyo"),
    "COMPILER_PATH": ("/nowhere",),
}
_COMPILERS: Final = {
    "tools/cc": ("/usr/bin/gcc", "/usr/bin/clang", "/usr/bin/gcc-12"),
    "tools/c++": ("/usr/bin/g++", "/usr/bin/clang++"),
}
_AROUND: Final = re.compile(
    r"\[\d+/\d+\] |ninja: |cyxmake: |warning: |FAILED: |tools/c|local because|the commands take"
    r"|\d+ actions? |sent |$"
)
"""How the lines begin that are no compiler's."""
_RANDOM_NAME: Final = re.compile(r"/tmp/(cc\w{6}|\w+-[0-9a-f]{6})")
"""How gcc and clang name the files between their parts."""
_HOMES: Final = ("p", "pp", "p/q", "a-much-longer-name/p", "p-x")
_MOST_SNAPSHOTS: Final = 6


@dataclass
class Outcome:
    """What a build left: its status, outputs by digest, dependencies, and the tools' words."""

    status: int
    outputs: dict[str, str]
    dependencies: dict[str, tuple[str, ...]]
    words: Counter[str]

    def difference(self, other: Outcome) -> list[str]:
        """Say in which way another outcome is not the same; nothing when it is."""
        found = [] if self.status == other.status else [f"status {self.status} / {other.status}"]
        for name in sorted(self.outputs.keys() | other.outputs.keys()):
            if self.outputs.get(name) != other.outputs.get(name):
                found.append(f"{name}: {self.outputs.get(name)} / {other.outputs.get(name)}")
        for name in sorted(self.dependencies.keys() | other.dependencies.keys()):
            if self.dependencies.get(name) != other.dependencies.get(name):
                listed = f"{self.dependencies.get(name)} / {other.dependencies.get(name)}"
                found.append(f"deps of {name}: {listed}")
        found += [f"only first: {line}" for line in (self.words - other.words)]
        found += [f"only second: {line}" for line in (other.words - self.words)]
        return found


@dataclass
class _State:
    """What a command line is made of, besides files."""

    flags: dict[str, list[str]]
    everywhere: list[str] = field(default_factory=list)
    includes: list[tuple[str, str]] = field(default_factory=lambda: list(_INCLUDES))
    environment: dict[str, str] = field(default_factory=dict)
    absolute: set[str] = field(default_factory=set)
    user_deps: set[str] = field(default_factory=lambda: {"src/next.c", "src/linked.cpp"})
    umask: int = 0o022

    def copy(self) -> _State:
        """Return a state that changes by itself."""
        return _State(
            {name: list(flags) for name, flags in self.flags.items()},
            list(self.everywhere),
            list(self.includes),
            dict(self.environment),
            set(self.absolute),
            set(self.user_deps),
            self.umask,
        )


class MutatingProject:
    """The project under `home`; `step` makes one random edit, and tells which."""

    def __init__(self, home: Path, random: Random) -> None:
        self._home = home
        self._random = random
        self._name = _HOMES[0]
        self._state = _State({name: [] for name in _UNITS})
        self._contents: dict[str, list[bytes]] = {}
        self._snapshots: list[tuple[Path, _State]] = []
        self._taken = 0
        self._build_first()

    @property
    def root(self) -> Path:
        """Return where the project stands now."""
        return self._home / self._name

    @property
    def unit_count(self) -> int:
        """Return how many compiles a full build has."""
        return len(_UNITS)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that the builds are to have besides the usual ones."""
        return {k: self._text(v) for k, v in self._state.environment.items()}

    @property
    def umask(self) -> int:
        """Return the umask that the builds are to have."""
        return self._state.umask

    # ── the edits ───────────────────────────────────────────────────────────────────────────────

    def step(self) -> str:
        """Make one random edit and write the manifest anew; returns the edit in words."""
        random = self._random
        if self._snapshots and random.random() < 0.25:
            told = self._restore()
        else:
            if random.random() < 0.5:
                self._keep()
            edits: tuple[tuple[int, Callable[[], str]], ...] = (
                (3, self._flag_one), (2, self._flag_all), (2, self._environment),
                (4, self._header), (4, self._shadow), (2, self._delete), (1, self._touch),
                (2, self._symlink), (2, self._swap_folders), (1, self._reorder),
                (2, self._edit_source), (2, self._edit_blob), (2, self._compiler),
                (2, self._move), (1, self._umask), (1, self._unreadable), (1, self._folder_link),
                (1, self._precompile), (1, self._spell), (1, self._as_folder), (2, self._revert),
                (1, self._listing),
            )  # fmt: skip
            weights = [weight for weight, _ in edits]
            told = random.choices([edit for _, edit in edits], weights)[0]()
        self.write_manifest()
        return told

    def _flag_one(self) -> str:
        unit = self._random.choice(sorted(_UNITS))
        pool = (*_FLAGS, *_STANDARDS[_language(unit)])
        return f"{unit}: {self._toggle(self._state.flags[unit], pool)}"

    def _flag_all(self) -> str:
        return f"all: {self._toggle(self._state.everywhere, _FLAGS)}"

    def _toggle(self, flags: list[str], pool: tuple[str, ...]) -> str:
        flag = self._random.choice(flags if flags and self._random.random() < 0.5 else pool)
        if flag in flags:
            flags.remove(flag)
            return f"without {flag}"
        flags.insert(self._random.randrange(len(flags) + 1), flag)
        return f"with {flag}"

    def _environment(self) -> str:
        variables = self._state.environment
        name = self._random.choice(sorted(_VARIABLES))
        if name in variables and self._random.random() < 0.6:
            del variables[name]
            return f"unset {name}"
        variables[name] = self._random.choice(_VARIABLES[name])
        return f"{name}={variables[name]}"

    def _header(self) -> str:
        path = self._random.choice(self._headers())
        kind = self._random.randrange(3)
        old = (self.root / path).read_bytes()
        if kind == 0:
            new = re.sub(rb"\d+", b"%d" % self._random.randrange(1, 9), old, count=1)
        elif kind == 1:
            other = self._random.choice(("a.h", "both.h", "inner.h", "sys.h", "maybe.h"))
            new = old + b'#if __has_include("%b")\n#include "%b"\n#endif\n' % (
                (other.encode(),) * 2
            )
        else:
            new = old + b"/* %d */\n" % self._random.randrange(3)
        self._write(path, new)
        return f"edit {path} ({kind})"

    def _revert(self) -> str:
        known = sorted(path for path, old in self._contents.items() if len(old) > 1)
        known = [path for path in known if (self.root / path).is_file()]
        if not known:
            return "nothing to revert"
        path = self._random.choice(known)
        self._write(path, self._random.choice(self._contents[path]))
        return f"old content of {path}"

    def _shadow(self) -> str:
        name = self._random.choice(
            (*(Path(path).name for path in sorted(_FILES)), "stdc-predef.h", "sysmaybe.h")
        )
        folder = self._random.choice(_FOLDERS)
        path = f"{folder}/{name}"
        if (self.root / path).is_dir():
            return "a folder stands where a header was to be"
        macro = name.partition(".")[0].upper()
        same = [p for p in self._headers() if Path(p).name == name]
        data = f"#undef {macro}\n#define {macro} {self._random.randrange(10, 20)}\n".encode()
        if same and self._random.random() < 0.4:
            data = (self.root / self._random.choice(same)).read_bytes()
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        self._write(path, data)
        return f"add {path}"

    def _delete(self) -> str:
        path = self._random.choice(self._headers())
        (self.root / path).unlink()
        return f"delete {path}"

    def _touch(self) -> str:
        path = self._random.choice(self._headers())
        (self.root / path).touch()
        return f"touch {path}"

    def _symlink(self) -> str:
        path, other = (self._random.choice(self._headers()) for _ in range(2))
        here, there = self.root / path, (self.root / other).resolve()
        if here.resolve() == there:
            there = here.with_name(f"real-{here.name}")
            shutil.copy(here, there)
        here.unlink()
        here.symlink_to(os.path.relpath(there, here.parent.resolve()))
        return f"{path} is a symlink to {there.name} of {other}"

    def _swap_folders(self) -> str:
        one, two = self._random.sample(["inc1", "inc2", "inc3", "sys", "missing", "quoted"], 2)
        first, second, between = self.root / one, self.root / two, self.root / "between"
        for old, new in ((first, between), (second, first), (between, second)):
            if os.path.lexists(old):
                old.rename(new)
        return f"{one} and {two} change places"

    def _folder_link(self) -> str:
        name = self._random.choice(("link", "syslink/current", "missing", "quoted", "inc3"))
        target = self._random.choice(("targets/one", "targets/two", "inc1", "inc2", "sys"))
        path = self.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(os.path.relpath(self.root / target, path.parent))
        return f"folder {name} is a symlink to {target}"

    def _reorder(self) -> str:
        self._random.shuffle(self._state.includes)
        return "another order of the search path"

    def _edit_source(self) -> str:
        unit = self._random.choice(sorted(_UNITS))
        old = (self.root / unit).read_bytes()
        kind = self._random.randrange(2)
        lines = old.splitlines(keepends=True)
        if kind and lines[0].startswith(b"#include") and lines[1].startswith(b"#include"):
            lines[:2] = lines[1::-1]
        else:
            lines.append(b"/* %d */\n" % self._random.randrange(3))
        self._write(unit, b"".join(lines))
        return f"edit {unit} ({kind})"

    def _edit_blob(self) -> str:
        self._write("data/blob.bin", b"blob %d" % self._random.randrange(4))
        return "edit data/blob.bin"

    def _compiler(self) -> str:
        name = self._random.choice(sorted(_COMPILERS))
        choices = [path for path in _COMPILERS[name] if Path(path).exists()]
        target = self._random.choice(choices)
        (self.root / name).unlink()
        (self.root / name).symlink_to(target)
        return f"{name} is {target}"

    def _move(self) -> str:
        choices = [n for n in _HOMES if n != self._name and not (self._home / n).exists()]
        choices = [n for n in choices if not n.startswith(self._name + "/")]
        old, self._name = self.root, self._random.choice(choices)
        self.root.parent.mkdir(parents=True, exist_ok=True)
        old.rename(self.root)
        self._link_alias()
        return f"move to {self._name}"

    def _umask(self) -> str:
        self._state.umask = self._random.choice((0o022, 0o077, 0o002, 0o027))
        return f"umask {self._state.umask:o}"

    def _unreadable(self) -> str:
        path = self.root / self._random.choice(self._headers())
        mode = 0 if path.stat().st_mode & 0o777 else 0o644
        path.chmod(mode)
        return f"mode {mode:o} for {path.name}"

    def _precompile(self) -> str:
        path = self.root / self._random.choice(self._headers())
        other = path.with_name(path.name + ".gch")
        if other.exists() or not path.read_bytes():
            other.unlink(missing_ok=True)
            return f"without {other.name}"
        new = b"#pragma once\n#define A 90\n#define BOTH 91\n#define CHAIN 92\n#define NEAR 93\n"
        new += b"#define SYS 94\n#define TWIN 95\n#define ONCE 96\n#define INNER 97\n"
        old = path.read_bytes()
        path.write_bytes(new)
        argv = ["/usr/bin/gcc", "-x", "c-header", str(path), "-o", str(other)]
        subprocess.run(argv, capture_output=True, check=False)
        path.write_bytes(old)
        return f"precompile another {path.name}"

    def _spell(self) -> str:
        unit = self._random.choice(sorted(_UNITS))
        self._state.absolute ^= {unit}
        return f"{unit} by {'an absolute' if unit in self._state.absolute else 'a relative'} path"

    def _listing(self) -> str:
        unit = self._random.choice(sorted(_UNITS))
        self._state.user_deps ^= {unit}
        return f"{unit} with {'-MMD' if unit in self._state.user_deps else '-MD'}"

    def _as_folder(self) -> str:
        path = self._random.choice(self._headers())
        (self.root / path).unlink()
        (self.root / path).mkdir()
        return f"{path} is a folder"

    # ── files ───────────────────────────────────────────────────────────────────────────────────

    def write_manifest(self) -> None:
        """Write the build.ninja of today's command lines."""
        state = self._state
        lines = [
            "ninja_required_version = 1.5",
            "builddir = out",
            "rule compile",
            "  command = $compiler $flags -MF $out.d -c $in -o $out",
            "  description = compile $out",
            "  deps = gcc",
            "  depfile = $out.d",
        ]
        for unit in _UNITS:
            prefix = f"{self.root}/" if unit in state.absolute else ""
            flags = [f"{option} {prefix}{folder}" for option, folder in state.includes]
            flags += ["-Wa,-Iinc2"] if unit.endswith(".S") else []
            flags += ["-include force.h"] if unit == "src/forced.c" else []
            flags += ["-MMD" if unit in state.user_deps else "-MD"]
            flags += [*state.everywhere, *state.flags[unit]]
            compiler = "tools/c++" if unit.endswith(".cpp") else "tools/cc"
            text = self._text(" ".join(flags)).replace("$", "$$")
            lines += [
                f"build out/{unit}.o: compile {prefix}{unit}",
                f"  compiler = {compiler}",
                f"  flags = {text}",
            ]
        (self.root / "build.ninja").write_text("\n".join(lines) + "\n")

    def _build_first(self) -> None:
        for path, text in (_UNITS | _FILES).items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            self._write(path, text.encode())
        for name, targets in _COMPILERS.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).symlink_to(targets[0])
        (self.root / "link").symlink_to("targets/one")
        (self.root / "syslink").mkdir()
        (self.root / "syslink/current").symlink_to("../targets/two")
        self._link_alias()
        self.write_manifest()

    def _link_alias(self) -> None:
        alias = self._home / "alias"
        alias.unlink(missing_ok=True)
        alias.symlink_to(self.root)

    def _text(self, text: str) -> str:
        return text.replace("{root}", str(self.root)).replace("{alias}", f"{self._home}/alias")

    def _headers(self) -> list[str]:
        """Return every header by its relative path, those behind symlinked folders left out."""
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(set(folders) - {"out", "tools"})
            for name in sorted(names):
                path = Path(folder, name)
                if name.endswith((".h", ".inc", ".def")) and path.is_file():
                    found.append(path.relative_to(self.root).as_posix())
        return found

    def _write(self, path: str, data: bytes) -> None:
        (self.root / path).write_bytes(data)
        known = self._contents.setdefault(path, [])
        if data not in known:
            known.append(data)

    def _keep(self) -> None:
        copy = self._home / f"snapshot-{self._taken}"
        self._taken += 1
        shutil.copytree(self.root, copy, symlinks=True, ignore=shutil.ignore_patterns("out"))
        self._snapshots.append((copy, self._state.copy()))
        if len(self._snapshots) > _MOST_SNAPSHOTS:
            # The first one stays: it is the state in which everything compiles.
            shutil.rmtree(self._snapshots.pop(1)[0])

    def _restore(self) -> str:
        number = self._random.randrange(len(self._snapshots))
        copy, state = self._snapshots[number]
        shutil.rmtree(self.root)
        shutil.copytree(copy, self.root, symlinks=True)
        self._state = state.copy()
        return f"restore {copy.name}"


def observe(root: Path, status: int, output: str) -> Outcome:
    """Return what a build of the project left, and take it away."""
    out = root / "out"
    outputs = {}
    for path in sorted(out.rglob("*")):
        if path.suffix == ".o":
            mode = path.stat().st_mode & 0o777
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            outputs[path.relative_to(out).as_posix()] = f"{mode:o} {digest}"
    done = subprocess.run(
        ["ninja", "-C", str(root), "-t", "deps"], capture_output=True, text=True, check=False
    )
    dependencies: dict[str, tuple[str, ...]] = {}
    for block in done.stdout.split("\n\n"):
        head, *rest = block.strip().splitlines() or [""]
        if ": #deps" in head:
            dependencies[head.partition(":")[0]] = tuple(line.strip() for line in rest)
    shutil.rmtree(out, ignore_errors=True)
    return Outcome(int(status != 0), outputs, dependencies, _words(output))


def build_here(root: Path, environment: dict[str, str], umask: int) -> Outcome:
    """Build with plain ninja, from nothing."""
    shutil.rmtree(root / "out", ignore_errors=True)
    done = subprocess.run(
        ["ninja", "-C", str(root), "-k0", "-j2"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        umask=umask,
        check=False,
    )
    return observe(root, done.returncode, done.stdout.decode("utf-8", "replace"))


def _words(output: str) -> Counter[str]:
    """Return the lines of the compilers, without those of the build tools around them."""
    lines = (line for line in output.splitlines() if not _AROUND.match(line))
    return Counter(_RANDOM_NAME.sub("/tmp/", line) for line in lines)


def _language(unit: str) -> str:
    return "c++" if unit.endswith(".cpp") else "c"
