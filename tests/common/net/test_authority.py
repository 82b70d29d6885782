"""The coordinator's certificates: made once, renewed in time, private keys private."""

from __future__ import annotations

import ssl
import stat
import sys
from pathlib import Path

import pytest
from cryptography import x509

from cyxmake_common import clock
from cyxmake_common.errors import CertificateMismatch, ClusterUnreachable, ConfigError
from cyxmake_common.net import tls
from cyxmake_common.net.authority import fingerprint, first_certificate
from support.net import Hub, serving

DAY = 86_400.0


def files(directory: Path) -> dict[str, bytes]:
    """Return the content of every file."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def names(directory: Path) -> set[str]:
    """Return the names of the server's certificate."""
    certificate = x509.load_pem_x509_certificate((directory / "server.pem").read_bytes())
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in held}


def test_made_once(tmp_path: Path) -> None:
    """A second start changes nothing."""
    tls.create_authority(tmp_path, ["build.example.org", "10.0.0.7"])
    before = files(tmp_path)
    assert set(before) == {"ca.pem", "ca.key", "server.pem", "server.key"}
    tls.create_authority(tmp_path, ["build.example.org", "10.0.0.7"])
    assert files(tmp_path) == before
    assert names(tmp_path) == {
        tls.SERVER_NAME, "localhost", "127.0.0.1", "::1", "build.example.org", "10.0.0.7",
    }  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_keys_are_private(tmp_path: Path) -> None:
    """Only the owner can read a key."""
    tls.create_authority(tmp_path)
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_renewed_in_time(tmp_path: Path) -> None:
    """Less than 30 days before its end the server's certificate is made anew; the CA stays."""
    now = clock.wall()
    tls.create_authority(tmp_path, now=now)
    first = files(tmp_path)
    tls.create_authority(tmp_path, now=now + 334 * DAY)
    assert files(tmp_path) == first
    tls.create_authority(tmp_path, now=now + 336 * DAY)
    second = files(tmp_path)
    assert second["ca.pem"] == first["ca.pem"]
    assert second["server.pem"] != first["server.pem"]
    assert second["server.key"] != first["server.key"]


def test_a_new_name_needs_a_new_certificate(tmp_path: Path) -> None:
    """Names are added; one that is there already costs nothing."""
    tls.create_authority(tmp_path)
    tls.create_authority(tmp_path, ["hub.local"])
    assert "hub.local" in names(tmp_path)
    before = files(tmp_path)
    tls.create_authority(tmp_path)
    assert files(tmp_path) == before


@pytest.mark.parametrize("damage", ["cut", "other key", "other authority", "gone"])
def test_damaged_server_files_are_replaced(tmp_path: Path, damage: str) -> None:
    """A crash between two files, or a lost one, heals at the next start."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    tls.create_authority(mine)
    tls.create_authority(other)
    pinned = tls.authority_fingerprint(mine)
    match damage:
        case "cut":
            (mine / "server.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\n")
        case "other key":
            (mine / "server.key").write_bytes((other / "server.key").read_bytes())
        case "other authority":
            for name in ("server.pem", "server.key"):
                (mine / name).write_bytes((other / name).read_bytes())
        case _:
            (mine / "server.key").unlink()
    tls.create_authority(mine)
    assert tls.authority_fingerprint(mine) == pinned
    tls.server_context(mine)


def test_an_authority_without_its_key(tmp_path: Path) -> None:
    """It is never replaced in silence: every token pins it."""
    tls.create_authority(tmp_path / "a")
    tls.create_authority(tmp_path / "b")
    (tmp_path / "a" / "ca.key").write_bytes((tmp_path / "b" / "ca.key").read_bytes())
    with pytest.raises(ConfigError, match="does not belong"):
        tls.create_authority(tmp_path / "a")
    (tmp_path / "a" / "ca.key").unlink()
    with pytest.raises(ConfigError) as caught:
        tls.create_authority(tmp_path / "a")
    assert "anew" in caught.value.next_step


def test_nothing_there(tmp_path: Path) -> None:
    """Using certificates that were never made is a matter of configuration."""
    with pytest.raises(ConfigError):
        tls.authority_fingerprint(tmp_path)
    with pytest.raises(ConfigError):
        tls.server_context(tmp_path)
    with pytest.raises(ValueError, match="no certificate"):
        first_certificate(b"-----BEGIN CERTIFICATE-----")


def test_only_the_first_certificate_counts(authority: Path, other_authority: Path) -> None:
    """A second one behind it changes neither the fingerprint nor what is trusted."""
    one, two = tls.authority_pem(authority), tls.authority_pem(other_authority)
    assert fingerprint(one + two) == fingerprint(one) != fingerprint(two)
    assert len(tls.client_context(one + two).get_ca_certs()) == 1


def test_contexts_are_strict(authority: Path) -> None:
    """No old TLS, no unverified server."""
    client, server = tls.client_context(tls.authority_pem(authority)), tls.server_context(authority)
    assert client.verify_mode is ssl.CERT_REQUIRED
    assert client.check_hostname
    assert min(client.minimum_version, server.minimum_version) >= ssl.TLSVersion.TLSv1_2


async def test_fetching(authority: Path, tmp_path: Path) -> None:
    """The authority comes from the coordinator once; a broken cache is no obstacle."""
    pinned = tls.authority_fingerprint(authority)
    async with serving(Hub(authority)) as hub:
        address = hub.token().address
        assert fingerprint(await tls.fetch_authority(address, pinned, None)) == pinned
        blocked = tmp_path / "file"
        blocked.write_text("not a directory")
        assert await tls.fetch_authority(address, pinned, blocked / "cache")
        cache = tmp_path / "cache"
        await tls.fetch_authority(address, pinned, cache)
    assert fingerprint(await tls.fetch_authority(address, pinned, cache)) == pinned
    with pytest.raises(ClusterUnreachable):
        await tls.fetch_authority(address, pinned, None)


async def test_a_coordinator_without_a_page(authority: Path) -> None:
    """Neither a 404 nor a huge page is taken for an authority."""
    pinned = tls.authority_fingerprint(authority)
    async with serving(Hub(authority, authority_pem=b"x" * 1_000_000)) as hub:
        with pytest.raises(CertificateMismatch):
            await tls.fetch_authority(hub.token().address, pinned, None)
