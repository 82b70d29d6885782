"""Cuts ninja syntax into tokens, one regular expression per step.

Knows nothing of what the tokens mean; manifest and dyndep files share it.
"""

from __future__ import annotations

import re
from typing import Final

from cyxmake_cli.ninja.errors import ManifestError
from cyxmake_cli.ninja.scope import BadEscape, Template, parse_template

NEWLINE: Final = "newline"
INDENT: Final = "indent"
EOF: Final = "eof"
WORD: Final = "identifier"
PUNCTUATION: Final = frozenset({":", "|", "||", "|@"})
KEYWORDS: Final = frozenset({"build", "default", "include", "pool", "rule", "subninja"})

_TOKEN: Final = re.compile(
    r"(?: *#[^\n]*\n)*"
    r"(?:(?P<newline> *\r?\n)|(?P<indent> +)|(?P<word>[a-zA-Z0-9_.-]+)"
    r"|(?P<mark>\|@|\|\||\||=|:)|(?P<eof>\Z))"
)
_BLANK: Final = re.compile(r"(?: +|\$\r?\n)*")
_IDENT: Final = re.compile(r"[a-zA-Z0-9_.-]+")
_WORDS: Final = re.compile(r"[^ :|]+|\|@|\|\||\||:")
_PLAIN_LINE: Final = re.compile(r"([^$\r\n]*)\n")
_ITEM: Final = re.compile(
    r"(?: +|\$\r?\n)*"
    r"(?:((?:[^$ :\r\n|]+|\$(?:[$ :]|\{[a-zA-Z0-9_.-]+\}|[a-zA-Z0-9_-]+|\r?\n *))+)"
    r"|(\|@|\|\||\||:)|(\r?\n))"
)
_VALUE: Final = re.compile(r"((?:[^$\r\n]+|\$(?:[^\r\n]|\r?\n))*)\r?\n")
_PLAIN_BINDING: Final = re.compile(r" +([a-zA-Z0-9_.-]+) *= *([^$\r\n]*)\n")
_PLAIN_LET: Final = re.compile(r"([a-zA-Z0-9_.-]+) *= *([^$\r\n]*)\n")


class Lexer:
    """A position in one file's text, and the tokens that can be read from there."""

    __slots__ = ("_templates", "filename", "position", "text", "token_start")

    def __init__(self, filename: str, text: str) -> None:
        self.filename = filename
        self.text = text.partition("\0")[0]
        self.position = 0
        self.token_start = 0
        self._templates: dict[str, Template] = {}

    def __repr__(self) -> str:
        return f"Lexer({self.filename}:{self.line(self.position)})"

    def line(self, offset: int) -> int:
        """Return the line number of an offset, from 1."""
        return self.text.count("\n", 0, offset) + 1

    def error(self, message: str, offset: int | None = None) -> ManifestError:
        """Return an error that names this file and the line of the last token."""
        line = self.line(self.token_start if offset is None else offset)
        return ManifestError(f"{self.filename}:{line}: {message}")

    def token(self) -> str:
        """Read one token: a keyword, a punctuation mark, or one of the token kinds."""
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            raise self._lexing_error()
        kind = match.lastgroup or ""
        self.token_start = match.start(kind)
        self.position = match.end()
        if kind in (NEWLINE, EOF):
            return kind
        self._skip_blank()
        if kind == INDENT:
            return kind
        text = match[kind]
        return text if kind == "mark" or text in KEYWORDS else WORD

    def accept(self, wanted: str) -> bool:
        """Read the next token if it is the wanted one."""
        before = self.position
        if self.token() == wanted:
            return True
        self.position = before
        return False

    def unread(self) -> None:
        """Step back to the start of the last token."""
        self.position = self.token_start

    def expect(self, wanted: str) -> None:
        """Read one token and insist on its kind."""
        got = self.token()
        if got != wanted:
            raise self.error(self.mismatch(wanted, got))

    @staticmethod
    def mismatch(wanted: str, got: str) -> str:
        """Say what stands where something else was needed."""
        hint = " ($ also escapes ':')" if wanted == ":" else ""
        return f"expected {shown(wanted)}, got {shown(got)}{hint}"

    def ident(self, what: str) -> str:
        """Read a name, keywords included."""
        match = _IDENT.match(self.text, self.position)
        self.token_start = self.position
        if match is None:
            raise self.error(f"expected {what}")
        self.position = match.end()
        self._skip_blank()
        return match[0]

    def value(self) -> Template:
        """Read the rest of the line, continuations included."""
        match = _VALUE.match(self.text, self.position)
        if match is None:
            raise self._value_error()
        template = self._template(match[1], match.start())
        self.token_start = self.position
        self.position = match.end()
        return template

    def let(self) -> tuple[str, Template]:
        """Read `name = value` up to the end of the line."""
        match = _PLAIN_LET.match(self.text, self.position)
        if match is not None:
            self.token_start = match.start()
            self.position = match.end()
            return match[1], (match[2],)
        name = self.ident("variable name")
        self.expect("=")
        return name, self.value()

    def indented_let(self) -> tuple[str, Template] | None:
        """Read one indented `name = value` line, if the next line is one."""
        match = _PLAIN_BINDING.match(self.text, self.position)
        if match is not None:
            self.token_start = match.start()
            self.position = match.end()
            return match[1], (match[2],)
        return self.let() if self.accept(INDENT) else None

    def items(self) -> list[str]:
        """Read raw paths and punctuation up to the end of the line."""
        match = _PLAIN_LINE.match(self.text, self.position)
        self.token_start = self.position
        if match is not None:
            self.position = match.end()
            return _WORDS.findall(match[1])
        items: list[str] = []
        while True:
            match = _ITEM.match(self.text, self.position)
            if match is None:
                raise self._value_error()
            self.position = match.end()
            if match[3] is not None:
                return items
            items.append(match[1] or match[2])

    def path(self) -> Template | None:
        """Read one path; None when something else stands here."""
        match = _ITEM.match(self.text, self.position)
        if match is None:
            raise self._value_error()
        if match[1] is None:
            return None
        self.token_start = match.start(1)
        self.position = match.end()
        self._skip_blank()
        return self._template(match[1], match.start(1))

    def template(self, raw: str) -> Template:
        """Parse a raw path that `items` returned."""
        return self._template(raw, self.token_start)

    def _template(self, raw: str, offset: int) -> Template:
        template = self._templates.get(raw)
        if template is None:
            try:
                template = self._templates[raw] = parse_template(raw)
            except BadEscape as error:
                raise self.error(str(error), offset + error.offset) from None
        return template

    def _skip_blank(self) -> None:
        match = _BLANK.match(self.text, self.position)
        if match is not None:
            self.position = match.end()

    def _lexing_error(self) -> ManifestError:
        if self.text.startswith("\t", self.position):
            return self.error("tabs are not allowed, use spaces", self.position)
        return self.error("lexing error", self.position)

    def _value_error(self) -> ManifestError:
        """Find out why the rest of a line makes no sense."""
        position = self.position
        while position < len(self.text):
            char = self.text[position]
            if char == "\n":
                break
            if char == "\r":
                return self.error("lexing error", position)
            if char == "$":
                try:
                    step = len(self.text) if position + 1 == len(self.text) else position + 2
                    if self.text[position + 1 : step] not in ("{", "\r"):
                        parse_template(self.text[position:step])
                    else:
                        parse_template(self.text[position:].partition("}")[0] + "}")
                except BadEscape as error:
                    return self.error(str(error), position)
                position = step
                continue
            position += 1
        return self.error("unexpected EOF", len(self.text))


def shown(kind: str) -> str:
    """Return a token as messages name it."""
    return f"'{kind}'" if kind in PUNCTUATION or kind in KEYWORDS or kind == "=" else kind
