"""Reads dyndep files and adds what they say to the graph.

Knows nothing of when a dyndep file is ready; the caller passes its text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cyxmake_cli.ninja.errors import GraphError
from cyxmake_cli.ninja.graph import Edge, Node, State
from cyxmake_cli.ninja.lexer import EOF, NEWLINE, PUNCTUATION, WORD, Lexer, shown
from cyxmake_cli.ninja.paths import canonicalize, decode
from cyxmake_cli.ninja.scope import Scope, Template, expand


@dataclass(slots=True)
class Dyndeps:
    """What a dyndep file adds to one edge."""

    restat: bool = False
    inputs: list[Node] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)


def load_dyndep(state: State, node: Node, content: bytes) -> dict[Edge, Dyndeps]:
    """Add a dyndep file's facts to every edge bound to it; raises ManifestError, GraphError."""
    node.dyndep_pending = False
    found = _Parser(state, Lexer(node.path, decode(content))).parse()
    unused = set(found)
    for edge in node.out_edges.copy():
        if edge.dyndep is not node:
            continue
        dyndeps = found.get(edge)
        if dyndeps is None:
            raise GraphError(
                f"'{edge.outputs[0].path}' not mentioned in its dyndep file '{node.path}'"
            )
        if edge in unused:
            unused.discard(edge)
            _extend(edge, dyndeps)
    for edge in unused:
        raise GraphError(
            f"dyndep file '{node.path}' mentions output '{edge.outputs[0].path}' "
            "whose build statement does not have a dyndep binding for the file"
        )
    return found


def _extend(edge: Edge, dyndeps: Dyndeps) -> None:
    if dyndeps.restat:
        edge.env.bindings["restat"] = "1"
    for node in dyndeps.outputs:
        if node.in_edge is not None:
            raise GraphError(f"multiple rules generate {node.path}")
        node.in_edge = edge
        edge.outputs.append(node)
    edge.implicit_outputs += len(dyndeps.outputs)
    edge.insert_implicit(dyndeps.inputs)


class _Parser:
    def __init__(self, state: State, lexer: Lexer) -> None:
        self._state = state
        self._lexer = lexer
        self._scope = Scope()
        self._found: dict[Edge, Dyndeps] = {}

    def parse(self) -> dict[Edge, Dyndeps]:
        lexer = self._lexer
        versioned = False
        while (kind := lexer.token()) != EOF:
            if kind == NEWLINE:
                continue
            if kind == "build" and versioned:
                self._build()
            elif kind == WORD and not versioned:
                self._version()
                versioned = True
            elif kind in ("build", WORD):
                raise lexer.error(
                    "unexpected identifier"
                    if versioned
                    else "expected 'ninja_dyndep_version = ...'"
                )
            else:
                raise lexer.error(f"unexpected {shown(kind)}")
        if not versioned:
            raise lexer.error("expected 'ninja_dyndep_version = ...'")
        return self._found

    def _version(self) -> None:
        self._lexer.unread()
        name, template = self._lexer.let()
        if name != "ninja_dyndep_version":
            raise self._lexer.error("expected 'ninja_dyndep_version = ...'")
        value = self._expand(template)
        if value.split(".")[:2] not in (["1"], ["1", "0"]):
            raise self._lexer.error(f"unsupported 'ninja_dyndep_version = {value}'")

    def _build(self) -> None:
        lexer = self._lexer
        items = lexer.items()
        start = lexer.token_start
        if ":" not in items:
            raise lexer.error(lexer.mismatch(":", NEWLINE))
        colon = items.index(":")
        left, right = items[:colon], items[colon + 1 :]
        dyndeps = self._edge(left)
        if right[:1] != ["dyndep"]:
            raise lexer.error("expected build command name 'dyndep'")
        inputs = self._implicit(right[1:], "explicit inputs not supported")
        outputs = self._implicit(left[1:], "explicit outputs not supported")
        binding = lexer.indented_let()
        if binding is not None:
            if binding[0] != "restat":
                raise lexer.error("binding is not 'restat'")
            dyndeps.restat = self._expand(binding[1]) != ""
        lexer.token_start = start
        dyndeps.inputs = [self._state.node(path) for path in inputs]
        dyndeps.outputs = [self._state.node(path) for path in outputs]

    def _edge(self, left: list[str]) -> Dyndeps:
        if not left or left[0] in PUNCTUATION:
            raise self._lexer.error("expected path")
        path = self._path(left[0])
        node = self._state.paths.get(path)
        if node is None or node.in_edge is None:
            raise self._lexer.error(f"no build statement exists for '{path}'")
        if node.in_edge in self._found:
            raise self._lexer.error(f"multiple statements for '{path}'")
        dyndeps = self._found[node.in_edge] = Dyndeps()
        return dyndeps

    def _implicit(self, items: list[str], complaint: str) -> list[str]:
        if not items:
            return []
        if items[0] not in PUNCTUATION:
            raise self._lexer.error(complaint)
        if "||" in items:
            raise self._lexer.error("order-only inputs not supported")
        if items[0] != "|" or PUNCTUATION.intersection(items[1:]):
            raise self._lexer.error(self._lexer.mismatch(NEWLINE, items[0]))
        return [self._path(item) for item in items[1:]]

    def _path(self, raw: str) -> str:
        path = self._expand(self._lexer.template(raw))
        if not path:
            raise self._lexer.error("empty path")
        return canonicalize(path)

    def _expand(self, template: Template) -> str:
        return expand(template, self._scope.lookup)
