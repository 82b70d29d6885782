"""Reduced keys, path tokens and manifests."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.cache.key import KeyInputs, expand, manifest, pack_paths, tokenise, unpack_paths
from cyxmake_common.digest import Digest

ONE, TWO = Digest.of(b"1"), Digest.of(b"2")
INPUTS = KeyInputs(
    ONE, ("gcc", "-c", "a.c"), (("LANG", "C"),), "{root}/build", TWO, (("ISA", "x"),)
)
paths = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    "change",
    [
        {"toolchain": TWO},
        {"arguments": ("gcc", "-c", "b.c")},
        {"arguments": ("gcc", "-c a.c")},
        {"environment": ()},
        {"directory": "{root}"},
        {"source": ONE},
        {"platform": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_input_changes_the_key(change: dict[str, object]) -> None:
    """No two different inputs share a key."""
    assert dataclasses.replace(INPUTS, **change).key() != INPUTS.key()  # type: ignore[arg-type]


def test_order_of_environment_does_not_change_the_key() -> None:
    """An environment is a set of variables."""
    ab, ba = (("A", "1"), ("B", "2")), (("B", "2"), ("A", "1"))
    one = dataclasses.replace(INPUTS, environment=ab)
    assert one.key() == dataclasses.replace(INPUTS, environment=ba).key()


@given(paths, paths)
def test_tokens_are_undone(root: str, rest: str) -> None:
    """Expanding a tokenised path gives the path back."""
    root = "/" + root.strip("/")
    for path in (root, f"{root}/{rest}", f"/elsewhere/{rest}"):
        assert expand(tokenise(path, root), root) == path


def test_a_sibling_with_the_same_prefix_is_not_inside_the_root() -> None:
    """Only whole path segments count."""
    assert tokenise("/home/proj2/a.c", "/home/proj") == "/home/proj2/a.c"


@given(st.lists(paths))
def test_packed_paths_are_undone(names: list[str]) -> None:
    """Packing loses nothing."""
    assert unpack_paths(pack_paths(names)) == tuple(names)


@pytest.mark.parametrize("packed", [b"x", pack_paths(["a"] * 9)[:-5]])
def test_bytes_that_are_no_packed_paths_are_refused(packed: bytes) -> None:
    """Garbage and cut-off bytes raise ValueError."""
    with pytest.raises(ValueError, match="packed list of paths"):
        unpack_paths(packed)


def test_manifest_names_each_path_with_its_digest_in_order() -> None:
    """The text is canonical."""
    text = manifest([("b", TWO), ("a", ONE)])
    assert text == f"a\0{ONE}\nb\0{TWO}\n".encode()
