"""What there is to choose from: providers with what each lacks, model files, the day's use.

Asks nobody: only settings, variables and files of this machine are looked at.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from cyxmake_cli import config
from cyxmake_cli.llm.backend import ModelError
from cyxmake_cli.llm.budget import Budget, Limits
from cyxmake_cli.llm.keys import find_key
from cyxmake_cli.llm.models import find_model, found_models, inspect
from cyxmake_cli.llm.open import named_providers
from cyxmake_cli.llm.services import SERVICES, Service, Wire, address, is_loopback
from cyxmake_cli.settings import AiSettings


def provider_rows(
    settings: AiSettings, environ: Mapping[str, str] = os.environ
) -> list[dict[str, Any]]:
    """Return a row for each provider; raises ConfigError for settings that name none."""
    chosen = [service.name for service, _ in named_providers(settings.providers)]
    rows = []
    for service in SERVICES.values():
        place = address(service, environ.get(service.url_variable, ""))
        order = chosen.index(service.name) + 1 if service.name in chosen else 0
        rows.append({
            "name": service.name, "title": service.title, "address": place,
            "local": not place or is_loopback(place), "order": order, "key": service.key,
            "problem": _problem(service, place, environ),
        })  # fmt: skip
    return rows


def model_rows(
    settings: AiSettings, environ: Mapping[str, str] = os.environ
) -> list[dict[str, Any]]:
    """Return a row for each model file: those of the data directory, and those that are named."""
    paths = list(found_models(environ))
    for service, named in named_providers(settings.providers):
        if service.wire is Wire.LLAMA and named:
            try:
                paths.append(find_model(named, environ))
            except ModelError:
                continue  # `ai test` says what is wrong with it
    rows = []
    for path in dict.fromkeys(paths):
        row = {"file": str(path), "bytes": 0, "sha256": "", "problem": ""}
        try:
            model = inspect(path, environ)
        except ModelError as error:
            rows.append({**row, "problem": error.message})
        else:
            rows.append({**row, "bytes": model.size, "sha256": model.sha256})
    return rows


def spent_today(
    settings: AiSettings, environ: Mapping[str, str] = os.environ
) -> dict[str, int | float]:
    """Return what providers off this machine have taken today."""
    limits = Limits(read_price=settings.read_price, written_price=settings.written_price)
    budget = Budget(config.state_directory(environ), limits)
    spent = budget.spent()
    return {"requests": spent.requests, "tokens": spent.read + spent.written,
            "cost": budget.cost()}  # fmt: skip


def _problem(service: Service, place: str, environ: Mapping[str, str]) -> str:
    needed = "llama_cpp" if service.wire is Wire.LLAMA else "httpx"
    if importlib.util.find_spec(needed) is None:
        extra = "llm" if service.wire is Wire.LLAMA else "ai"
        return f'needs: pip install "cyxmake[{extra}]"'
    optional = service.choose_model or is_loopback(place)
    if service.key and not optional and not find_key(service.key, environ):
        return f"needs {service.key}"
    return ""
