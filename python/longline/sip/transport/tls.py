"""TLS for SIP (RFC 3261 §26.3): our certificate, whom we trust, and whose a certificate is (RFC 5922).

The files are read again when they change, so that a certificate can be renewed without a restart: connections that
stand keep theirs, new ones get the new one; files that do not fit together leave everything as it was. Leaves out: OCSP
and revocation lists, SIP's own extended key usage (RFC 5924).
"""

import ssl
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from longline.base.errors import ConfigError
from longline.base.tls import client_context
from longline.sip.locate import address_of

HANDSHAKE_TIMEOUT_S = 5.0
"""From the connection to the end of the handshake; counter `sip.tls_handshake_failed`."""
MAX_NAMES = 128
"""Names of one certificate that are looked at."""

Clients = Literal["any", "optional", "required"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """PEM files. `key` may be left out when it is in the certificate's file.

    `clients` says whether who connects to us must show a certificate: `any` asks for none, `optional` checks one that
    is shown, `required` lets in nobody without; `client_ca_files` are the authorities for that. `ca_files` are further
    authorities for the servers that we connect to, beside the system's. `wildcards` lets `*.example.com` stand for one
    label, which RFC 5922 §7.2 forbids and some carriers need."""

    certificate: Path | None = None
    key: Path | None = None
    ca_files: Sequence[Path] = ()
    clients: Clients = "any"
    client_ca_files: Sequence[Path] = ()
    wildcards: bool = False


class TlsContexts:
    """`server` is None without a certificate: then nobody can connect to us by TLS, and we show none."""

    def __init__(self, settings: TlsSettings, counters: Counter[str]) -> None:
        """Raises ConfigError for files that are none, or do not fit together."""
        self._settings = settings
        self._counters = counters
        self._seen = self._stamps()
        self.client = _client(settings)
        self.server = _server(settings) if settings.certificate is not None else None

    def refresh(self) -> None:
        """Read the files again if one of them has changed."""
        seen = self._stamps()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            client = _client(self._settings)
            server = _server(self._settings) if self._settings.certificate is not None else None
        except ConfigError as error:
            self._counters["sip.tls_reloads_failed"] += 1
            log.error("the TLS files have changed and are of no use; the old ones stay", why=str(error))
            return
        self.client, self.server = client, server
        self._counters["sip.tls_reloads"] += 1
        log.info("the TLS files have been read again")

    @property
    def wildcards(self) -> bool:
        return self._settings.wildcards

    def _stamps(self) -> tuple[tuple[int, int] | None, ...]:
        settings = self._settings
        files = (settings.certificate, settings.key, *settings.ca_files, *settings.client_ca_files)
        return tuple(_stamp(file) for file in files if file is not None)


def names_of(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Whose a certificate is, as `SSLObject.getpeercert` gives it: domains and addresses in lower case."""
    if not certificate:
        return frozenset()
    alternatives = certificate.get("subjectAltName", ())[:MAX_NAMES]
    names: set[str] = set()
    for kind, value in alternatives:
        if kind == "DNS":
            names.add(value.rstrip(".").lower())
        elif kind == "IP Address":
            names.add(address_of(value) or value)
        elif kind == "URI" and value.lower().startswith("sip:") and "@" not in value:
            # RFC 5922 §7.1: sip URIs without a user part are domains; other schemes are nothing to us.
            names.add(value[4:].partition(";")[0].partition("?")[0].rstrip(".").lower())
    if not alternatives:
        # RFC 5922 §7.1: the common name counts only where there are no alternative names at all.
        subject = certificate.get("subject", ())
        names |= {v.rstrip(".").lower() for part in subject for k, v in part if k == "commonName"}
    return frozenset(names)


def is_named(names: Collection[str], name: str, wildcards: bool = False) -> bool:
    """RFC 5922 §7.2: a name fits as a whole, or not at all; `wildcards` lets `*` be its first label."""
    name = address_of(name) or name.rstrip(".").lower()
    if name in names:
        return True
    label, dot, rest = name.partition(".")
    return wildcards and bool(label and dot) and address_of(name) is None and f"*.{rest}" in names


def _client(settings: TlsSettings) -> ssl.SSLContext:
    context = client_context(settings.ca_files)
    context.check_hostname = False  # names are SIP's (RFC 5922), and are looked at after the handshake
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate is not None:
        _load(context, settings)
    return context


def _server(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, settings)
    if settings.clients != "any":
        context.verify_mode = ssl.CERT_REQUIRED if settings.clients == "required" else ssl.CERT_OPTIONAL
        for file in settings.client_ca_files:
            try:
                context.load_verify_locations(cafile=str(file))
            except OSError as error:
                raise ConfigError(
                    f"sip_tls.client_ca_files: {file}: {error.strerror or error}", "sip_tls.client_ca_files"
                ) from error
    return context


def _load(context: ssl.SSLContext, settings: TlsSettings) -> None:
    assert settings.certificate is not None
    try:
        # A key that asks for a password would ask the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except (OSError, ValueError) as error:
        where = settings.certificate if settings.key is None else f"{settings.certificate}, {settings.key}"
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"sip_tls.certificate: {where}: {reason}", "sip_tls.certificate") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one that is not")


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
