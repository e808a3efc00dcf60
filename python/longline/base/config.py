"""The configuration: a TOML file, then environment variables over it, checked as a whole.

Every setting is also `LONGLINE_` and its name in upper case; a setting inside a table is joined by two underscores
(`LONGLINE_INBOUND__FLOW_URL`, `LONGLINE_TRUNKS__CARRIER__URI`; a trunk's name is then lower case). A wrong setting is a
ConfigError that gives its path and what is allowed; an unknown one also names the nearest that exists.
`Config(...)` itself reads neither file nor environment. Leaves out: secrets from files and reloading.
"""

import base64
import binascii
import contextlib
import ipaddress
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from longline.base.access_config import Access, Phone
from longline.base.app_config import VirtualNumber, VoiceApp
from longline.base.app_config import WebhookVersion as WebhookVersion
from longline.base.config_source import explain, merge, read_environment
from longline.base.egress_config import Egress
from longline.base.errors import ConfigError
from longline.base.speech_config import SpeechSettings
from longline.base.stream_formats import DialectName, Encoding, SampleRate
from longline.base.transport_config import DnsServers, RtpAddresses, SipAdvertise, SipListen, SipTls, sip_host_port
from longline.base.trunk_config import Trunk
from longline.base.urls import host_port, http_url, ws_url

CodecName = Literal["opus", "G722", "PCMU", "PCMA", "L16/8000", "L16/16000", "L16/24000", "L16/48000"]


def _listen(text: str) -> str:
    host_port(text)
    return text


def _port_range(text: str) -> str:
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if match is None or not 1024 <= int(match[1]) < int(match[2]) <= 65535:
        raise ValueError("must be LOW-HIGH with 1024 <= LOW < HIGH <= 65535, such as 20000-29999")
    return text


def _chunk_size(value: int) -> int:
    if value % 20:
        raise ValueError("must be a multiple of 20 ms")
    return value


def _distinct(names: list[CodecName]) -> list[CodecName]:
    if len(set(names)) < len(names):
        raise ValueError("must not name a codec twice")
    return names


def _key(text: str) -> str:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise ValueError("must be 32 bytes in base64, such as `openssl rand -base64 32` gives")
    return text.strip()


def _data_dir(path: Path) -> Path:
    return path.expanduser()


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path("~/.local/share").expanduser()) / "longline"


DEFAULT_APP_NAME = "default"
"""How the voice app that `[inbound]` describes is shown."""

Listen = Annotated[str, AfterValidator(_listen)]
HttpUrl = Annotated[str, AfterValidator(http_url)]
WsUrl = Annotated[str, AfterValidator(ws_url)]
ChunkSize = Annotated[int, Field(ge=20, le=2000), AfterValidator(_chunk_size)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class InboundStream(_Section):
    """An inbound call is joined to this WebSocket at once, without a flow request."""

    ws_url: WsUrl = Field(description="Where the call's audio goes.")
    dialect: DialectName = Field(default="teler", description="The message format on the WebSocket.")
    encoding: Encoding | None = Field(default=None, description="Of the audio; as the dialect has it.")
    sample_rate: SampleRate | None = Field(
        default=None, description="Sample rate of the audio sent to the application; as the dialect has it."
    )
    chunk_size: ChunkSize | None = Field(
        default=None, description="Milliseconds of audio per message, a multiple of 20; as the dialect has it."
    )


class Inbound(_Section):
    """What is done with a call that comes in: either a flow URL is asked, or a stream is opened."""

    flow_url: HttpUrl | None = Field(default=None, description="Asked for the call flow of each inbound call.")
    fallback_url: HttpUrl | None = Field(
        default=None, description="Asked for a flow when the flow of an inbound call fails."
    )
    webhook_url: HttpUrl | None = Field(default=None, description="Told the status of each inbound call.")
    stream: InboundStream | None = Field(default=None, description="A static flow: stream to this WebSocket.")

    @model_validator(mode="after")
    def _one_flow(self) -> Self:
        if self.flow_url and self.stream:
            raise ValueError("give flow_url or stream, not both")
        return self


class Config(_Section):
    """Every setting of a node. See `settings_table` for the printed form."""

    http_listen: Listen = Field(default="127.0.0.1:8080", description="Address of the REST API.")
    public_url: HttpUrl | None = Field(
        default=None,
        description="How clients reach the REST API, if not as their request says; used in recording links.",
    )
    sip_listen: SipListen = Field(
        default=["127.0.0.1:5060"],
        min_length=1,
        max_length=16,
        description="Addresses of SIP, the preferred first: host:port is UDP and TCP, udp:, tcp: or tls: before it is "
        "that alone. tls: needs sip_tls.certificate.",
    )
    sip_advertise: SipAdvertise = Field(
        default_factory=list,
        max_length=16,
        description="host or host:port that peers are told, when it differs from sip_listen; one for each family, and "
        "with udp:, tcp: or tls: before it for that alone.",
    )
    sip_tls: SipTls = Field(default_factory=lambda: SipTls(), description="TLS of SIP.")
    sip_udp_max_bytes: int = Field(
        default=1300,
        ge=0,
        le=65_000,
        description="Requests of more bytes go over TCP (RFC 3261 §18.1.1), or by UDP all the same where there is no "
        "TCP; 0 for no limit.",
    )
    dns_servers: DnsServers = Field(
        default_factory=list,
        max_length=8,
        description="Name servers (address or address:port) that SIP asks instead of those of the system.",
    )
    rtp_address: RtpAddresses = Field(
        default_factory=list,
        description="IP addresses of RTP, bound and told to peers, one for each family; the hosts of sip_listen if not "
        "given.",
    )
    rtp_ports: Annotated[str, AfterValidator(_port_range)] = Field(
        default="20000-29999", description="UDP ports of RTP."
    )
    srtp: Literal["off", "preferred", "required"] = Field(
        default="preferred",
        description="SRTP: preferred takes it when it is offered and offers plain RTP; required offers it and takes "
        "nothing else; off takes none.",
    )
    codecs: Annotated[list[CodecName], AfterValidator(_distinct)] = Field(
        default=["opus", "G722", "PCMU", "PCMA"],
        min_length=1,
        description="Codecs that calls may have. We offer them in this order; an offer is answered in its own.",
    )
    api_key: str | None = Field(default=None, min_length=8, max_length=255, pattern=r"^[!-~]+$", repr=False,
        description="An API key; if not given, one is generated at first start and printed once.",
    )  # fmt: skip
    api_requests_per_key: float = Field(
        default=250.0,
        ge=0,
        le=1e6,
        description="Requests a second that one API key may send, and twice as many at once; more are answered 429. 0 "
        "for no limit.",
    )
    api_requests_per_account: float = Field(
        default=500.0, ge=0, le=1e6, description="The same for all keys of one account together."
    )
    data_dir: Annotated[Path, AfterValidator(_data_dir)] = Field(
        default_factory=_default_data_dir, description="Database, recordings and the generated API key."
    )
    media_dir: Annotated[Path, AfterValidator(_data_dir)] | None = Field(
        default=None, description="Sound files that a flow may play by path; the folder media in data_dir if not given."
    )
    database_url: str | None = Field(
        default=None, repr=False, description="SQLAlchemy async URL; a SQLite file in data_dir if not given."
    )
    media_workers: int = Field(default=0, ge=0, le=256, description="Threads of the media server; 0 is one per core.")
    stream_listen: Listen | None = Field(
        default=None,
        description="Where applications may dial in to go on with a stream whose connection was lost (longline.v1); "
        "nowhere if not given.",
    )
    stream_listen_url: WsUrl | None = Field(
        default=None,
        description="The ws:// or wss:// URL under which applications reach that; made of stream_listen if not given.",
    )
    stream_listen_tls: Annotated[list[Path], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="Certificates and private key of stream_listen, PEM; without TLS if not given."
    )
    ca_files: list[Path] = Field(
        default_factory=list,
        max_length=64,
        description="PEM files of further authorities to trust, beside the system's.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="auto: console on a terminal, else json."
    )
    metrics_token: str | None = Field(
        default=None,
        min_length=16,
        max_length=255,
        pattern=r"^[!-~]+$",
        repr=False,
        description="Who sends it as a bearer token may read /metrics; if not given, this machine alone may.",
    )
    tracing: bool = Field(
        default=False,
        description="Export OpenTelemetry traces, where the OTEL_… variables say; needs longline[otel].",
    )
    digits_in_events: bool = Field(
        default=False, description="Let events of a call say which digits were pressed, not only that one was."
    )
    transcripts_in_events: bool = Field(
        default=False, description="Let agent.turn events say what was said and heard, not only how much and when."
    )
    log_pii: bool = Field(default=False, description="Log phone numbers, digits, transcripts and credentials unmasked.")
    ring_timeout_s: float = Field(default=60.0, gt=0, le=600, description="How long an outbound call may ring.")
    flow_timeout_s: float = Field(default=5.0, gt=0, le=60, description="How long a flow URL may take to answer.")
    session_expires_s: int = Field(
        default=1800,
        ge=0,
        le=86_400,
        description="Seconds after which a call ends unless both ends confirm it (RFC 4028), as we ask for; 0: only if "
        "the far end asks. At least min_session_expires_s.",
    )
    min_session_expires_s: int = Field(
        default=90, ge=90, le=86_400, description="The shortest such interval that a far end may ask for."
    )
    max_calls: int = Field(default=1000, ge=1, le=100_000, description="Live calls at once; more are refused with 503.")
    persist_dialogs: bool = Field(
        default=True,
        description="Store each answered call before its answer leaves, so that a node that was killed ends it with a "
        "BYE at its next start.",
    )
    shutdown_deadline_s: float = Field(
        default=30.0, ge=1, le=3600, description="How long a node that is stopped may take to end its calls."
    )
    recording: bool = Field(default=True, description="Record calls that do not say whether to.")
    recording_format: Literal["wav", "ogg"] = Field(
        default="wav", description="How recordings are encoded: WAV, or Opus in Ogg at about a tenth of the size."
    )
    recording_layout: Literal["stereo", "mono", "parties"] = Field(
        default="stereo",
        description="stereo: left what the caller said, right what the caller heard; mono: both; parties: a file each.",
    )
    recording_key: Annotated[str, AfterValidator(_key)] | None = Field(
        default=None, repr=False, description="32 bytes in base64: recordings are encrypted under this master key."
    )
    webhook_version: WebhookVersion = Field(
        default="2025-08-01",
        description="Format of webhooks, and of ids: raw UUIDs in 2025-08-01, prefixed in 2026-06-01; twilio: "
        "applications are asked and told as by Twilio.",
    )
    webhook_secret: str | None = Field(
        default=None, min_length=8, repr=False, description="Signs webhooks: X-Teler-Signature is sent."
    )
    webhook_secret_previous: str | None = Field(
        default=None,
        min_length=8,
        repr=False,
        description="The secret before it, while receivers change over: X-Teler-Signature-Previous is sent too.",
    )
    standard_webhooks: bool = Field(
        default=False,
        description="Send the headers of Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature) as well.",
    )
    redelivery_days: int = Field(
        default=30, ge=1, le=3650, description="Days after an event in which its webhook can be sent again."
    )
    keep_events_days: int = Field(
        default=90, ge=0, le=36_500, description="Days after which events are deleted; 0 to keep them."
    )
    keep_calls_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="Days after which calls that have ended are deleted, with their legs, streams and events "
        "(recordings stay); 0 to keep them.",
    )
    quality_interval_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="Seconds between two reports of a live call's quality; 0 for none but the one at its end.",
    )
    inband_dtmf: bool = Field(default=False, description="Hear digits that come as tones in the audio as well.")
    voice_activity: Literal["off", "energy", "silero"] = Field(
        default="off", description="Tell when the far end begins and stops to speak; silero needs silero_weights."
    )
    silero_weights: Path | None = Field(
        default=None, description="The weights of Silero, as scripts/fetch_silero.py makes them."
    )
    default_trunk: str | None = Field(
        default=None, description="Trunk of outbound calls; if not given, every trunk that lets them out, by priority."
    )
    speech: SpeechSettings = Field(
        default_factory=lambda: SpeechSettings(), description="What speaks when a flow says something."
    )
    inbound: Inbound = Field(default_factory=Inbound, description="What is done with calls that come in.")
    trunks: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")], Trunk] = Field(
        default_factory=dict, max_length=1000, description="Ways to the telephone network, by name."
    )
    apps: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")], VoiceApp] = Field(
        default_factory=dict, max_length=1000, description="Voice apps: what is done with calls, by name."
    )
    numbers: dict[Annotated[str, Field(pattern=r"^\+[0-9]{7,15}$")], VirtualNumber] = Field(
        default_factory=dict, max_length=10_000, description="Telephone numbers (E.164), and whose they are."
    )
    from_numbers: Literal["any", "assigned"] = Field(
        default="any",
        description="Who may be named as the caller of a call to a telephone number: any number that is not another "
        "account's; or assigned: only a number that is assigned to an active voice app of the account.",
    )

    egress: Egress = Field(
        default_factory=Egress, description="Where flow, webhook, media and WebSocket URLs may lead."
    )
    access: Access = Field(
        default_factory=Access, description="Who is answered at all, and which numbers may be called."
    )
    phones: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+\-]{1,64}$")], Phone] = Field(
        default_factory=dict, max_length=10_000, description="Accounts that phones register with, by name."
    )

    @model_validator(mode="after")
    def _interval_of_a_second(self) -> Self:
        if 0 < self.quality_interval_s < 1:
            raise ValueError("quality_interval_s must be 0, or at least 1")
        return self

    @model_validator(mode="after")
    def _sessions_of_some_length(self) -> Self:
        if 0 < self.session_expires_s < self.min_session_expires_s:
            raise ValueError("session_expires_s must be 0, or at least min_session_expires_s")
        return self

    @model_validator(mode="after")
    def _weights_for_silero(self) -> Self:
        if self.voice_activity == "silero" and self.silero_weights is None:
            raise ValueError("voice_activity silero needs silero_weights: scripts/fetch_silero.py makes the file")
        return self

    @model_validator(mode="after")
    def _known_trunk(self) -> Self:
        if self.default_trunk is not None and self.default_trunk not in self.trunks:
            known = ", ".join(sorted(self.trunks)) or "none is configured"
            raise ValueError(f"default_trunk {self.default_trunk!r} is not a trunk; trunks: {known}")
        if self.default_trunk is not None and not self.trunks[self.default_trunk].all_targets:
            raise ValueError(f"default_trunk {self.default_trunk!r} has neither uri nor targets")
        return self

    @model_validator(mode="after")
    def _known_apps(self) -> Self:
        if DEFAULT_APP_NAME in self.apps:
            raise ValueError(f"apps.{DEFAULT_APP_NAME} is the app that [inbound] describes; choose another name")
        uses: list[tuple[str, str | None, Collection[str]]]
        uses = [(f"numbers.{number}.app", settings.app, self.apps) for number, settings in self.numbers.items()]
        uses += [(f"numbers.{number}.trunk", settings.trunk, self.trunks) for number, settings in self.numbers.items()]
        uses += [(f"trunks.{name}.app", settings.app, self.apps) for name, settings in self.trunks.items()]
        for path, name, those in uses:
            if name is not None and name not in those:
                known = ", ".join(sorted(those)) or "none is configured"
                raise ValueError(f"{path}: {name!r} is not there; there are: {known}")
        return self

    @model_validator(mode="after")
    def _certificate_for_tls(self) -> Self:
        if self.sip_tls.certificate is None and any(t == "TLS" for t, _, _ in self.sip_addresses):
            raise ValueError("sip_tls.certificate must be given when sip_listen has a tls: address")
        return self

    @model_validator(mode="after")
    def _dialable_streams(self) -> Self:
        if self.stream_listen is not None and self.stream_listen_url is None:
            host, _ = host_port(self.stream_listen)
            if host in ("0.0.0.0", "::"):
                raise ValueError(f"stream_listen_url must be given: applications cannot dial {host}")
        return self

    @model_validator(mode="after")
    def _reachable_rtp(self) -> Self:
        if not self.media_addresses:
            raise ValueError("rtp_address must be given when the host of sip_listen is a name")
        for address in self.media_addresses:
            if ipaddress.ip_address(address).is_unspecified:
                raise ValueError(f"rtp_address must be given: peers cannot send RTP to {address}")
        return self

    @classmethod
    def load(cls, path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """Read the file (if given), put the environment over it, and check. Raises ConfigError."""
        settings = _read_file(Path(path)) if path is not None else {}
        environment = read_environment(os.environ if environ is None else environ, cls)
        try:
            return cls.model_validate(merge(settings, environment))
        except ValidationError as error:
            raise explain(error, cls) from None

    @property
    def http_address(self) -> tuple[str, int]:
        return host_port(self.http_listen)

    @property
    def resume_url(self) -> str | None:
        """Where applications are told to dial in."""
        if self.stream_listen is None:
            return None
        scheme = "ws" if self.stream_listen_tls is None else "wss"
        return self.stream_listen_url or f"{scheme}://{self.stream_listen}/streams"

    @property
    def egress_allowed(self) -> list[str]:
        """Where requests may go beyond the public internet."""
        host = self.http_address[0]
        try:
            is_loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            is_loopback = host == "localhost"
        return self.egress.allowed(is_loopback)

    @property
    def sip_addresses(self) -> list[tuple[str | None, str, int]]:
        """Transport (None: UDP and TCP), host and port of all that SIP listens at."""
        return [sip_host_port(text) for text in self.sip_listen]

    @property
    def sip_address(self) -> tuple[str, int]:
        """The first of them."""
        return self.sip_addresses[0][1:]

    @property
    def media_addresses(self) -> list[str]:
        """The IP addresses of RTP, default applied: at most one of each family."""
        if self.rtp_address:
            return self.rtp_address
        found: dict[int, str] = {}
        for _, host, _ in self.sip_addresses:
            with contextlib.suppress(ValueError):
                address = ipaddress.ip_address(host)
                found.setdefault(address.version, str(address))
        return list(found.values())

    @property
    def rtp_port_range(self) -> tuple[int, int]:
        low, _, high = self.rtp_ports.partition("-")
        return int(low), int(high)

    @property
    def durable_url(self) -> str:
        """The database URL, default applied."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'longline.db'}"

    @property
    def sounds_dir(self) -> Path:
        """Where sound files that a flow names by path are, default applied."""
        return self.media_dir or self.data_dir / "media"

    @property
    def recordings_dir(self) -> Path:
        return self.data_dir / "recordings"


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
