"""A toolchain's own test: tiny compiles whose objects are known from where it was captured.

Knows no trees and no sandbox. A machine on which the same compiles give other bytes, or none, must
not compile for anybody with that toolchain.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.digest import Digest

FOLDER: Final = "/.cyxmake/smoke"
"""Where a toolchain's tree has the sources, and where they are compiled."""

_SECONDS: Final = 30
_C: Final = b"""\
#include <stdarg.h>
#include <stddef.h>
struct part { const char *name; double share; };
static const struct part parts[] = { { "third", 1.0 / 3.0 }, { "root", 1.4142135623730951 } };
double total(size_t count, ...)
{
    double sum = 0.1L;
    va_list list;
    va_start(list, count);
    for (size_t i = 0; i < count; ++i)
        sum += va_arg(list, double) * parts[i % 2].share;
    va_end(list);
    return sum;
}
void scale(float *restrict to, const float *restrict from, int count)
{
    for (int i = 0; i < count; ++i)
        to[i] = from[i] * 0.7f + (float)(count / 7);
}
"""
_CXX: Final = b"""\
#include <stddef.h>
namespace smoke {
struct shape { virtual ~shape() {} virtual double area() const = 0; };
template <int N> struct square : shape { double area() const override { return N * N / 3.0; } };
template struct square<7>;
double guarded(const shape *one)
{
    try { if (!one) throw 1; return one->area(); } catch (int) { return -1.0; }
}
}
"""
SOURCES: Final = {"c": ("smoke.c", _C), "c++": ("smoke.cc", _CXX)}
"""File name and text by language."""


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """One compile: what is executed in `FOLDER`, and the digest of the object that it must make."""

    arguments: tuple[str, ...]
    output: str
    digest: Digest


def smoke_environment(
    path: str, variables: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """Return the whole environment of these compiles: nothing of a user's reaches them."""
    return tuple(sorted((*variables, ("PATH", path), ("LC_ALL", "C"))))


def smoke_tests(
    compiler: Sequence[str],
    languages: Sequence[str],
    environment: Sequence[tuple[str, str]],
    scratch: Sequence[str] = (),
) -> tuple[SmokeTest, ...]:
    """Compile the sources here; a language whose object is not the same twice has no test.

    So it is where a configuration file makes objects depend on the place or the time. `compiler`
    may have options; the variables named by `scratch` lead to a folder of ours.
    """
    tests = []
    for language in languages:
        name, text = SOURCES[language]
        output = f"{Path(name).suffix[1:]}.o"
        arguments = (*compiler, "-O2", "-x", language, "-c", name, "-o", output)
        made = {_compile(arguments, name, text, output, environment, scratch) for _ in range(2)}
        if len(made) == 1 and (data := made.pop()) is not None:
            tests.append(SmokeTest(arguments, output, Digest.of(data)))
    return tuple(tests)


def probes(
    compiler: str, languages: Sequence[str], environment: Sequence[tuple[str, str]]
) -> tuple[SmokeTest, ...]:
    """Do here what shows a gcc's defaults: its macros, and objects without any name of its maker.

    With debug information, since that lists what the driver and its configuration chose; it names
    the folder as `FOLDER`, which is what an option makes of ours.
    """
    tests = []
    for language in languages:
        name, text = SOURCES[language]
        suffix = Path(name).suffix[1:]
        said = (compiler, "-x", language)
        for words, output in (
            (("-nostdinc", "-dM", "-E", os.devnull), f"{suffix}.macros"),
            (("-O2", "-g", "-fno-ident", "-c", name), f"{suffix}.g.o"),
            (("-O3", "-fPIC", "-fno-ident", "-c", name), f"{suffix}.pic.o"),
        ):
            arguments = (*said, *words, "-o", output)
            data = _compile(arguments, name, text, output, environment, (), mapped=True)
            if data is not None:
                tests.append(SmokeTest(arguments, output, Digest.of(data)))
    return tuple(tests)


def _compile(
    arguments: Sequence[str],
    name: str,
    text: bytes,
    output: str,
    environment: Sequence[tuple[str, str]],
    scratch: Sequence[str],
    *,
    mapped: bool = False,
) -> bytes | None:
    with tempfile.TemporaryDirectory(prefix="cyxmake-smoke-") as folder:
        (Path(folder) / name).write_bytes(text)
        place = (f"-fdebug-prefix-map={folder}={FOLDER}",) if mapped else ()
        try:
            subprocess.run(
                (arguments[0], *place, *arguments[1:]),
                check=True,
                cwd=folder,
                env={name: folder if name in scratch else value for name, value in environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
            )
            return (Path(folder) / output).read_bytes()
        except (OSError, subprocess.SubprocessError):
            return None
