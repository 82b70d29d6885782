"""A project of links: programs, libraries and archives in the forms that generators write.

Knows no cluster; `outputs` are what a plain build and a cluster build must agree on.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_RULES = """
builddir = out
rule cc
  command = $cc $flags -MD -MF $out.d -c $in -o $out
  deps = gcc
  depfile = $out.d
rule link
  command = : && $cc $flags $in -o $out $libs && :
rule cmake_ar
  command = : && cmake -E rm -f $out && /usr/bin/ar qc $out  $in && /usr/bin/ranlib $out && :
rule meson_ar
  command = rm -f $out && gcc-ar csrD $out @$out.rsp
  rspfile = $out.rsp
  rspfile_content = $in
rule thin_ar
  command = rm -f $out && gcc-ar csrDT $out $in
"""

_EDGES = """
build out/a.o: cc a.c
build out/b.o: cc b.c
  flags = -g
build out/pic.o: cc b.c
  flags = -g -fPIC
build out/m.o: cc m.c
  flags = -g -O1
build out/x.o: cc x.cc
  cc = g++
build out/lto/a.o: cc a.c
  flags = -O2 -flto -frandom-seed=1
build out/lto/m.o: cc m.c
  flags = -O2 -flto -frandom-seed=2 -g
build out/liba.a: cmake_ar out/a.o
build out/libb.a: meson_ar out/b.o
build out/libthin.a: thin_ar out/b.o out/a.o
build out/liblto.a: meson_ar out/lto/a.o
build out/libs.so.1.0: link out/pic.o | s.map
  flags = -g -fPIC -shared -Wl,-soname,libs.so.1.0 -Wl,--version-script=s.map
build out/c: link out/m.o | out/liba.a out/libb.a
  flags = -g
  libs = -Lout -lb -la -Wl,-Map=out/c.map
build out/thin: link out/m.o out/libthin.a
  libs = -Wl,--build-id=sha1
build out/cxx: link out/x.o out/liba.a out/libb.a
  cc = g++
  flags = -O2 -static-libgcc
  libs = -Wl,--as-needed -lm -pthread
build out/shared: link out/m.o out/libs.so.1.0 | out/liba.a
  libs = -Wl,-rpath,$dir/out out/liba.a
build out/lto/program: link out/lto/m.o | out/liblto.a out/libb.a
  flags = -O2 -flto=auto -g
  libs = -Lout -llto -lb
build out/partial.o: link out/a.o out/b.o
  flags = -r -nostdlib
build out/searched: link out/m.o | out/liba.a out/libb.a
  libs = -Lfirst -Lsecond -lpick -Lout -la
build out/gold: link out/m.o out/liba.a out/libb.a
  flags = -fuse-ld=gold -static
"""

_CLANG = """
build out/clang: link out/m.o out/liba.a out/libb.a
  cc = clang
  flags = -g
  libs = -Wl,--gc-sections
"""

_LINKERS = {
    "lld": """
build out/lld: link out/m.o out/liba.a out/libb.a
  flags = -fuse-ld=lld -g -Wl,--gc-sections
""",
    "mold": """
build out/mold: link out/m.o out/liba.a out/libb.a
  flags = -fuse-ld=mold
""",
}
"""Edges for linkers that a machine may have, by the name that -fuse-ld= takes."""

_SOURCES = {
    "a.c": "int a(int x) { return x + 1; }\n",
    "b.c": "int b(int x) { return 2 * x; }\nint hidden(int x) { return x; }\n",
    "m.c": "#include <stdio.h>\nint a(int), b(int);\n"
    'int main(void) { printf("%d\\n", a(b(20))); return 0; }\n',
    "x.cc": '#include <string>\n#include <iostream>\nextern "C" int a(int), b(int);\n'
    "int main() { std::cout << std::to_string(a(b(20))) << std::endl; }\n",
    "s.map": "V1 { global: b; local: *; };\n",
    "first/other": "",
    "second/libpick.a": "INPUT(-lb)\n",
}


def write(root: Path) -> tuple[str, ...]:
    """Write the project; returns the paths of what its links make."""
    edges = _EDGES + (_CLANG if shutil.which("clang") else "")
    edges += "".join(text for name, text in _LINKERS.items() if shutil.which(f"ld.{name}"))
    root.mkdir(parents=True)
    text = f"dir = {root}\ncc = gcc\n{_RULES}{edges}"
    made = [line.split()[1].rstrip(":") for line in edges.splitlines() if line.startswith("build")]
    links = tuple(name for name in made if not name.endswith(".o") or "partial" in name)
    (root / "build.ninja").write_text(f"{text}default {' '.join(links)}\n")
    for name, content in _SOURCES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return (*links, "out/c.map")
