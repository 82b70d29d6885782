"""`cyxmake ai`: which language models there are, whether they work, and why a build failed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cyxmake_cli.commands.options import Common, let_write_settings, tell_sent, with_options
from cyxmake_common.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.building.screen import Screen
    from cyxmake_cli.llm.backend import Backend
    from cyxmake_cli.llm.router import Models
    from cyxmake_cli.settings import AiSettings

_SHOW_SENT = click.option(
    "--show-sent", "shown", is_flag=True, help="Show everything that leaves this machine."
)


@click.group("ai", epilog="Examples: cyxmake ai list   |   cyxmake ai explain last")
def command() -> None:
    """Show, choose and ask language models: none is needed, and none acts.

    A GGUF file runs in this process; servers of yours and clouds are asked only where
    `ai.providers` names them (docs/MODELS.md).
    """


@command.command("list", epilog="Example: cyxmake ai list --json")
@with_options("directory", "as_json")
def list_(common: Common) -> ExitStatus:
    """Show the providers, what each needs, the model files here, and what today has taken."""
    from cyxmake_cli.llm.listing import model_rows, provider_rows, spent_today

    settings = _settings(common)
    screen = common.screen()
    providers, spent = provider_rows(settings), spent_today(settings)
    models = model_rows(settings)
    for row in providers:
        marks = [f"asked as number {row['order']}"] if row["order"] else []
        marks += [row["problem"]] if row["problem"] else []
        notes = f"  ({'; '.join(marks)})" if marks else ""
        _say(common, screen, f"{row['name']:<13} {row['address'] or row['title']}{notes}")
    for model in models:
        size = f"{model['bytes'] / 1e6:.0f} MB"
        what = model["problem"] or f"{size}, SHA-256 {model['sha256']}"
        _say(common, screen, f"{model['file']}: {what}")
    if not models:
        _say(common, screen, "no model file is here: `cyxmake ai load FILE.gguf`")
    limit = f" of {settings.daily_tokens}" if settings.daily_tokens else ""
    _say(common, screen, f"today off this machine: {spent['requests']} questions, "
                         f"{spent['tokens']}{limit} tokens")  # fmt: skip
    screen.document({"version": 1, "command": "ai list", "enabled": settings.enabled,
                     "providers": providers, "models": models, "today": spent})  # fmt: skip
    return ExitStatus.OK


@command.command("use", epilog="Examples: cyxmake ai use local   |   ai use ollama local")
@with_options("as_json")
@click.argument("providers", nargs=-1, required=True)
def use(common: Common, providers: tuple[str, ...]) -> ExitStatus:
    """Have PROVIDERS asked, in this order: local, ollama:NAME, anthropic:NAME, ...

    Written into your own settings, as `ai.providers`.
    """
    from cyxmake_cli.llm.open import named_providers
    from cyxmake_cli.llm.services import is_loopback

    chosen = ",".join(part.strip(",") for part in providers)
    named = named_providers(chosen)
    if not named:
        raise UsageError("no provider is named", next_step="see `cyxmake ai list`")
    path = _write_providers(chosen)
    screen = common.screen()
    away = [s.title for s, _ in named if s.url and not is_loopback(s.url)]
    _say(common, screen, f"ai.providers = {chosen} in {path}")
    if away:
        _say(common, screen, f"{', '.join(away)}: reduced logs go there, without secrets and "
                             "names; ai.show_sent shows them")  # fmt: skip
    screen.document({"version": 1, "command": "ai use", "providers": chosen, "away": away})
    return ExitStatus.OK


@command.command("key", epilog="Example: cyxmake ai key anthropic < key.txt")
@click.argument("provider")
@click.option("--forget", is_flag=True, help="Forget the key instead.")
def key(provider: str, forget: bool) -> None:
    """Keep the key of PROVIDER in a file that only you can read.

    It is asked for, or read from stdin. A variable of the environment wins over it.
    """
    from cyxmake_cli.llm.keys import keep_key, key_file
    from cyxmake_cli.llm.services import SERVICES

    service = SERVICES.get(provider)
    if service is None or not service.key:
        known = ", ".join(name for name, one in SERVICES.items() if one.key)
        raise UsageError(f"{provider} has no key", next_step=f"one of: {known}")
    value = ""
    if not forget:
        terminal = sys.stdin.isatty()
        value = click.prompt(service.key, hide_input=True) if terminal else sys.stdin.readline()
        value = value.strip()
        if not value or not value.isprintable() or " " in value:
            raise UsageError("that is no key", next_step="give one line that holds it alone")
    let_write_settings(f"{'forget' if forget else 'keep'} {service.key}", key_file())
    path = keep_key(service.key, value)
    click.echo(f"{service.key} {'forgotten' if forget else 'kept'} in {path}")


@command.command("load", epilog="Example: cyxmake ai load ~/models/model.gguf")
@with_options("as_json")
@click.argument("file", type=click.Path(path_type=Path))
def load(common: Common, file: Path) -> ExitStatus:
    """Try a GGUF file, remember its SHA-256, and have it asked first.

    A file whose content changes after that is not run.
    """
    from cyxmake_cli.llm.backend import ModelError
    from cyxmake_cli.llm.models import inspect, pin, unpin
    from cyxmake_cli.llm.open import named_providers, open_backend

    model = inspect(file.expanduser().absolute())
    settings = _settings(common)
    first = f"local:{model.path}"
    if "," in first:
        raise UsageError(f"{model.path}: no comma may stand in it", next_step="rename the file")
    backend = open_backend(*named_providers(first)[0], settings)
    assert backend is not None
    pin(model)
    try:
        seconds = _tried(backend)
    except ModelError:
        unpin(model.path)
        raise
    others = [entry for entry in _entries(settings) if not entry.startswith("local")]
    _write_providers(",".join([first, *others]))
    screen = common.screen()
    _say(common, screen, f"{model.name}: {model.size / 1e6:.0f} MB, SHA-256 {model.sha256}")
    _say(common, screen, f"answers after {seconds:.1f} s; asked first from now on")
    screen.document({"version": 1, "command": "ai load", "file": str(model.path),
                     "bytes": model.size, "sha256": model.sha256, "seconds": seconds})  # fmt: skip
    return ExitStatus.OK


@command.command("unload", epilog="Example: cyxmake ai unload")
@with_options("as_json")
def unload(common: Common) -> ExitStatus:
    """Ask no model file that was loaded by name any longer; the file itself stays."""
    from cyxmake_cli.llm.models import unpin

    entries = _entries(_settings(common))
    gone = [entry for entry in entries if entry.startswith("local:")]
    for entry in gone:
        unpin(Path(entry.removeprefix("local:")))
    if gone:
        _write_providers(",".join(entry for entry in entries if entry not in gone))
    screen = common.screen()
    _say(common, screen, f"no longer asked: {', '.join(gone)}" if gone else "none was loaded")
    screen.document({"version": 1, "command": "ai unload", "unloaded": gone})
    return ExitStatus.OK


@command.command("test", epilog="Examples: cyxmake ai test   |   cyxmake ai test ollama --json")
@with_options("directory", "as_json")
@click.argument("provider", required=False)
@_SHOW_SENT
def test(common: Common, provider: str | None, shown: bool) -> ExitStatus:
    """Ask every configured model, or PROVIDER, one small question.

    The status is 1 when one of them does not answer.
    """
    from dataclasses import replace

    from cyxmake_cli.llm.open import open_models
    from cyxmake_cli.llm.router import Models

    settings = _settings(common)
    screen = common.screen()
    if provider:
        settings = replace(settings, providers=provider, enabled=True)
    models = open_models(settings, on_sent=tell_sent if shown or settings.show_sent else None)
    rows = []
    for backend in models.backends if models else ():
        assert models is not None
        row = _test_row(backend, Models([backend], models.policy))
        rows.append(row)
        _say(common, screen, f"{'good' if row['good'] else 'BAD '} {row['name']}: {row['detail']}")
        if row["fix"]:
            _say(common, screen, f"     next: {row['fix']}")
    if models:
        models.close()
    else:
        _say(common, screen, "no model is configured; everything works without: `cyxmake ai list`")
    screen.document({"version": 1, "command": "ai test", "models": rows})
    good = all(row["good"] for row in rows)
    return ExitStatus.OK if good else ExitStatus.BUILD_FAILED


@command.command("explain", epilog="Examples: cyxmake ai explain   |   ai explain build.log")
@with_options("directory", "dry_run", "as_json", "no_ai")
@click.argument("log", default="last")
@_SHOW_SENT
def explain(common: Common, log: str, shown: bool) -> ExitStatus:
    """Say why a build failed: the last one here, or that of the file LOG (`-` is stdin).

    The rules speak first; a model, where one is configured, adds words, and a suggestion where the
    rules are silent. --dry-run shows what would be sent, and sends nothing.
    """
    from cyxmake_cli.explain_failure import Telling, explain_failure, read_failure

    settings = _settings(common)
    screen = common.screen()
    failure = read_failure(log, common.directory.absolute())
    telling = Telling(
        say=lambda text: _say(common, screen, text),
        on_sent=tell_sent if shown or settings.show_sent else None,
        dry_run=common.dry_run,
    )
    document = explain_failure(failure, settings, telling)
    screen.document({"version": 1, "command": "ai explain", **document})
    return ExitStatus.OK if document["causes"] else ExitStatus.BUILD_FAILED


def _settings(common: Common) -> AiSettings:
    from cyxmake_cli.settings import load

    flags = {"ai.enabled": False if common.no_ai else None}
    return load(common.directory, flags=flags).settings.ai


def _entries(settings: AiSettings) -> list[str]:
    return [entry for part in settings.providers.split(",") if (entry := part.strip())]


def _write_providers(text: str) -> Path:
    from cyxmake_cli.settings import user_settings
    from cyxmake_cli.settings_file import write

    path = user_settings()
    let_write_settings(f"set ai.providers in {path}", path)
    write(path, "ai.providers", text)
    return path


def _say(common: Common, screen: Screen, text: str) -> None:
    if not common.as_json:
        screen.say(text)


def _tried(backend: Backend) -> float:
    """Ask a model something small; returns the seconds it took. Raises ModelError."""
    from cyxmake_cli.llm.backend import Request, text_messages

    begun = time.monotonic()
    try:
        backend.complete(Request(text_messages("You answer briefly.", "Say yes."), max_tokens=4))
    finally:
        backend.close()
    return time.monotonic() - begun


def _test_row(backend: Backend, models: Models) -> dict[str, Any]:
    from cyxmake_cli.llm.backend import ModelError, text_messages

    begun = time.monotonic()
    health = backend.health()
    row: dict[str, Any] = {"name": backend.name, "local": backend.capabilities.local,
                           "good": health.good, "detail": health.detail, "fix": health.fix,
                           "seconds": None}  # fmt: skip
    if not health.good:
        return row
    question = text_messages("You answer with one word.", "Is water wet?")
    try:
        label = models.choose(question, ("yes", "no")).label
    except ModelError as error:
        return {**row, "good": False, "detail": error.message, "fix": error.next_step}
    seconds = time.monotonic() - begun
    return {**row, "seconds": seconds,
            "detail": f"{health.detail}; says {label!r} after {seconds:.1f} s"}  # fmt: skip
