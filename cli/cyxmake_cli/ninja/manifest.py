"""Reads build.ninja and what it includes into a State.

Knows nothing of the disk: the caller passes a function that returns a file's bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, TypeAlias

from cyxmake_cli.ninja.errors import ManifestError
from cyxmake_cli.ninja.graph import Edge, Node, Pool, State
from cyxmake_cli.ninja.lexer import EOF, NEWLINE, PUNCTUATION, WORD, Lexer, shown
from cyxmake_cli.ninja.paths import canonicalize, decode
from cyxmake_cli.ninja.scope import EMPTY, RESERVED, Rule, Scope, Template, expand

Reader: TypeAlias = Callable[[str], bytes]
"""Returns the bytes of the file at a path; raises OSError."""

LANGUAGE_VERSION: Final = (1, 13)
"""The newest ninja whose manifest language is understood."""

_DIGITS: Final = re.compile(r"\s*[+-]?\d+")
_SECTIONS: Final = ("|", "||", "|@")


def load_manifest(read: Reader, path: str = "build.ninja") -> State:
    """Read a manifest and everything it includes; raises ManifestError."""
    state = State()
    _Parser(state, read).load(path, state.scope)
    return state


class _Parser:
    """Feeds the statements of one file after the other into the state."""

    def __init__(self, state: State, read: Reader) -> None:
        self._state = state
        self._read = read
        self._lexer = Lexer("", "")
        self._scope = state.scope

    def load(self, path: str, scope: Scope) -> None:
        """Parse one file in a scope."""
        try:
            text = decode(self._read(path))
        except OSError as error:
            message = f"loading '{path}': {error.strerror or error}"
            if self._lexer.filename:
                raise self._lexer.error(message) from None
            raise ManifestError(message) from None
        outer = self._lexer, self._scope
        self._lexer, self._scope = Lexer(path, text), scope
        self._statements()
        self._lexer, self._scope = outer

    def _statements(self) -> None:
        lexer = self._lexer
        handlers = {
            "build": self._build,
            "rule": self._rule,
            "pool": self._pool,
            "default": self._default,
            "include": self._include,
            "subninja": self._subninja,
            WORD: self._let,
        }
        while (token := lexer.token()) != EOF:
            handler = handlers.get(token)
            if handler is not None:
                handler()
            elif token != NEWLINE:
                raise lexer.error(f"unexpected {shown(token)}")

    def _let(self) -> None:
        self._lexer.unread()
        name, template = self._lexer.let()
        value = expand(template, self._scope.lookup)
        if name == "ninja_required_version":
            self._check_version(value)
        self._scope.bindings[name] = value

    def _check_version(self, required: str) -> None:
        major, _, rest = required.partition(".")
        minor = rest.partition(".")[0]
        wanted = (_leading_number(major) or 0, _leading_number(minor) or 0)
        if wanted > LANGUAGE_VERSION:
            raise self._lexer.error(
                f"ninja_required_version is {required}, "
                f"newer than {'.'.join(map(str, LANGUAGE_VERSION))}"
            )

    def _pool(self) -> None:
        lexer = self._lexer
        name = lexer.ident("pool name")
        lexer.expect(NEWLINE)
        if name in self._state.pools:
            raise lexer.error(f"duplicate pool '{name}'")
        depth = -1
        while (binding := lexer.indented_let()) is not None:
            if binding[0] != "depth":
                raise lexer.error(f"unexpected variable '{binding[0]}'")
            depth = _leading_number(expand(binding[1], self._scope.lookup)) or 0
            if depth < 0:
                raise lexer.error("invalid pool depth")
        if depth < 0:
            raise lexer.error("expected 'depth =' line")
        self._state.pools[name] = Pool(name, depth)

    def _rule(self) -> None:
        lexer = self._lexer
        name = lexer.ident("rule name")
        lexer.expect(NEWLINE)
        if name in self._scope.rules:
            raise lexer.error(f"duplicate rule '{name}'")
        rule = Rule(name)
        while (binding := lexer.indented_let()) is not None:
            if binding[0] not in RESERVED:
                raise lexer.error(f"unexpected variable '{binding[0]}'")
            rule.bindings[binding[0]] = binding[1]
        has_path = rule.bindings.get("rspfile", EMPTY) != EMPTY
        if has_path != (rule.bindings.get("rspfile_content", EMPTY) != EMPTY):
            raise lexer.error("rspfile and rspfile_content need to be both specified")
        if rule.bindings.get("command", EMPTY) == EMPTY:
            raise lexer.error("expected 'command =' line")
        self._scope.rules[name] = rule

    def _default(self) -> None:
        lexer = self._lexer
        template = lexer.path()
        if template is None:
            raise lexer.error("expected target name")
        while template is not None:
            path = self._path(template, self._scope)
            node = self._state.paths.get(path)
            if node is None:
                raise lexer.error(f"unknown target '{path}'")
            self._state.defaults.append(node)
            template = lexer.path()
        lexer.expect(NEWLINE)

    def _include(self) -> None:
        self._nested(self._scope)

    def _subninja(self) -> None:
        self._nested(Scope(self._scope))

    def _nested(self, scope: Scope) -> None:
        template = self._lexer.path()
        path = expand(template, self._scope.lookup) if template is not None else ""
        self.load(path, scope)
        self._lexer.expect(NEWLINE)

    def _build(self) -> None:
        lexer = self._lexer
        items = lexer.items()
        start = lexer.token_start
        rule, sections = self._statement(items)
        scope = self._scope
        env = scope
        while (binding := lexer.indented_let()) is not None:
            if env is scope:
                env = Scope(scope)
            env.bindings[binding[0]] = expand(binding[1], scope.lookup)
        lexer.token_start = start
        edge = self._state.add_edge(rule, env)
        self._assign_pool(edge)
        self._connect(edge, sections)
        if edge.is_phony:
            self._drop_self_reference(edge)
        self._bind_dyndep(edge)

    def _statement(self, items: list[str]) -> tuple[Rule, list[list[str]]]:
        """Sort `outs | outs : rule ins | ins || ins |@ ins` into a rule and six path lists."""
        try:
            colon = items.index(":")
        except ValueError:
            self._bad_outputs(items)
        left, right = items[:colon], items[colon + 1 :]
        outputs, implicit = left, _NONE
        if "|" in left or "||" in left or "|@" in left:
            if left.count("|") != 1 or "||" in left or "|@" in left:
                self._bad_outputs(items)
            bar = left.index("|")
            outputs, implicit = left[:bar], left[bar + 1 :]
        if not outputs and not implicit:
            raise self._lexer.error("expected path")
        name = right[0] if right else ""
        rule = self._scope.lookup_rule(name)
        if rule is None:
            if not name or name in PUNCTUATION or "$" in name:
                raise self._lexer.error("expected build command name")
            raise self._lexer.error(f"unknown build rule '{name}'")
        return rule, [outputs, implicit, *self._inputs(right)]

    def _inputs(self, right: list[str]) -> list[list[str]]:
        marks = PUNCTUATION.intersection(right)
        if not marks:
            return [right[1:], _NONE, _NONE, _NONE]
        found: list[list[str]] = [[], [], [], []]
        section = 0
        for item in right[1:]:
            if item not in PUNCTUATION:
                found[section].append(item)
                continue
            later = _SECTIONS.index(item) + 1 if item in _SECTIONS else 0
            if later <= section:
                raise self._lexer.error(self._lexer.mismatch(NEWLINE, item))
            section = later
        return found

    def _bad_outputs(self, items: Sequence[str]) -> NoReturn:
        """Say what is wrong left of the colon."""
        lexer = self._lexer
        bars = 0
        for item in items:
            if item in PUNCTUATION:
                if item == "|" and not bars:
                    bars += 1
                    continue
                raise lexer.error(lexer.mismatch(":", item))
        if not items:
            raise lexer.error("expected path")
        raise lexer.error(lexer.mismatch(":", NEWLINE))

    def _assign_pool(self, edge: Edge) -> None:
        name = edge.binding("pool")
        if name:
            pool = self._state.pools.get(name)
            if pool is None:
                raise self._lexer.error(f"unknown pool name '{name}'")
            edge.pool = pool

    def _connect(self, edge: Edge, sections: list[list[str]]) -> None:
        state, env = self._state, edge.env
        for raw in sections[0] + sections[1]:
            path = self._raw_path(raw, env)
            if not state.add_output(edge, path):
                raise self._lexer.error(f"multiple rules generate {path}")
        edge.implicit_outputs = len(sections[1])
        for section in sections[2:5]:
            state.add_inputs(edge, [self._raw_path(raw, env) for raw in section])
        edge.implicit_inputs = len(sections[3])
        edge.order_only = len(sections[4])
        state.add_validations(edge, [self._raw_path(raw, env) for raw in sections[5]])

    def _raw_path(self, raw: str, scope: Scope) -> str:
        if "$" not in raw:
            return canonicalize(raw)
        return self._path(self._lexer.template(raw), scope)

    def _path(self, template: Template, scope: Scope) -> str:
        path = expand(template, scope.lookup)
        if not path:
            raise self._lexer.error("empty path")
        return canonicalize(path)

    def _drop_self_reference(self, edge: Edge) -> None:
        """Forgive old CMake, which let phony targets depend on themselves."""
        if len(edge.outputs) != 1 or edge.implicit_outputs or edge.implicit_inputs:
            return
        out = edge.outputs[0]
        if out not in edge.inputs:
            return
        ordered = len(edge.inputs) - edge.order_only
        edge.order_only -= edge.inputs[ordered:].count(out)
        edge.inputs = [node for node in edge.inputs if node is not out]
        self._state.warnings.append(
            f"phony target '{out.path}' names itself as an input; ignoring [-w phonycycle=warn]"
        )

    def _bind_dyndep(self, edge: Edge) -> None:
        path = edge.binding("dyndep", quote=False)
        if not path:
            return
        node: Node = self._state.node(canonicalize(path))
        if node not in edge.inputs:
            raise self._lexer.error(f"dyndep '{node.path}' is not an input")
        edge.dyndep = node
        node.dyndep_pending = True


_NONE: Final[list[str]] = []


def _leading_number(text: str) -> int | None:
    """Return the number a text starts with, as C's atol reads it."""
    match = _DIGITS.match(text)
    return int(match[0]) if match is not None else None
