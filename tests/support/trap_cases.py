"""The compiles behind the correctness traps: sources of a few lines, one edge or more per trap.

Names begin with the number of their trap. All of them are built at once (trap_build).
"""

from __future__ import annotations

from support.trap_build import Case

_LONG = "/".join(["a-rather-long-name-of-a-directory"] * 7)

SOURCES: dict[str, str | bytes] = {
    "src/plain.c": '#include "plain.h"\nint plain(void) { return PLAIN; }\n',
    "src/plain.proftext": "plain\n24\n1\n7\n",
    "src/plain.h": "#define PLAIN 1\n",
    "src/other.c": "int other(void) { return 2; }\n",
    "src/plain.cpp": (
        "namespace { int hidden; }\ntemplate <int N> struct Count { static const int is = N; };\n"
        "int *get() { return &hidden; }\nint counted() { return Count<__COUNTER__>::is; }\n"
        "auto lambda = [](int x) { return x + 1; };\nint call() { return lambda(__COUNTER__); }\n"
    ),
    "src/warns.c": (
        "#include <stdio.h>\n#define UNUSED /* a comment, in a macro */ 1\n#define SIZE(x) (x)\n"
        "static int spare;\nint warns(long value) {\n"
        '    printf("%d %s\\n", SIZE(value), 3);\n    return 0;\n}\n'
    ),
    "src/broken.c": "int broken(void) {\n    return missing + 1;\n}\n",
    "src/names.c": (
        '#include <assert.h>\n#include "names.h"\nconst char *file = __FILE__;\n'
        'void check(int x) { assert(x > 0); in_header(x); }\n#line 7 "elsewhere.c"\n'
        "const char *other = __FILE__;\n"
    ),
    "src/names.h": "static inline void in_header(int x) { assert(x < 9); }\n",
    "src/located.cpp": (
        "#include <source_location>\nconst char *where(std::source_location at ="
        " std::source_location::current()) { return at.file_name(); }\n"
        "const char *here() { return where(); }\n"
    ),
    "src/clock.c": 'const char *when = __DATE__ " " __TIME__;\n',
    "src/probes.c": (
        '#if __has_include("later.h")\n#include "later.h"\n#else\nint later = 0;\n#endif\n'
        "#include <shadow.h>\nint shadow = SHADOW;\n"
    ),
    "src/second/shadow.h": "#define SHADOW 2\n",
    "src/first/unrelated.h": "\n",
    "src/computed.c": "#include HEADER\n#define NAMED <shadow.h>\n#include NAMED\nint c = PLAIN;\n",
    "src/pasted.c": (
        "#define STRING(x) #x\n#define NAME(x) STRING(x.h)\n#include NAME(plain)\nint p = PLAIN;\n"
    ),
    "src/absent.c": '#if 0\n#include "not_there_yet.h"\n#endif\nint absent;\n',
    "src/generated.c": '#include "generated.h"\nint generated = GENERATED;\n',
    "src/generated.in": "#define GENERATED 3\n",
    "src/rewritten.c": '#include "rewritten.h"\nint rewritten = REWRITTEN;\n',
    "src/rewritten.first": "#define REWRITTEN 1\n",
    "src/rewritten.second": "#define REWRITTEN 222\n",
    "src/passing/one/passing.h": "#define PASSING 1\n",
    "src/passing/two/passing.h": "#define PASSING 2\n",
    "src/passing/three/real.h": "#define PASSING 3\n",
    "src/passing.c": "#include <passing.h>\nint passing = PASSING;\n",
    "src/passing/two/real.h": "#define PASSING 2\n",
    "src/turned.c": "#include <real.h>\nint turned = PASSING;\n",
    "src/maker.c": '#include <stdio.h>\nint main(void) { puts("#define MADE 5"); return 0; }\n',
    "src/made.c": '#include "made.h"\nint made = MADE;\n',
    "src/blob.c": '__asm__(".data\\n.global b\\nb: .incbin \\"../src/blob.bin\\"\\n.text\\n");\n',
    "src/joined.c": (
        '#define I "in"\n__asm__(".data\\n." I "cbin \\"../src/joined.bin\\"\\n.text\\n");\n'
    ),
    "src/joined.bin": b"bytes",
    "src/gone.c": '#define I "in"\n__asm__("." I "cbin \\"../src/gone.bin\\"\\n");\n',
    "src/blob.bin": b"\x00\x01binary\xff",
    "src/plain.S": '#include "plain.h"\n.include "part.inc"\n.data\n.long PLAIN\n',
    "src/parts/part.inc": ".macro part\n.long 4\n.endm\npart\n",
    "src/system/noisy.h": "static inline int noisy(void) { int x; return 1; }\n",
    "src/quiet/quiet.h": "#define QUIET 1\n",
    "src/quiet.c": '#include <quiet.h>\n#include "plain.h"\nint quiet = QUIET + PLAIN;\n',
    "src/library.cpp": '#include <algorithm>\n#include <string>\n#include "plain.h"\n'
    "int library(std::string s) { std::sort(s.begin(), s.end()); return s[0] + PLAIN; }\n",
    "src/noisy.c": "#include <noisy.h>\nint use(void) { return noisy(); }\n",
    "src/ignore.txt": "fun:plain\n",
    "src/pre.h": "#ifndef PRE\n#define PRE 1\n#include <stddef.h>\n"
    "static inline int pre(void) { return PRE; }\n#endif\n",
    "src/pre.c": "int uses_pre(void) { return pre(); }\n",
    "src/same/one.h": "int NAME(void) { return __LINE__; }\n",
    "src/same/two.h": "int NAME(void) { return __LINE__; }\n",
    "src/same.c": '#define NAME f\n#include "same/one.h"\n#undef NAME\n#define NAME g\n'
    '#include "same/two.h"\n',
    "src/late.h": "#define LATE 1\n",
    "src/late.c": '#include "late.h"\nint late = LATE;\n',
    "src/empty.c": "",
    "src/text.i": '# 1 "../src/written.y"\nint text(void) {\n  return lost(); }\n# 9 "none.y"\n',
    "src/text.ii": '# 1 "a.cc"\n# 1 "<built-in>"\nnamespace n { int text() { return 1; } }\n',
    "src/text-includes.i": '#include "plain.h"\nint text = PLAIN;\n',
    "src/text-pch.i": '#pragma GCC pch_preprocess "x.gch"\nint text;\n',
    "src/text-blob.i": '__asm__(".incbin \\"../src/blob.bin\\"");\n',
    "src/written.y": "first line\nthe second line, as gcc shows it\n",
    "src/offload.c": (
        "int f(int *a)\n{\n#pragma omp target map(a[0:10])\n    a[0] = 1;\n    return a[0];\n}\n"
    ),
    "src/written.c": '#line 1 "../src/written.y"\nint f(void) { return lost(); }\n',
    "src/macro.S": '.macro take name\n.incbin "\\name"\n.endm\n.data\ntake ../src/blob.bin\n',
    "src/odd name ü.c": "int odd;\n",
    f"src/{_LONG}/deep.c": '#include "deep.h"\nint deep = DEEP;\n',
    f"src/{_LONG}/deep.h": "#define DEEP 1\n",
    "src/flags.rsp": "-DFLAG='\"a b\"' -I../src\n@../src/inner.rsp\n",
    "src/changing.rsp": "-DCHANGING=1 -fno-inline",
    "src/inner.rsp": "-O2 -DINNER\n",
    "src/warning.specs": "*cc1:\n+ -DSPECS\n",
    "src/real/linked.c": '#include "beside.h"\n#include "../plain.h"\nint both = BESIDE + PLAIN;\n',
    "src/real/beside.h": "#define BESIDE 1\n",
    "tools/gcc": '#!/bin/sh\nexec /usr/bin/gcc -DWRAPPED "$@"\n',
    "tools/looks-gcc": '#!/bin/sh\n[ -n "$X" ] && set -- -O1 "$@"\nexec /usr/bin/gcc "$@"\n',
    "tools/strange": '#!/bin/sh\necho "$@" >> "$(dirname "$0")/calls"\n',
}
"""The project's files, by path."""

_PLAIN = "-c ../src/plain.c -o {o}/a.o"
_D = ("{o}/a.o", "{o}/a.d")

CASES: tuple[Case, ...] = (
    Case("01", f"gcc -MD {_PLAIN}", _D),
    Case("01-named-by-o", "clang -MMD -MP -c -o {o}/a.b.o ../src/plain.c", ("{o}/a.b.o",)),
    Case("02", f"gcc -MD -MT {{o}}/a.o -MF {{o}}/a.d {_PLAIN}", depfile="{o}/a.d"),
    Case(
        "02-absolute",
        "gcc -MD -MF {root}/build/{o}/a.d -I{root}/src -c {root}/src/plain.c -o {o}/a.o",
        depfile="{o}/a.d",
    ),
    Case("02-user", f"gcc -MMD -MQ 'a$b' -MP -MF {{o}}/a.d -I../src/../src {_PLAIN}", _D),
    Case(
        "02-system", "gcc -MMD -MF {o}/a.d -isystem ../src/quiet -c ../src/quiet.c -o {o}/a.o", _D
    ),
    Case(
        "02-shadow",
        "clang -MMD -MF {o}/a.d -isystem ../src/first -isystem ../src/second"
        " -c ../src/probes.c -o {o}/a.o",
        _D,
    ),
    Case("02-library", "g++ -MMD -MF {o}/a.d -c ../src/library.cpp -o {o}/a.o", _D),
    Case("02-library-clang", "clang++ -MMD -MF {o}/a.d -c ../src/library.cpp -o {o}/a.o", _D),
    Case("02-recorded", f"gcc -g -grecord-gcc-switches -frecord-gcc-switches {_PLAIN}"),
    Case("03", f"gcc -Wp,-MD,{{o}}/a.d,-DX=1 {_PLAIN}", _D),
    Case("03-xpreprocessor", f"gcc -Xpreprocessor -DX {_PLAIN}"),
    Case("03-file", f"gcc -Wp,@../src/inner.rsp {_PLAIN}"),
    Case("04-E", "gcc -E ../src/plain.c -o {o}/a.i", ("{o}/a.i",)),
    Case("04-E-c", "gcc -c -E ../src/plain.c -o {o}/a.i", ("{o}/a.i",)),
    Case("04-M", "gcc -M -c ../src/plain.c -o {o}/a.d", ("{o}/a.d",)),
    Case("04-MM", "gcc -MM -c ../src/plain.c -o {o}/a.d", ("{o}/a.d",)),
    Case("04-syntax", "gcc -fsyntax-only -Wall -c ../src/warns.c", ("{o}/none",)),
    Case("04-dM", "gcc -c -dM -E ../src/plain.c -o {o}/a.i", ("{o}/a.i",)),
    Case("05-save-temps", f"gcc -save-temps=obj {_PLAIN}"),
    Case("05-dump", f"gcc -O1 -fdump-tree-gimple {_PLAIN}"),
    Case("05-su", f"gcc -fstack-usage {_PLAIN}"),
    Case("05-ci", f"gcc -fcallgraph-info=su {_PLAIN}"),
    Case("05-dia", f"clang --serialize-diagnostics {{o}}/a.dia -Wall {_PLAIN}"),
    Case("05-time-trace", f"clang -ftime-trace {_PLAIN}"),
    Case("05-opt-info", "gcc -O3 -fopt-info -c ../src/warns.c -o {o}/a.o"),
    Case("05-listing", f"gcc -Wa,-a={{o}}/a.lst {_PLAIN}"),
    Case("06", f"gcc -g -gsplit-dwarf {_PLAIN}", ("{o}/a.o", "{o}/a.dwo")),
    Case("06-clang", f"clang -g -gsplit-dwarf {_PLAIN}"),
    Case("06-compile-dir", f"clang -g -gsplit-dwarf -fdebug-compilation-dir=. {_PLAIN}"),
    Case("07", f"gcc --coverage -frandom-seed=7 {_PLAIN}", ("{o}/a.o", "{o}/a.gcno")),
    Case("07-clang", f"clang -ftest-coverage -fprofile-arcs {_PLAIN}"),
    Case("08", f"gcc -fprofile-use=profiles -Wno-missing-profile {_PLAIN}"),
    Case(
        "08-profile",
        "llvm-profdata merge -o {o}/a.profdata ../src/plain.proftext",
        ("{o}/a.profdata",),
    ),
    Case(
        "08-clang",
        f"clang -O2 -fprofile-use=o/08-profile/a.profdata -MMD -MF {{o}}/a.d {_PLAIN}",
        _D,
        needs=("o/08-profile/a.profdata",),
    ),
    Case("08-clang-folder", f"clang -O2 -fprofile-use=o/08-profile {_PLAIN}"),
    Case("08-generate", f"gcc -fprofile-generate -frandom-seed=8 {_PLAIN}"),
    Case("09-inputs", "gcc -c ../src/other.c ../src/empty.c", ("other.o", "empty.o")),
    Case("09-stdout", "gcc -S ../src/plain.c -o -", ("{o}/none",)),
    Case("10", "gcc -c ../src/broken.c -o {o}/a.o"),
    Case("11", f"gcc -g -O2 {_PLAIN}"),
    Case("11-absolute", "gcc -g3 -gdwarf-5 -c {root}/src/plain.c -o {root}/build/{o}/a.o"),
    Case("11-clang", "clang -g -c {root}/src/plain.c -o {o}/a.o"),
    Case("11-mapped", f"gcc -g -fdebug-prefix-map={{root}}=/mapped {_PLAIN}"),
    Case("12", "gcc -c ../src/names.c -o {o}/a.o"),
    Case("12-absolute", "clang -c {root}/src/names.c -o {o}/a.o"),
    Case("12-mapped", "gcc -g -ffile-prefix-map={root}/= -c {root}/src/names.c -o {o}/a.o"),
    Case("12-location", "g++ -std=c++20 -c {root}/src/located.cpp -o {o}/a.o"),
    Case("12-same", "gcc -g -MD -MF {o}/a.d -c ../src/same.c -o {o}/a.o", _D),
    Case("12-same-clang", "clang -g -MD -MF {o}/a.d -c ../src/same.c -o {o}/a.o", _D),
    Case("13", "gcc -g -I../src -I./../src/./second -c ../src/../src/plain.c -o ./{o}/a.o"),
    Case("14", "gcc -g -MD -MF {o}/a.d -c ../src/link/linked.c -o {o}/a.o", _D),
    Case("14-dots", "gcc -MD -MF {o}/a.d -I../src/link/../ -c ../src/link/linked.c -o {o}/a.o", _D),
    Case(
        "14-twice",
        "clang -g -MD -MF {o}/a.d -isystem ../src/real -I../src/link -include beside.h"
        " -c ../src/plain.c -o {o}/a.o",
        _D,
    ),
    Case("15", f"gcc -Wmissing-include-dirs -Werror -I../src/bare {_PLAIN}"),
    Case("15-missing", f"gcc -Wmissing-include-dirs -I../src/nowhere {_PLAIN}"),
    Case("17", f"gcc -g -MD -MF {{o}}/a.d -c ../src/{_LONG}/deep.c -o {{o}}/a.o", _D),
    Case("17-name", "gcc -g -c '../src/odd name ü.c' -o '{o}/odd ü.o'", ("{o}/odd ü.o",)),
    Case("18", f"gcc @../src/flags.rsp {_PLAIN}"),
    Case("18-ninja", "gcc @{o}/a.rsp", rspfile="{o}/a.rsp", content=f"-O1 {_PLAIN}"),
    Case(
        "18-ninja-flags", f"gcc @{{o}}/a.rsp {_PLAIN}", rspfile="{o}/a.rsp", content="-O1 -I../src"
    ),
    Case("18-changing", f"gcc -O1 @../src/changing.rsp {_PLAIN}"),
    Case("18-gone", f"gcc @../src/gone.rsp {_PLAIN}"),
    Case("19", "gcc -c ../src/clock.c -o {o}/a.o"),
    Case("20", "g++ -g -frandom-seed=x -c ../src/plain.cpp -o {o}/a.o"),
    Case("20-clang", "clang++ -g -c ../src/plain.cpp -o {o}/a.o"),
    Case(
        "21", "gcc -MD -MF {o}/a.d -I../src/first -I../src/second -c ../src/probes.c -o {o}/a.o", _D
    ),
    Case("22", "gcc -DHEADER='\"plain.h\"' -I../src/second -c ../src/computed.c -o {o}/a.o"),
    Case("22-pasted", "gcc -c ../src/pasted.c -o {o}/a.o"),
    Case("23", "gcc -c ../src/absent.c -o {o}/a.o"),
    Case("23-make", "cp ../src/generated.in gen/generated.h", ("gen/generated.h",)),
    Case("23-made", "gcc -Igen -c ../src/generated.c -o {o}/a.o", needs=("gen/generated.h",)),
    Case("24", "gcc -MD -MF {o}/a.d -c ../src/blob.c -o {o}/a.o", _D),
    Case("24-asm", "gcc -Wa,-I,../src/parts -c ../src/plain.S -o {o}/a.o"),
    Case("24-unseen", "gcc -c ../src/joined.c -o {o}/a.o"),
    Case("24-unseen-clang", "clang -c ../src/joined.c -o {o}/a.o"),
    Case("24-gone", "clang -c ../src/gone.c -o {o}/a.o"),
    Case("25", "gcc -Wall -Wextra -pedantic -Wunused-macros -c ../src/warns.c -o {o}/a.o"),
    Case("25-clang", "clang -Weverything -pedantic -c ../src/warns.c -o {o}/a.o"),
    Case("25-directives", f"gcc -fdirectives-only {_PLAIN}"),
    Case("25-rewrite", f"clang -frewrite-includes {_PLAIN}"),
    Case("26", "gcc -Wall -isystem ../src/system -c ../src/noisy.c -o {o}/a.o"),
    Case("26-user", "gcc -Wall -I../src/system -c ../src/noisy.c -o {o}/a.o"),
    Case("26-clang", "clang -Wall -I../src/system -c ../src/noisy.c -o {o}/a.o"),
    Case("27", f"../tools/gcc {_PLAIN}"),
    Case("27-looks", f"../tools/looks-gcc {_PLAIN}"),
    Case("27-ccache", f"ccache gcc -O1 {_PLAIN}"),
    Case("28-gcc", f"gcc -g {_PLAIN}"),
    Case("28-g++", f"g++ -g {_PLAIN}"),
    Case("28-clang", f"clang -g {_PLAIN}"),
    Case("28-clang++", f"clang++ -g {_PLAIN}"),
    Case("29", f"gcc -O2 -march=native {_PLAIN}"),
    Case("29-tune", f"gcc -O2 -mtune=native {_PLAIN}"),
    Case("29-clang", f"clang -O2 -march=native {_PLAIN}"),
    Case("29-debug", f"gcc -g -march=native {_PLAIN}"),
    Case(
        "29-switches", f"gcc -march=native -frecord-gcc-switches --param l1-cache-size=16 {_PLAIN}"
    ),
    Case("29-assembler", "gcc -march=native -Wa,-I,../src/parts -c ../src/plain.S -o {o}/a.o"),
    Case("29-recorded", f"clang -g -march=native -grecord-command-line {_PLAIN}"),
    Case("29-mixed", f"clang -march=native -mno-sse4.2 {_PLAIN}"),
    Case("30-plugin", f"clang -fplugin-arg-x-y {_PLAIN}"),
    Case("30-specs", f"gcc -specs=../src/warning.specs {_PLAIN}"),
    Case("30-ignore", f"clang -fsanitize=address -fsanitize-ignorelist=../src/ignore.txt {_PLAIN}"),
    Case("31", f"gcc -L. -lm -Wl,--as-needed {_PLAIN}"),
    Case("31-clang", f"clang -L. -lm -Wl,--as-needed {_PLAIN}"),
    Case("33", "gcc -Wall -fdiagnostics-color=always -c ../src/warns.c -o {o}/a.o"),
    Case("33-clang", "clang -Wall -fcolor-diagnostics -c ../src/warns.c -o {o}/a.o"),
    Case("35-make", "gcc -g -x c-header -c ../src/pre.h -o pre/pre.h.gch", ("pre/pre.h.gch",)),
    Case("35-alone", "gcc -x c-header ../src/pre.h -o pre/one.h.gch", ("pre/one.h.gch",)),
    Case("35", "gcc -include pre/one.h -c ../src/pre.c -o {o}/a.o", needs=("pre/one.h.gch",)),
    Case("35-copy", "cp ../src/pre.h pre/pre.h", ("pre/pre.h",)),
    Case(
        "35-beside",
        "gcc -include pre/pre.h -O1 -c ../src/pre.c -o {o}/a.o",
        needs=("pre/pre.h.gch", "pre/pre.h"),
    ),
    Case(
        "35-used",
        "gcc -g -Wall -Winvalid-pch -include pre/pre.h -MD -MF {o}/a.d -c ../src/pre.c -o {o}/a.o",
        _D,
        needs=("pre/pre.h.gch", "pre/pre.h"),
    ),
    Case("35-again", "cp ../src/pre.h pre/clang.h", ("pre/clang.h",)),
    Case(
        "35-clang-make",
        "clang -g -Xclang -fno-pch-timestamp -x c-header pre/clang.h -o pre/clang.h.pch",
        ("pre/clang.h.pch",),
        ("pre/clang.h",),
    ),
    Case(
        "35-times-make",
        "clang -x c-header pre/times.h -o pre/times.h.pch",
        ("pre/times.h.pch",),
        ("pre/times.h",),
    ),
    Case("35-times-copy", "cp ../src/pre.h pre/times.h", ("pre/times.h",)),
    Case(
        "35-clang",
        "clang -g -include-pch pre/clang.h.pch -MMD -MF {o}/a.d -c ../src/pre.c -o {o}/a.o",
        _D,
        needs=("pre/clang.h.pch", "pre/clang.h"),
    ),
    Case(
        "35-clang-implied",
        "clang -g -include pre/clang.h -c ../src/pre.c -o {o}/a.o",
        needs=("pre/clang.h.pch", "pre/clang.h"),
    ),
    Case(
        "35-clang-inner",
        "clang -g -Xclang -include-pch -Xclang pre/clang.h.pch -Xclang -include"
        " -Xclang pre/clang.h -c ../src/pre.c -o {o}/a.o",
        needs=("pre/clang.h.pch", "pre/clang.h"),
    ),
    Case(
        "35-times",
        "clang -include-pch pre/times.h.pch -c ../src/pre.c -o {o}/a.o",
        needs=("pre/times.h.pch", "pre/times.h"),
    ),
    Case("35-late", "gcc -c ../src/late.c -o {o}/a.o"),
    Case("35-late-forced", "clang -include ../src/late.h -c ../src/other.c -o {o}/a.o"),
    Case("36", "g++ -std=c++20 -fmodules-ts -c ../src/plain.cpp -o {o}/a.o"),
    Case("37", f"clang -fmodules -fmodules-cache-path=modules {_PLAIN}"),
    Case("36-offload", "clang -fopenmp -c ../src/offload.c -o {o}/a.o"),
    Case("36-offload-off", "clang -c ../src/offload.c -o {o}/a.o"),
    Case("38", f"gcc -O2 -flto -frandom-seed=x {_PLAIN}"),
    Case("38-thin", f"clang -O2 -flto=thin {_PLAIN}"),
    Case("38-off", f"gcc -O2 -flto -fno-lto {_PLAIN}"),
    Case("39", "ar rcsD {o}/a.a o/11/a.o o/12/a.o", ("{o}/a.a",), ("o/11/a.o", "o/12/a.o")),
    Case("39-thin", "ar rcsDT {o}/a.a o/11/a.o", ("{o}/a.a",), ("o/11/a.o",)),
    Case("44-compile", "gcc -c ../src/maker.c -o {o}/a.o"),
    Case("44-link", "gcc o/44-compile/a.o -o {o}/maker", ("{o}/maker",), ("o/44-compile/a.o",)),
    Case("44-run", "o/44-link/maker > gen/made.h", ("gen/made.h",), ("o/44-link/maker",)),
    Case("44", "gcc -Igen -c ../src/made.c -o {o}/a.o", needs=("gen/made.h",)),
    Case("45", "gcc -c ../src/empty.c -o {o}/a.o"),
    Case("45-assembly", "gcc -S ../src/empty.c -o {o}/a.s", ("{o}/a.s",)),
    Case("47", "sh -c 'kill -SEGV $$'", ("{o}/none",)),
    Case("47-strange", "../tools/strange -c {o}/seen", ("{o}/none",)),
    Case("51-first", "gcc -c ../src/rewritten.c -o {o}/a.o"),
    Case(
        "51-rewrite",
        "cp ../src/rewritten.second ../src/rewritten.h && touch {o}/stamp",
        ("{o}/stamp",),
        ("o/51-first/a.o",),
    ),
    Case("51", "gcc -O1 -c ../src/rewritten.c -o {o}/a.o", needs=("o/51-rewrite/stamp",)),
    Case("51-passing-first", "gcc -I../src/passing/one -c ../src/passing.c -o {o}/a.o"),
    Case("51-turned-first", "gcc -I../src/passing/turned -c ../src/turned.c -o {o}/a.o"),
    Case(
        "51-remove",
        "rm ../src/passing/one/passing.h && ln -sfn two ../src/passing/turned && touch {o}/stamp",
        ("{o}/stamp",),
        ("o/51-passing-first/a.o", "o/51-turned-first/a.o"),
    ),
    Case(
        "51-passing",
        "gcc -O1 -I../src/passing/one -I../src/passing/two -c ../src/passing.c -o {o}/a.o",
        needs=("o/51-remove/stamp",),
    ),
    Case(
        "51-turned",
        "gcc -O1 -I../src/passing/turned -c ../src/turned.c -o {o}/a.o",
        needs=("o/51-remove/stamp",),
    ),
    Case("52", "gcc -MD -MF {o}/a.d -I/usr/include -c ../src/warns.c -w -o {o}/a.o", _D),
    Case("52-clang", "clang -MD -MF {o}/a.d -I/usr/include -c ../src/warns.c -w -o {o}/a.o", _D),
    Case("24-macro", "gcc -c ../src/macro.S -o {o}/a.o"),
    Case("25-text", "gcc -g -O1 -Wall -c ../src/text.i -o {o}/a.o"),
    Case("25-text-named", "gcc -x cpp-output -c ../src/text.i -o {o}/a.o"),
    Case("25-text-cxx", "g++ -g -c ../src/text.ii -o {o}/a.o"),
    Case("25-text-clang", "clang -Wall -DX=1 -I../src -c ../src/text.i -o {o}/a.o"),
    Case("25-text-blob", "gcc -c ../src/text-blob.i -o {o}/a.o"),
    Case("25-text-includes", "clang -I../src -c ../src/text-includes.i -o {o}/a.o"),
    Case("25-text-pch", "gcc -c ../src/text-pch.i -o {o}/a.o"),
    Case("25-text-depfile", "gcc -MD -MF {o}/a.d -c ../src/text.ii -o {o}/a.o"),
    Case("25-preprocessed", f"gcc -fpreprocessed {_PLAIN}"),
    Case("48-line", "gcc -Wall -c ../src/written.c -o {o}/a.o"),
)
"""Every edge of the build."""
