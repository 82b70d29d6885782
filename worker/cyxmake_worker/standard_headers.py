"""Tells the headers of the C and C++ libraries from all others, by their names.

Knows no file's content. What is taken for granted of these headers stands in docs/EXACTNESS.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_CXX: Final = re.compile(r"/c\+\+/|/libcxx/")

# Names of ISO C (7.1.2) and POSIX.1-2017 (base definitions, 13), and what glibc and musl include
# beside them; then the folders that belong to the C library and the kernel.
_NAMES: Final = (
    "aio|alloca|alltypes|assert|byteswap|complex|cpio|ctype|dirent|dlfcn|elf|endian|err|errno|"
    "error|features(?:-time64)?|fcntl|fenv|float|fmtmsg|fnmatch|ftw|getopt|glob|grp|iconv|ifaddrs|"
    "inttypes|iso646|langinfo|libgen|libintl|limits|link|locale|malloc|math|memory|mntent|"
    "monetary|mqueue|ndbm|netdb|nl_types|obstack|paths|poll|pthread|pty|pwd|regex|resolv|sched|"
    "search|semaphore|setjmp|signal|spawn|stdalign|stdatomic|stdbool|stdc-predef|stddef|stdint|"
    "stdio|stdio_ext|stdlib|stdnoreturn|string|strings|stropts|syscall|sysexits|syslog|tar|"
    "termios|tgmath|threads|time|trace|uchar|ucontext|ulimit|unistd|utime|utmp|utmpx|values|wait|"
    "wchar|wctype|wordexp"
)
_FOLDERS: Final = "arpa|asm|asm-generic|bits|gnu|linux|net|netinet|rpc|sys"
_C: Final = re.compile(rf"(?:[\w-]+-linux-\w+/)?(?:(?:{_FOLDERS})/.*|(?:{_NAMES})\.h)")


def is_standard(path: str, builtin: Sequence[str]) -> bool:
    """Tell whether a header in one of the compiler's own folders belongs to the languages."""
    for folder in builtin:
        if path.startswith(folder):
            inside = path[len(folder) :].lstrip("/")
            if _C.fullmatch(inside) or _CXX.search(path):
                return True
    return False
