"""A coordinator's own certificate authority and the server certificate that it signs.

Knows nothing of connections. `cryptography` is imported inside the functions: only a coordinator
makes certificates, and the import is slow.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyxmake_common import clock
from cyxmake_common.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, GeneralName, KeyUsage, Name

SERVER_NAME: Final = "coordinator.cyxmake"
"""The name callers verify; fixed, so that a coordinator may move to another host."""

CA_FILE: Final = "ca.pem"
_CA_KEY: Final = "ca.key"
_SERVER_FILE: Final = "server.pem"
_SERVER_KEY: Final = "server.key"
_CA_LIFE: Final = timedelta(days=3653)
_SERVER_LIFE: Final = timedelta(days=365)
_RENEW_BEFORE: Final = timedelta(days=30)
_SKEW: Final = timedelta(hours=1)  # machines of a team do not agree on the time
_ALWAYS: Final = (SERVER_NAME, "localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class _Issuer:
    certificate: Certificate
    key: EllipticCurvePrivateKey


def create_authority(
    directory: Path, host_names: Sequence[str] = (), *, now: float | None = None
) -> None:
    """Make the authority and the server certificate where they are missing or about to expire.

    Meant to be called at every start. An existing authority is never replaced: tokens pin it.
    Raises ConfigError.
    """
    moment = datetime.fromtimestamp(clock.wall() if now is None else now, UTC)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / CA_FILE).exists():
            _make_authority(directory, moment)
        issuer = _load_authority(directory)
        names = tuple(dict.fromkeys((*_ALWAYS, *host_names)))
        if not _serves(directory, issuer, names, moment):
            _make_server(directory, issuer, names, moment)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot set up certificates in {directory}: {error}",
            next_step="check the permissions of the directory, or move it away and start again"
            " (every join token must then be issued anew)",
        ) from error


def authority_pem(directory: Path) -> bytes:
    """Return the authority's certificate; it is public."""
    try:
        return (directory / CA_FILE).read_bytes()
    except OSError as error:
        raise ConfigError(f"no certificate authority in {directory}: {error}") from error


def authority_fingerprint(directory: Path) -> str:
    """Return the SHA-256 that join tokens pin."""
    return fingerprint(authority_pem(directory))


def server_files(directory: Path) -> tuple[Path, Path]:
    """Return the paths of the server's certificate and key."""
    return directory / _SERVER_FILE, directory / _SERVER_KEY


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of the first certificate in a PEM text, in hex; raises ValueError."""
    return hashlib.sha256(first_certificate(pem)).hexdigest()


def first_certificate(pem: bytes) -> bytes:
    """Return the DER form of the first certificate in a PEM text; raises ValueError."""
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    start = pem.find(begin)
    stop = pem.find(end, start)
    if start < 0 or stop < 0:
        raise ValueError("no certificate in the text")
    return ssl.PEM_cert_to_DER_cert(pem[start : stop + len(end)].decode("ascii"))


# ── making ──────────────────────────────────────────────────────────────────────────────────────


def _make_authority(directory: Path, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("CyxMake certificate authority")
    usage = _key_usage(signs_certificates=True)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The key first: an authority without its key could never be used or replaced.
    _write_private(directory / _CA_KEY, _key_pem(key))
    _write(directory / CA_FILE, _certificate_pem(certificate))


def _make_server(directory: Path, issuer: _Issuer, names: Sequence[str], now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    public, issuer_public = key.public_key(), issuer.key.public_key()
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public)
    until = min(now + _SERVER_LIFE, issuer.certificate.not_valid_after_utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(SERVER_NAME))
        .issuer_name(issuer.certificate.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(issuer.key, hashes.SHA256())
    )
    _write_private(directory / _SERVER_KEY, _key_pem(key))
    _write(directory / _SERVER_FILE, _certificate_pem(certificate))


def _load_authority(directory: Path) -> _Issuer:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate = x509.load_pem_x509_certificate((directory / CA_FILE).read_bytes())
    key = load_pem_private_key((directory / _CA_KEY).read_bytes(), password=None)
    if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("ca.key does not belong to ca.pem")
    return _Issuer(certificate, key)


def _serves(directory: Path, issuer: _Issuer, names: Sequence[str], now: datetime) -> bool:
    """Return whether the server certificate there can go on being used."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    certificate_file, key_file = server_files(directory)
    if not certificate_file.exists() or not key_file.exists():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        certificate.verify_directly_issued_by(issuer.certificate)
        # Loading both together is what finds a crash between the writing of the two files.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_file, key_file)
    except (ValueError, InvalidSignature, ssl.SSLError):
        return False
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    enough = set(held) >= {_general_name(name) for name in names}
    return enough and certificate.not_valid_after_utc - now > _RENEW_BEFORE


def _name(text: str) -> Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _general_name(text: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_usage(*, signs_certificates: bool) -> KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate_pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(data)
    temporary.replace(path)


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that never exists with wider permissions than its owner's."""
    temporary = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)
