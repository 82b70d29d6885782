"""A line in the file that BUILD_LOG names, for the beginning and the end of each build."""

import json
import os
from pathlib import Path
from typing import Any


def happened(event: str, document: dict[str, Any]) -> None:
    if place := os.environ.get("BUILD_LOG"):
        told = {"event": event, "command": document["command"], "status": document.get("status")}
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
