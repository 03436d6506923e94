"""A small private certificate authority for networks that have none: who connects to a broker can tell it from others.

A real network may use any authority: a broker takes the files that it is given (RFC 5280).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chassis.private import write_private

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 825
"""The longest that common clients accept (https://support.apple.com/103769)."""

RENEW_DAYS = 30
_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows, and what its clients trust.

    Attributes:
        authority: PEM file of the authority's certificate.
        certificate: PEM file of the server's certificate.
        key: PEM file of its key, readable by its owner only.
    """

    authority: Path
    certificate: Path
    key: Path


class Authority:
    """The authority of one folder; made where missing."""

    def __init__(self, folder: Path) -> None:
        """Read it, or make it.

        Args:
            folder: Becomes readable by its owner only.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self.certificate = folder / "ca.pem"
        key = folder / "ca.key"
        if not key.exists():
            self._make(key)
        self._key = _read_key(key)
        self._issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes())

    def server(self, name: str, hosts: Sequence[str]) -> Certificate:
        """The certificate of a server; made anew where it is missing or no longer good.

        It is good while it lasts, is for these hosts and this key, and was signed by this authority.

        Args:
            name: Name of its files.
            hosts: Names and addresses under which its clients know it.
        """
        files = Certificate(self.certificate, self._folder / f"{name}.pem", self._folder / f"{name}.key")
        if not self._is_good(files, hosts):
            key = ec.generate_private_key(ec.SECP256R1())
            write_private(files.key, _pem(key))
            files.certificate.write_bytes(self._signed(key, hosts).public_bytes(Encoding.PEM))
        return files

    def _make(self, file: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Viisikko network authority")])
        certificate = (
            _certificate(name, name, key, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        write_private(file, _pem(key))

    def _signed(self, key: ec.EllipticCurvePrivateKey, hosts: Sequence[str]) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        issuer = self._issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            _certificate(name, self._issuer.subject, key, CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )

    def _is_good(self, files: Certificate, hosts: Sequence[str]) -> bool:
        if not (files.certificate.exists() and files.key.exists()):
            return False
        found = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        lasts = found.not_valid_after_utc - datetime.now(UTC) > timedelta(days=RENEW_DAYS)
        named = list(names) == [_host(host) for host in hosts]
        return lasts and named and self._has_signed(found) and found.public_key() == _read_key(files.key).public_key()

    def _has_signed(self, found: x509.Certificate) -> bool:
        try:
            # An authority that was made anew has the same name and another key.
            found.verify_directly_issued_by(self._issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _read_key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{file} must hold a key on an elliptic curve: remove the folder, and it is made anew")  # noqa: TRY004 - a file's content is wrong, no type
    return key
