"""A conversation in a pseudo-terminal: what a person types, and what then stands on the screen."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pexpect

from support.processes import environment, python

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|\r")
SECONDS = 40


class Terminal:
    """`cyxmake` on a terminal of its own, in a project's directory."""

    def __init__(
        self, project: Path, home: Path, *arguments: str, term: str = "xterm-256color", **env: str
    ) -> None:
        variables = environment(
            CYXMAKE_CONFIG_DIR=str(home / "config"), CYXMAKE_CACHE_DIR=str(home / "cache"),
            CYXMAKE_STATE_DIR=str(home / "state"), TERM=term, PROMPT_TOOLKIT_NO_CPR="1", **env,
        )  # fmt: skip
        self._dumb = term == "dumb"
        argv = python("cyxmake_cli.main", *arguments)
        self.process: Any = pexpect.spawn(
            argv[0], argv[1:], cwd=str(project), env=variables, encoding="utf-8", timeout=SECONDS,
            dimensions=(40, 200),
        )  # fmt: skip
        self.wait_for_prompt()

    def wait_for_prompt(self) -> str:
        """Wait until a line may be written; return what was printed since, without escapes."""
        if not self._dumb:
            self.process.expect("\x1b\\]133;A\x07")  # the prompt itself is drawn many times
            printed = self._printed()
            self.process.expect("cyxmake> ")
            return printed
        self.process.expect("cyxmake> ")
        return self._printed()

    def wait_for(self, pattern: str) -> str:
        """Wait for a text; return what was printed until then."""
        self.process.expect(pattern)
        return self._printed() + str(self.process.after)

    def type(self, text: str) -> None:
        """Press keys."""
        self.process.send(text)

    def say(self, line: str) -> str:
        """Write a line, and return what was printed until the next prompt."""
        self.process.send(line + "\r")
        return self.wait_for_prompt()

    def answer(self, line: str, question: str, *answers: str) -> str:
        """Write a line, answer the questions that follow, and return all that was printed."""
        self.process.send(line + "\r")
        printed = ""
        for answer in answers:
            self.process.expect(question)
            printed += self._printed()
            self.process.send(answer + "\r")
        return printed + self.wait_for_prompt()

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the window."""
        self.process.setwinsize(rows, columns)

    def leave(self) -> int:
        """Press Ctrl-D; return the exit status."""
        self.process.send("\x04")
        self.process.expect(pexpect.EOF)
        self.process.close()
        return int(self.process.exitstatus)

    def close(self) -> None:
        """End it, however it is."""
        if self.process.isalive():
            os.kill(self.process.pid, signal.SIGHUP)
            self.process.close(force=True)

    def _printed(self) -> str:
        return _ESCAPES.sub("", str(self.process.before))
