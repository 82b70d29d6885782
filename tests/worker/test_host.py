"""Facts of this machine, and the memory of what its programs said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cyxmake_common.action import ISA, OS_FAMILY
from cyxmake_common.compound import ALLOWED, NETWORK, STEPS
from cyxmake_common.errors import ConfigError
from cyxmake_common.platform import isa, os_family
from cyxmake_worker import host
from cyxmake_worker.data_dir import DEFAULT_LIMIT, DataDir, occupied
from cyxmake_worker.probe_cache import ProbeCache


def test_properties_name_system_and_processor_and_no_label_contradicts_them() -> None:
    """A label is an addition, never a lie about the machine."""
    offered = dict(
        host.offered_properties("namespace", {"ISA": "other", "gpu": "none", NETWORK: ALLOWED})
    )
    assert offered == {
        ISA: isa(),
        OS_FAMILY: os_family(),
        host.SANDBOX: "namespace",
        "gpu": "none",
        STEPS: ALLOWED,
    }


def test_a_machine_that_cannot_execute_offers_no_processor() -> None:
    """Nothing is sent to it, and people see why."""
    offered = dict(host.offered_properties("none", {"ISA": "x86-64", "rack": "a"}))
    assert offered == {host.SANDBOX: "none", "rack": "a"}


def test_the_facts_are_those_of_a_real_machine(tmp_path: Path) -> None:
    """Every figure is there, and the message takes them."""
    facts = host.worker_facts("w", 3, (), tmp_path)
    assert facts.slots == 3
    assert facts.cpu_count >= 1
    assert facts.cpu_model
    assert facts.memory_bytes > 1 << 20
    assert facts.disk_free_bytes > 0
    load = host.read_load(tmp_path)
    assert load.memory_free_bytes > 0
    assert host.disk_free_bytes(tmp_path / "none") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="programs here are shell scripts")
async def test_tools_are_asked_once_until_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions come from the programs; the second start asks nobody."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tool = tmp_path / "sometool"
    asked = tmp_path / "asked"

    def write(version: str) -> None:
        tool.write_text(f"#!/bin/sh\necho x >> {asked}\necho sometool version {version}\n")
        tool.chmod(0o755)

    write("1.2.3")
    file = tmp_path / "probes.json"
    for _ in range(2):
        cache = ProbeCache(file)
        assert await host.find_tools(cache, ("sometool", "no-such-tool")) == {"sometool": "1.2.3"}
        cache.save()
    assert asked.read_text() == "x\n"
    write("10.20.30")
    assert await host.find_tools(ProbeCache(file), ("sometool",)) == {"sometool": "10.20.30"}


@pytest.mark.skipif(sys.platform == "win32", reason="programs here are shell scripts")
async def test_a_tool_that_tells_nothing_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version is a question mark."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name, text in (("mute", "#!/bin/sh\n"), ("broken", "no program at all")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    found = await host.find_tools(ProbeCache(tmp_path / "p.json"), ("mute", "broken"))
    assert found == {"mute": "?", "broken": "?"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99, "facts": {}}', '{"format": 1}'])
def test_a_damaged_memory_is_the_same_as_none(tmp_path: Path, text: str) -> None:
    """It only costs the time to ask again."""
    file = tmp_path / "probes.json"
    file.write_text(text)
    assert ProbeCache(file).get("version", sys.executable) is None


def test_the_memory_forgets_what_is_not_used(tmp_path: Path) -> None:
    """Compilers come and go; the file does not grow for ever."""
    file = tmp_path / "probes.json"
    cache = ProbeCache(file)
    cache.put("version", sys.executable, "3")
    cache.put("version", os.path.realpath(sys.executable), "3")
    cache.save()
    again = ProbeCache(file)
    assert again.get("version", sys.executable) == "3"
    again.put("other", sys.executable, "x")
    again.save()
    third = ProbeCache(file)
    assert third.get("version", sys.executable) == "3"
    assert "1 facts" not in repr(third)
    assert len(file.read_text()) > 0


def test_a_data_directory_has_one_owner(tmp_path: Path) -> None:
    """The second one is told; after the first has gone it may have it."""
    data = DataDir(tmp_path / "data")
    data.prepare()
    with occupied(data), pytest.raises(ConfigError, match="another worker"), occupied(data):
        pass
    with occupied(data):
        assert (data.root / "worker.lock").exists()


def test_the_store_takes_no_more_than_its_share(tmp_path: Path) -> None:
    """10 GiB, or a quarter of what is free."""
    limit = DataDir(tmp_path).default_limit()
    assert 0 < limit <= DEFAULT_LIMIT


def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file stands in the way."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="data directory"):
        DataDir(tmp_path / "file" / "below").prepare()
