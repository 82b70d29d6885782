"""Layers made of real packages by the real apt and dpkg-deb, without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cyxmake_cli.layers.model import Layer, LayerError
from cyxmake_cli.layers.record import LayerRecord
from cyxmake_cli.layers.store import LayerStore
from cyxmake_cli.layers.use import ProjectLayers
from cyxmake_common.errors import UsageError

from .archive import Archive

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "dpkg-deb"))), reason="needs apt"
)

_PC = "prefix=/usr\nincludedir=${prefix}/include\nName: t\nDescription: t\nVersion: 1\n"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive with a library, its headers, and a program that needs nothing."""
    made = Archive.make(tmp_path / "archive")
    made.add("libt1", {"lib/x86_64-linux-gnu/libt.so.1": b"\x7fELF no library"})
    made.add(
        "libt-dev",
        {
            "usr/include/t.h": "int t(void);\n",
            "usr/lib/x86_64-linux-gnu/libt.so": "->/lib/x86_64-linux-gnu/libt.so.1",
            "usr/lib/x86_64-linux-gnu/libc.so": "->/etc/os-release",
            "usr/lib/x86_64-linux-gnu/pkgconfig/t.pc": _PC,
            "usr/bin/t-config": b"#!/bin/sh\necho -I/usr/include/t.h -I/usr/include/other.h\n",
        },
        depends="libt1 (= 1.0-1)",
    )
    made.publish()
    monkeypatch.setenv("APT_CONFIG", str(made.config))
    return made


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    """An empty store."""
    return LayerStore(tmp_path / "cache" / "layers")


def _names(layer: Layer) -> list[str]:
    return [package.name for package in layer.plan.packages]


def _left(store: LayerStore) -> list[str]:
    return [entry.name for entry in store.directory.iterdir() if entry.name != ".fetched"]


def test_a_layer_holds_what_was_asked_for_and_what_that_needs(
    archive: Archive, store: LayerStore
) -> None:
    """Links and texts lead to the layer's own files where it has them, else to the system's."""
    layer = store.obtain("apt", ["libt-dev"])
    assert _names(layer) == ["libt-dev", "libt1"]
    libraries = layer.root / "usr/lib/x86_64-linux-gnu"
    assert (libraries / "libt.so").resolve() == libraries / "libt.so.1"
    assert (libraries / "libc.so").readlink() == Path("/etc/os-release")
    assert layer.layout.include == ("usr/include",)
    assert layer.layout.libraries == ("usr/lib/x86_64-linux-gnu",)
    text = subprocess.run(
        [layer.root / "usr/bin/t-config"], check=True, capture_output=True, text=True
    ).stdout
    assert text == f"-I{layer.root}/usr/include/t.h -I/usr/include/other.h\n"
    pc = (libraries / "pkgconfig/t.pc").read_text()
    assert pc.startswith(f"prefix={layer.root}/usr\nincludedir=${{prefix}}/include\n")
    assert store.obtain("apt", ["libt-dev"]).root == layer.root


def test_a_package_that_is_not_the_archives_is_never_unpacked(
    archive: Archive, store: LayerStore
) -> None:
    """Neither apt nor we take a file whose hash is another, and nothing is left behind."""
    plan = store.plan("apt", ["libt-dev"])
    deb = archive.file("libt1")
    deb.write_bytes(deb.read_bytes() + b"x")
    with pytest.raises(LayerError):
        store.make(plan)
    archive.publish()  # now apt finds it right, and only the plan knows better
    with pytest.raises(LayerError, match="not what its archive names"):
        store.make(plan)
    assert _left(store) == []


def test_a_full_disk_leaves_nothing(
    archive: Archive, store: LayerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be unpacked whole is not there at all."""
    plan = store.plan("apt", ["libt-dev"])
    tools = archive.directory.parent / "tools"
    tools.mkdir()
    full = tools / "dpkg-deb"
    full.write_text("#!/bin/sh\n/usr/bin/dpkg-deb \"$@\"\necho 'No space left' >&2\nexit 2\n")
    full.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(LayerError, match="cannot be unpacked: No space left"):
        store.make(plan)
    assert store.get(plan) is None
    assert _left(store) == []


def test_only_packages_of_the_system_can_be_layers(archive: Archive, store: LayerStore) -> None:
    """Other managers, names that no archive has and names that are none are refused, with why."""
    with pytest.raises(UsageError, match="packages of npm cannot be layers"):
        store.plan("npm", ["left-pad"])
    with pytest.raises(UsageError, match="is no name of a package"):
        store.plan("apt", ["--allow-unauthenticated"])
    with pytest.raises(LayerError, match="knows no package no-such-thing"):
        store.plan("apt", ["no-such-thing"])


def test_what_is_recorded_is_made_again_from_the_record_alone(
    archive: Archive, store: LayerStore, tmp_path: Path
) -> None:
    """A clone gets the same packages, and taking the record back leaves the project as it was."""
    record = LayerRecord(tmp_path / "project")
    (tmp_path / "project").mkdir()
    plan = store.plan("apt", ["libt-dev"])
    before = record.snapshot()
    record.add(plan)
    assert record.read() == (plan,)
    assert "!layers.toml" in (record.path.parent / ".gitignore").read_text().splitlines()
    assert store.make(record.read()[0]).digest == plan.digest
    assert record.remove(["libt-dev"]) == (plan,)
    assert record.snapshot() == before


def test_dropping_a_layer(archive: Archive, store: LayerStore) -> None:
    """A dropped layer is gone as a whole, and is made anew when it is wanted."""
    layer = store.obtain("apt", ["libt-dev"])
    assert [each.digest for each, _, _ in store.all()] == [layer.digest]
    assert store.drop(layer.digest)
    assert _left(store) == []
    assert not store.drop(layer.digest)
    assert store.obtain("apt", ["libt-dev"]).root.is_dir()


def test_a_clone_gets_what_was_installed_where_the_layer_was_recorded(
    archive: Archive, store: LayerStore, tmp_path: Path
) -> None:
    """Beside the recorded packages it has those that only its own machine lacks, each time."""
    archive.add("libu-dev", {"usr/include/u.h": "\n"}, depends="libt-dev")
    archive.publish()
    plan = store.plan("apt", ["libu-dev"])
    assert [package.name for package in plan.packages] == ["libt-dev", "libt1", "libu-dev"]
    recorded = replace(plan, packages=tuple(p for p in plan.packages if p.name == "libu-dev"))
    (tmp_path / "clone").mkdir()
    LayerRecord(tmp_path / "clone").add(recorded)
    project = ProjectLayers(tmp_path / "clone", store)
    for layers in (project.ready(), project.ready()):
        assert [_names(layer) for layer in layers] == [["libt-dev", "libt1", "libu-dev"]]
    assert project.record.read() == (recorded,)


def test_the_layers_of_a_project_stand_in_one_place(
    archive: Archive, store: LayerStore, tmp_path: Path
) -> None:
    """Each is recorded for itself, and one can be taken out without asking any archive."""
    archive.add("tool", {"usr/bin/tool": b"#!/bin/sh\n", "usr/share/tool/data": "x"})
    archive.publish()
    (tmp_path / "project").mkdir()
    project = ProjectLayers(tmp_path / "project", store)
    project.obtain("apt", ["tool"])
    (first,) = project.ready()
    both = project.obtain("apt", ["libt-dev"])
    assert project.ready() == (both,)
    assert {"usr/bin", "usr/include"} <= {*both.layout.programs, *both.layout.include}
    shutil.rmtree(archive.directory)  # from here on there is nothing to fetch from
    store.drop(first.digest)
    project.record.remove(["libt-dev"])
    assert project.ready() == (first,)
