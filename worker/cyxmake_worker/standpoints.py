"""Finds out whether code can tell where its project stands, though no output of it says so.

Knows nothing of cache entries. The length, one letter or a hash of `__FILE__` may be all of it that
stays in an object; but the preprocessor writes the whole name first, and its text shows that.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import Final

from cyxmake_common.execution.executor import ExecutionRequest
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind
from cyxmake_common.toolchain.tables import Role
from cyxmake_worker.questions import Questions

_SECONDS: Final = 60.0
_ONLY_EXPAND: Final = ("-E", "-P")
_DROPPED: Final = frozenset(
    (
        *(Role.COMPILE, Role.ASSEMBLE, Role.OUTPUT, Role.LINK, Role.SIDE_FILE),
        *(Role.DEPS, Role.USER_DEPS, Role.DEPS_FILE, Role.DEPS_TARGET, Role.DEPS_PHONY),
    )
)

# A root of other letters may be spelled with escapes inside of a literal.
_PLAIN: Final = re.compile(r"[\w/.,+@%=~^-]+", re.ASCII)
_UNEXPANDED: Final = re.compile(
    # What the compiler itself replaces, and what a preprocessor did not.
    rb"__(?:(?:BASE_)?FILE__|builtin_(?:FILE|source_location))(?!\w)"
    rb"|^[ \t]*#[ \t]*(?:include|embed)"
    # Numbers in these are expressions, whose macros are expanded later.
    rb"|^[ \t]*#[ \t]*pragma\b[^\n]*\b(?:unroll|loop|jam|vector)",
    re.MULTILINE,
)
_TYPE_NAME: Final = re.compile(rb"__(?:PRETTY_FUNCTION__|FUNCSIG__|builtin_dump_struct)")
"""In these clang spells a type without a name by the place of its file."""


class Standpoints:
    """Asks for one worker; not for more units at a time than leave room for compiles."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._turns = asyncio.Semaphore(max(1, (os.cpu_count() or 1) // 4))
        self._asked = 0

    def __repr__(self) -> str:
        return f"<Standpoints {self._asked} asked>"

    async def told(self, request: ExecutionRequest, command: CompileCommand, root: str) -> bool:
        """Tell whether the expanded code of a compile has the root, or may come to it yet."""
        if command.precompiled or not _PLAIN.fullmatch(root):
            return True
        async with self._turns:
            self._asked += 1
            answer = await self._questions.ask(
                request, expanding(command), request.command.environment, _SECONDS
            )
        return answer is None or shows(answer.stdout, root, command.kind)


def expanding(command: CompileCommand) -> tuple[str, ...]:
    """Return the command that prints what the compiler proper gets to see."""
    kept = (argument.tokens for argument in command.arguments if argument.role not in _DROPPED)
    return (command.compiler, *_ONLY_EXPAND, *(token for tokens in kept for token in tokens))


def shows(text: bytes, root: str, kind: CompilerKind) -> bool:
    """Tell whether preprocessed text may mean another thing at another place."""
    if root.encode() in text or _UNEXPANDED.search(text):
        return True
    return kind is CompilerKind.CLANG and _TYPE_NAME.search(text) is not None
