"""Opens the models that the settings name; nothing is connected or loaded before it is asked.

Knows the providers by their table. A wrong name is an error; a model that cannot be reached shows
when it is asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from cyxmake_cli import config
from cyxmake_cli.llm.backend import Backend, ModelError, ModelRefused, Request
from cyxmake_cli.llm.budget import Budget, Limits
from cyxmake_cli.llm.keys import find_key
from cyxmake_cli.llm.models import checked, find_model, found_models
from cyxmake_cli.llm.redact import identity_of_machine
from cyxmake_cli.llm.services import SERVICES, Service, Wire, address
from cyxmake_cli.llm.threads import threads_for
from cyxmake_cli.llm.unusable import Unusable
from cyxmake_cli.plugins.load import Group, good, names
from cyxmake_cli.settings import AiSettings
from cyxmake_common.errors import ConfigError

if TYPE_CHECKING:
    from cyxmake_cli.llm.router import Models, Policy

OnSent = Callable[[str, Request], None]


def open_models(
    settings: AiSettings,
    environ: Mapping[str, str] = os.environ,
    *,
    on_sent: OnSent | None = None,
) -> Models | None:
    """Return the configured models; None where there are to be none, or none is here.

    Raises ConfigError.
    """
    if not settings.enabled:
        return None
    backends: list[Backend] = []
    for service, model in named_providers(settings.providers):
        try:
            opened = open_backend(service, model, settings, environ)
        except ModelError as error:  # the others can still be asked; this one says why it cannot
            opened = Unusable(f"{service.name}:{model}".rstrip(":"), error)
        if opened is not None:
            backends.append(opened)
    if not backends:
        return None
    from cyxmake_cli.llm.router import Models  # with all that checks answers, which takes a while

    return Models(backends, policy_of(settings, environ, on_sent))


def policy_of(
    settings: AiSettings, environ: Mapping[str, str], on_sent: OnSent | None = None
) -> Policy:
    """Return what holds for every question."""
    from cyxmake_cli.llm.router import Policy

    limits = Limits(
        settings.daily_tokens, settings.daily_cost, settings.read_price, settings.written_price
    )
    return Policy(
        retries=settings.retries,
        offline=settings.offline,
        identity=identity_of_machine(),
        budget=Budget(config.state_directory(environ), limits),
        on_sent=on_sent,
    )


def named_providers(text: str) -> list[tuple[Service, str]]:
    """Return service and model of each entry of `ai.providers`; raises ConfigError."""
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, model = entry.partition(":")
        service = SERVICES.get(name) or _of_plugin(name)
        if service is None:
            raise ConfigError(
                f"ai.providers: there is no provider {name!r}",
                next_step=f"known ones: {', '.join((*SERVICES, *names(Group.PROVIDER)))}",
            )
        found.append((service, model))
    return found


def _of_plugin(name: str) -> Service | None:
    if name not in names(Group.PROVIDER):
        return None
    return Service(name, Wire.PLUGIN, f"plug-in {name}")


def open_backend(
    service: Service,
    model: str,
    settings: AiSettings,
    environ: Mapping[str, str] = os.environ,
) -> Backend | None:
    """Return one model; None for `local` where no model file is here and none is named."""
    if service.wire is Wire.LLAMA:
        if not model and not found_models(environ):
            return None
        from cyxmake_cli.llm.llama_cpp import LlamaCpp

        return LlamaCpp(
            lambda: checked(find_model(model, environ), environ),
            settings.context,
            partial(_threads, settings.threads),
        )
    if service.wire is Wire.PLUGIN:
        return _open_plugin(service, model)
    from cyxmake_cli.llm.http import Endpoint, HttpClient

    if not model and not service.choose_model:
        raise ModelRefused(
            f"{service.title} needs the name of a model",
            next_step=f"write {service.name}:MODEL in ai.providers",
        )
    key = find_key(service.key, environ)
    url = address(service, environ.get(service.url_variable, ""))
    endpoint = Endpoint(service.title, url, _headers(service, key), settings.timeout, bool(key))
    if not key and service.key and not service.choose_model and not endpoint.local:
        raise ModelRefused(
            f"{service.title} needs a key",
            next_step=f"set {service.key}, or keep it with `cyxmake ai key {service.name}`",
        )
    client = HttpClient(endpoint)
    match service.wire:
        case Wire.ANTHROPIC:
            from cyxmake_cli.llm.anthropic import Anthropic

            return Anthropic(model, client)
        case Wire.GEMINI:
            from cyxmake_cli.llm.gemini import Gemini

            return Gemini(model, client)
        case _:
            from cyxmake_cli.llm.openai import OpenAi

            return OpenAi(service, model, client)


def _open_plugin(service: Service, model: str) -> Backend:
    make = good(Group.PROVIDER, SERVICES).get(service.name)
    if make is None:
        raise ModelRefused(f"{service.title} is broken", next_step="see `cyxmake plugin list`")
    try:
        opened: Backend = make(model)
        name = opened.name
    except Exception as error:  # whatever somebody else's code does
        raise ModelRefused(f"{service.title}: {type(error).__name__}: {error}") from error
    if name != f"{service.name}:{model}".rstrip(":"):
        raise ModelRefused(f"{service.title} calls its model {name!r}, not by its own name")
    return opened


def _headers(service: Service, key: str) -> dict[str, str]:
    match service.wire:
        case Wire.ANTHROPIC:
            from cyxmake_cli.llm.anthropic import VERSION

            own = {"anthropic-version": VERSION}
            return {**own, "x-api-key": key} if key else own
        case Wire.GEMINI:
            return {"x-goog-api-key": key} if key else {}
        case _:
            return {"authorization": f"Bearer {key}"} if key else {}


def _threads(wanted: int) -> int:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return threads_for(wanted, os.cpu_count() or 1, load)
