"""The providers as data: which wire format each speaks, where, and what its key is called.

Knows no connection. A new service of a known format is one row.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit


class Wire(StrEnum):
    """The form of requests and answers."""

    LLAMA = "llama.cpp, in this process"
    OPENAI = "OpenAI"
    ANTHROPIC = "Anthropic"
    GEMINI = "Gemini"
    PLUGIN = "of a plug-in"


@dataclass(frozen=True, slots=True)
class Service:
    """One provider."""

    name: str
    wire: Wire
    title: str
    url: str = ""
    url_variable: str = ""
    """The variable that names another address, as the service's own tools read it."""
    key: str = ""
    """Name of its key: a variable, or a line of the file of keys."""
    limit: str = "max_tokens"
    """What it calls the limit on an answer's length."""
    temperature: bool = True
    """Whether all its models take a temperature."""
    choose_model: bool = False
    """Without a model's name the first one that it serves is used: one person's own server."""


SERVICES: Final = {
    service.name: service
    for service in (
        Service("local", Wire.LLAMA, "a GGUF file, in this process"),
        Service("ollama", Wire.OPENAI, "Ollama", "http://127.0.0.1:11434/v1", "OLLAMA_HOST",
                choose_model=True),
        Service("llama-server", Wire.OPENAI, "llama.cpp's server", "http://127.0.0.1:8080/v1",
                "LLAMA_SERVER_URL", "LLAMA_API_KEY", choose_model=True),
        Service("lmstudio", Wire.OPENAI, "LM Studio", "http://127.0.0.1:1234/v1",
                "LMSTUDIO_URL", choose_model=True),
        Service("vllm", Wire.OPENAI, "vLLM", "http://127.0.0.1:8000/v1", "VLLM_URL",
                "VLLM_API_KEY", choose_model=True),
        Service("openai", Wire.OPENAI, "OpenAI", "https://api.openai.com/v1", "OPENAI_BASE_URL",
                "OPENAI_API_KEY", limit="max_completion_tokens", temperature=False),
        Service("openrouter", Wire.OPENAI, "OpenRouter", "https://openrouter.ai/api/v1",
                "OPENROUTER_BASE_URL", "OPENROUTER_API_KEY"),
        Service("anthropic", Wire.ANTHROPIC, "Anthropic", "https://api.anthropic.com",
                "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", temperature=False),
        Service("gemini", Wire.GEMINI, "Gemini", "https://generativelanguage.googleapis.com",
                "GEMINI_BASE_URL", "GEMINI_API_KEY"),
    )
}  # fmt: skip
"""By name, as it stands in `ai.providers`."""


def address(service: Service, named: str) -> str:
    """Return a service's address: as its variable names it, else its usual one."""
    if not named:
        return service.url
    if "//" not in named:  # OLLAMA_HOST is often a mere host and port
        named = f"http://{named}"
    named = named.rstrip("/").replace("//0.0.0.0", "//127.0.0.1")  # where a server listens
    if service.name == "ollama" and not urlsplit(named).path:
        named += "/v1"
    return named


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this machine, without asking a name server."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
