"""A small library for another machine, with a ninja file of its own: configuring it would link.

Knows nothing of clusters.
"""

from __future__ import annotations

from pathlib import Path

from support.builds import products, run

_RULES = """\
rule c
  command = {folder}/{c} {options} -MD -MF $out.d -c $in -o $out
  depfile = $out.d
rule cxx
  command = {folder}/{cxx} {options} -MD -MF $out.d -c $in -o $out
  depfile = $out.d
"""


class ForeignProject:
    """Three units in C and C++: one names its own file, one has a header beside it."""

    def __init__(
        self, directory: Path, drivers: Path, options: str, *, plain: bool = False, copies: int = 1
    ):
        """Write it; `plain` compiles without any C library, by zig's bare compiler.

        `copies` have names of their own, with a number.
        """
        self.path = directory
        directory.mkdir(parents=True)
        (directory / "part.h").write_text("#define PART 7\n")
        sources = _PLAIN if plain else _WITH_LIBRARY
        compilers = {"c": "zig-clang", "cxx": "zig-clang"} if plain else {
            "c": "zig-cc", "cxx": "zig-c++"
        }  # fmt: skip
        if copies > 1:
            sources = {
                name.replace(".", f"{number}."): f"{text}int copy{number};\n"
                for number in range(copies)
                for name, text in sources.items()
            }
        self.units = len(sources)
        for name, text in sources.items():
            (directory / name).write_text(text)
        lines = [_RULES.format(folder=drivers, options=options, **compilers)]
        for name in sources:
            rule = "c" if name.endswith(".c") else "cxx"
            lines.append(f"build {name}.o: {rule} {directory}/{name}\n")
        (directory / "build.ninja").write_text("".join(lines))

    def clean(self) -> None:
        """Remove what builds made."""
        for path in self.path.iterdir():
            if path.suffix in (".o", ".d") or path.name.startswith(".ninja"):
                path.unlink()

    def built_here(self) -> dict[str, str]:
        """Build it with plain ninja; return what that made, and leave nothing."""
        run(["ninja", "-C", str(self.path)])
        made = self.products()
        assert len(made) == 2 * self.units, made
        self.clean()
        return made

    def products(self) -> dict[str, str]:
        """Return the digests of what is there."""
        return products(self.path)


_WITH_LIBRARY = {
    "a.c": '#include <stdio.h>\n#include "part.h"\n'
    'int a(void) { return printf("%s %d\\n", __FILE__, PART); }\n',
    "b.c": '#include <math.h>\n#include "part.h"\ndouble b(double x) { return sqrt(x) / PART; }\n',
    "c.cpp": "#include <string>\nstd::string c(int x) { return std::to_string(x); }\n",
}
_PLAIN = {
    "a.c": '#include <stddef.h>\n#include "part.h"\n'
    "size_t a(size_t x) { return x * PART + sizeof(max_align_t); }\n",
    "b.c": '#include <stdarg.h>\n#include "part.h"\n'
    "double b(int n, ...) { va_list l; va_start(l, n); double x = va_arg(l, double) / PART;\n"
    "    va_end(l); return x; }\n",
    "c.cpp": '#include "part.h"\n'
    "template <int N> struct box { virtual int size() { return N; } };\n"
    "int c() { box<PART> one; return one.size(); }\n",
}
