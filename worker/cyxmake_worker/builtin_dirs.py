"""A compiler's own include directories: as its toolchain tells them, else by asking it.

Knows nothing of cache entries. The compiler is asked where the action runs, in the sandbox over the
same layers: it need not stand on this machine.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from cyxmake_common.action import TOOLCHAIN
from cyxmake_common.digest import Digest
from cyxmake_common.execution.executor import ExecutionRequest
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.manifest import ToolchainManifest, language_name
from cyxmake_common.toolchain.probe import ProbeFailed, clean_environment, parse_search
from cyxmake_worker.questions import Questions

_ANSWERS_KEPT: Final = 256
_ASK_SECONDS: Final = 20.0

_Key = tuple[str, str, str, tuple[str, ...], str, Digest]


class BuiltinDirectories:
    """Answers for the compiles of one worker; each question is asked once."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._answers: OrderedDict[_Key, tuple[str, ...] | None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<BuiltinDirectories {len(self._answers)} asked>"

    async def of(
        self, request: ExecutionRequest, command: CompileCommand, manifest: ToolchainManifest
    ) -> tuple[str, ...] | None:
        """Return the directories in the compiler's order; None when it does not tell."""
        known = manifest.builtin_for(command)
        if known is not None or not command.search_flags:
            return known
        # With the root: where a flag names a directory, the answer depends on what is there.
        key = (
            request.action.property(TOOLCHAIN),
            command.compiler,
            language_name(command),
            command.search_flags,
            request.command.working_directory,
            request.action.input_root,
        )
        if key not in self._answers:
            self._answers[key] = await self._ask(request, command)
            if len(self._answers) > _ANSWERS_KEPT:
                self._answers.popitem(last=False)
        return self._answers[key]

    async def _ask(
        self, request: ExecutionRequest, command: CompileCommand
    ) -> tuple[str, ...] | None:
        arguments = (
            command.compiler,
            *command.search_flags,
            *("-v", "-E", "-x", language_name(command), "/dev/null"),
        )
        clean = tuple(sorted(clean_environment(dict(request.command.environment)).items()))
        answer = await self._questions.ask(request, arguments, clean, _ASK_SECONDS)
        if answer is None:
            return None
        text = answer.stderr
        try:
            return parse_search(text.decode("utf-8", "surrogateescape")).includes
        except ProbeFailed:
            return None
