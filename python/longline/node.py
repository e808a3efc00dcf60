"""The composition root: the one place that knows every part of a node, builds them, and starts and stops them in order.

Each part is started after what it needs and stopped before it: what fails to start takes down only what was started.
A stop lets the live calls say goodbye first (BYE, closed streams, stored ends), and only then takes the parts away.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

import uvicorn

from longline import __version__
from longline.api.app import create_app
from longline.api.auth import ensure_api_key
from longline.api.deps import Deps
from longline.api.stream_requests import AppRequests
from longline.base.bus import Bus
from longline.base.clock import Clock, SystemClock
from longline.base.config import Config
from longline.base.errors import ConfigError
from longline.base.keyfile import write_key_file
from longline.base.log import get_logger
from longline.base.trace import no_headers
from longline.base.transport_config import dns_server, sip_told
from longline.calls.app_directory import AppDirectory
from longline.calls.configured_apps import check_inbound_stream, configured_secrets
from longline.calls.leftover_dialogs import LeftoverDialogs
from longline.calls.leftovers import end_leftovers, end_recordings
from longline.calls.manager import CallManager
from longline.calls.phones import PhoneBook, admission_policy, phone_peers
from longline.calls.recording import recording_plan
from longline.calls.secret_book import SecretBook
from longline.calls.stream_urls import StreamUrls
from longline.calls.trunk import Trunk
from longline.calls.trunk_book import TrunkBook
from longline.flows.controls import CallControls
from longline.flows.fetch import HttpFlowFetcher
from longline.flows.languages import languages
from longline.flows.media_files import MediaFiles
from longline.flows.runner import FlowRunner
from longline.flows.sounds import Sounds
from longline.flows.speech import SpokenTexts, find_speech
from longline.guard.guard import Guard
from longline.media.engine import MediaEngine
from longline.media.process import MediaServerSettings
from longline.media.protocol.framing import format_address
from longline.media.session import Watch
from longline.observe.live import Watchers
from longline.observe.metrics import Metrics
from longline.observe.sources import add_sources
from longline.sip.access.peers import Peers
from longline.sip.events import BindingsChanged, LockedOut, SipEvent, Unanswered
from longline.sip.user_agent import AdvertisedAddress, ListenAddress, TlsSettings, UserAgent, UserAgentSettings
from longline.store.durable import Durable
from longline.webhooks.dispatcher import Dispatcher

if TYPE_CHECKING:
    from longline.observe.tracing import Tracing

HTTP_STOP_GRACE_S: Final = 3
"""How long the API finishes requests that are under way when the node stops."""
TRACE_STOP_GRACE_S: Final = 3.0
"""How long what is left of traces is exported when the node stops."""
HTTP_BACKLOG: Final = 1024
LEGS_PER_CALL: Final = 2
"""Dialogs that the SIP stack has room for in each of max_calls: most have one, a bridge two, a transfer three."""
CALLS_TO_REFUSE: Final = 1000
"""Calls that the SIP stack may hold beyond max_calls: those which are just being refused or ended."""

log = get_logger(__name__)


class Node:
    """`start`, and `stop`. `new_api_key` is the key that the first start of a data directory has made, else None."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._bus = Bus()
        self._stack = contextlib.AsyncExitStack()
        self._trunks: TrunkBook | None = None
        self._apps: AppDirectory | None = None
        self.new_api_key: str | None = None
        self.http_address: tuple[str, int] = config.http_address
        self.sip_address: tuple[str, int] = config.sip_address
        self.sip_listeners: Sequence[tuple[str, str]] = ()

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://{format_address(self.http_address)}"

    async def start(self) -> None:
        """Start every part, or none. Raise ConfigError for an address that cannot be had, MediaUnavailable."""
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        log.info("node started", http=self.url, sip=format_address(self.sip_address))

    async def reload(self, config: Config) -> None:
        """Put the trunks, apps and numbers of a configuration that was read again in force, and what it says of inbound
        calls; what else it says waits for the next start.
        Raise ConfigError, and nothing has changed."""
        assert self._trunks is not None and self._apps is not None, "start() comes first"
        check_inbound_stream(config)
        await self._trunks.configure(config)
        await self._apps.configure(config)
        log.info("configuration read again", trunks=len(config.trunks), apps=len(config.apps))

    async def stop(self) -> None:
        """End live calls with the reason server_shutdown, then every part in the reverse order."""
        await self._stack.aclose()
        log.info("node stopped")

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        config = self._config
        check_inbound_stream(config)
        _make_directories(config)
        stack.enter_context(_only_node_of(config.data_dir))
        http_socket = stack.enter_context(contextlib.closing(_listen("http_listen", config.http_address)))
        durable = await Durable.open(config.durable_url)
        stack.push_async_callback(durable.close)
        self.new_api_key = await ensure_api_key(durable, config.api_key, self._clock)
        if self.new_api_key is not None:
            write_key_file(config.data_dir, self.new_api_key)
        guard = Guard.of(config, accounts=len(await durable.accounts.all_accounts()))
        stack.callback(guard.close)
        secrets = SecretBook(durable.apps, self._clock)
        secrets.configure(configured_secrets(config))
        await secrets.load()
        dispatcher = Dispatcher(self._bus, durable, config, self._clock, guard=guard, secrets=secrets)
        await dispatcher.start()
        stack.push_async_callback(dispatcher.stop)
        retention = durable.retention(
            self._clock, events_days=config.keep_events_days, calls_days=config.keep_calls_days
        )
        retention.start()
        stack.push_async_callback(retention.stop)
        leftovers = await end_leftovers(durable, dispatcher.outbox, self._clock)
        if leftovers:
            log.warning("calls of a node that was killed are ended", calls=leftovers)
        recordings = await end_recordings(durable, dispatcher.outbox, self._clock, recording_plan(config).master_key)
        if recordings:
            log.warning("recordings of a node that was killed are found", recordings=recordings)
        media = MediaEngine(_media_settings(config), self._clock, _watch(config))
        await media.start()
        stack.push_async_callback(media.stop)
        trunks = self._trunks = TrunkBook(config, durable.trunks, self._clock)
        await trunks.load()
        apps = self._apps = AppDirectory(config, durable.apps, self._clock, secrets, trunks.record)
        await apps.load()
        trunks.check_secret = secrets.get
        secrets.is_used = lambda secret_id: bool(apps.apps_of_secret(secret_id) or trunks.trunks_of_secret(secret_id))
        base_url = (config.public_url or f"http://{format_address(http_socket.getsockname()[:2])}").rstrip("/")

        def find_secret(secret_id: UUID | None) -> str | None:
            return secrets.value(secret_id) or config.webhook_secret

        stream_urls = StreamUrls(guard, config.ca_files)
        stack.push_async_callback(stream_urls.close)
        manager = CallManager(
            config,
            media,
            dispatcher.outbox,
            self._bus,
            self._clock,
            trunks,
            apps,
            guard,
            find_secret=find_secret,
            base_url=base_url,
            find_stream=stream_urls.find,
        )
        tracing = _tracing(config)
        if tracing is not None:
            stack.callback(self._bus.subscribe(tracing.on_event))
            stack.push_async_callback(_export_rest, tracing)
        trace_headers = no_headers if tracing is None else tracing.headers
        spoken = languages(base_url)
        fetcher = HttpFlowFetcher(
            config.flow_timeout_s,
            config.webhook_version,
            guard,
            config.ca_files,
            trace_headers,
            languages=spoken,
            find_secret=find_secret,
        )
        stack.push_async_callback(fetcher.close)
        files = MediaFiles(config.sounds_dir, config.data_dir / "spool", guard, config.ca_files)
        files.clean()
        stack.push_async_callback(files.close)
        speech = await _speech(stack, config)
        sounds = Sounds(files, speech)
        phones = PhoneBook(config, durable.registrations, self._clock)
        stack.push_async_callback(phones.stop)

        def on_sip_event(event: SipEvent) -> None:
            if isinstance(event, BindingsChanged):
                phones.on_bindings(event)
            elif isinstance(event, LockedOut):
                log.warning("locked out of SIP", why=event.why, whom=event.whom)
            elif isinstance(event, Unanswered):
                log.info("SIP that is not answered", why=event.why, source=event.source, count=event.count)
            else:
                manager.on_sip_event(event)

        dialogs = durable.dialogs if config.persist_dialogs else None
        user_agent = UserAgent(_user_agent_settings(config), on_sip_event, dialogs)
        with _address_is_ours("sip_listen", *(address[1:] for address in config.sip_addresses)):
            await user_agent.start()
        stack.push_async_callback(user_agent.stop)
        self.sip_address = user_agent.address
        self.sip_listeners = user_agent.listening

        def know(active: Sequence[Trunk]) -> None:
            manager.on_trunks(active)
            user_agent.set_peers(Peers([*phone_peers(config), *(trunk.peer for trunk in active)]))

        trunks.on_change = know
        know(trunks.trunks)
        await phones.restore(user_agent)
        own_address = (user_agent.listeners[0].host, user_agent.listeners[0].port)
        controls = CallControls(manager, sounds)
        manager.attach(user_agent, FlowRunner(fetcher, sounds, spoken), own_address, AppRequests(controls))
        stack.push_async_callback(user_agent.leave_registrars)
        stack.push_async_callback(_end_calls, manager, user_agent, config.shutdown_deadline_s)
        if dialogs is not None:
            left_over = LeftoverDialogs(dialogs, user_agent, self._clock)
            found = await left_over.restore()
            if found:
                log.warning("dialogs of a node that was killed are being ended", dialogs=found)
                ending = asyncio.create_task(left_over.end(), name="leftover-dialogs")
                stack.push_async_callback(_cancel, ending)
        watchers = Watchers()
        stack.callback(self._bus.subscribe(watchers.on_event))
        metrics = Metrics()
        stack.callback(self._bus.subscribe(metrics.on_event))
        add_sources(metrics, self._bus, manager, user_agent, media, durable, dispatcher)
        metrics.add_counts("egress", "URLs of applications: judged, and refused.", lambda: guard.counters)
        if speech is not None:
            metrics.add_counts("speech", "Texts that flows have said.", lambda: speech.counters)
        deps = Deps(
            manager,
            controls,
            durable,
            dispatcher,
            config,
            self._clock,
            trunks,
            manager.trunk_status,
            manager.trunk_limits,
            phones,
            apps,
            secrets,
            lambda: _readiness(media),
            watchers=watchers,
            begin_trace=None if tracing is None else tracing.begin_request,
            render_metrics=metrics.render,
            observe_request=metrics.observe_request,
        )
        await self._serve_http(stack, deps, http_socket)
        stack.callback(watchers.close)  # else the API would wait for who watches

    async def _serve_http(self, stack: contextlib.AsyncExitStack, deps: Deps, listener: socket.socket) -> None:
        server = _Server(
            uvicorn.Config(
                create_app(deps),
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=HTTP_STOP_GRACE_S,
            )
        )
        self.http_address = listener.getsockname()[:2]
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        stack.push_async_callback(_stop_http, server, serving)
        await server.is_up.wait()


class _Server(uvicorn.Server):
    """Tells when it is up. Signals are the node's business, not the HTTP server's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _end_calls(manager: CallManager, user_agent: UserAgent, deadline_s: float) -> None:
    """End every call, and see to it that the far ends know."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + deadline_s
    await manager.stop(deadline_s)
    left = await user_agent.settle(max(0.0, deadline - clock()))
    if left:
        log.warning("far ends have not answered their BYE", dialogs=left)


def _tracing(config: Config) -> Tracing | None:
    """Raise ConfigError when its packages are not there."""
    if not config.tracing:
        return None
    try:
        from longline.observe.tracing import Tracing, provider_from_environment
    except ImportError as error:
        raise ConfigError("tracing needs the extra packages of longline[otel]", "tracing") from error
    return Tracing(provider_from_environment())


async def _export_rest(tracing: Tracing) -> None:
    """The exporter waits for whom it cannot reach; the node does not."""
    closing = asyncio.get_running_loop().run_in_executor(None, tracing.close)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(closing), TRACE_STOP_GRACE_S)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _stop_http(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    server.should_exit = True
    await serving


def _readiness(media: MediaEngine) -> Mapping[str, bool]:
    return {"media_server": media.is_available}


async def _speech(stack: contextlib.AsyncExitStack, config: Config) -> SpokenTexts | None:
    settings = config.speech
    speech = find_speech(settings, config.ca_files)
    if speech is None:
        return None
    spoken = SpokenTexts(
        speech,
        config.data_dir / "speech",
        max_bytes=settings.cache_mb * 1024 * 1024,
        timeout_s=settings.timeout_s,
    )
    await asyncio.to_thread(spoken.load)
    stack.push_async_callback(spoken.close)
    return spoken


def _make_directories(config: Config) -> None:
    for directory in (config.data_dir, config.recordings_dir):
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"data_dir: {directory} cannot be made: {error.strerror}", "data_dir") from error


@contextlib.contextmanager
def _only_node_of(data_dir: Path) -> Iterator[None]:
    """A lock on the data directory; it ends with the process, however that ends.

    A second node would end the live calls of the first as leftovers of a node that was killed."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context((data_dir / "node.lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"data_dir: {data_dir} belongs to a node that is running", "data_dir") from None
        except OSError as error:
            raise ConfigError(f"data_dir: {data_dir} cannot be locked: {error.strerror}", "data_dir") from error
        yield


def _listen(setting: str, address: tuple[str, int]) -> socket.socket:
    """A listening TCP socket. Raise ConfigError when the address is taken or not ours."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with _address_is_ours(setting, address):
        return socket.create_server((host, port), family=family, backlog=HTTP_BACKLOG)


@contextlib.contextmanager
def _address_is_ours(setting: str, *addresses: tuple[str, int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        shown = ", ".join(format_address(address) for address in addresses)
        raise ConfigError(f"{setting}: cannot listen at {shown}: {why}; choose another address", setting) from error


def _media_settings(config: Config) -> MediaServerSettings:
    return MediaServerSettings(
        rtp_addresses=tuple(config.media_addresses),
        rtp_ports=config.rtp_ports,
        workers=config.media_workers,
        ca_files=config.ca_files,
        recordings_dir=config.recordings_dir,
        silero_weights=config.silero_weights,
        stream_listen=config.stream_listen,
        stream_listen_tls=config.stream_listen_tls,
    )


def _watch(config: Config) -> Watch:
    return Watch(
        quality_interval_ms=int(config.quality_interval_s * 1000),
        inband_dtmf=config.inband_dtmf,
        vad=config.voice_activity,
    )


def _user_agent_settings(config: Config) -> UserAgentSettings:
    return UserAgentSettings(
        listen=[ListenAddress(host, port, transport) for transport, host, port in config.sip_addresses],
        advertise=[
            AdvertisedAddress(host, port, transport) for transport, host, port in map(sip_told, config.sip_advertise)
        ],
        tls=TlsSettings(
            certificate=config.sip_tls.certificate,
            key=config.sip_tls.key,
            ca_files=config.ca_files,
            clients=config.sip_tls.clients,
            client_ca_files=config.sip_tls.client_ca_files,
            wildcards=config.sip_tls.wildcards,
        ),
        udp_max_bytes=config.sip_udp_max_bytes,
        dns_servers=[dns_server(text) for text in config.dns_servers],
        max_calls=config.max_calls * LEGS_PER_CALL + CALLS_TO_REFUSE,
        session_expires_s=config.session_expires_s,
        min_session_expires_s=config.min_session_expires_s,
        product=f"longline/{__version__}",
        admission=admission_policy(config),
        keeps_bindings=True,
    )
