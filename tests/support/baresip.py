"""baresip as a phone: a program that we did not write calls, or is called; what it says and hears is in WAV files."""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.tone import Samples, read_wav, write_wav

_STATUS_LINE = re.compile(r"[^\r\n]*\(bit/s\)[^\r\n]*")
"""It runs along while there is a call; what a slow reader gets with it in one piece is to be kept."""

MODULES = "/usr/lib/baresip/modules"

CONFIG = """\
poll_method epoll
net_interface {host}
sip_listen {at}
{tls}call_local_timeout 120
audio_source aufile,{folder}/say.wav
audio_player aubridge,player
audio_level no
ausrc_srate {rate_hz}
ausrc_channels 1
auplay_srate {rate_hz}
auplay_channels 1
opus_stereo no
opus_sprop_stereo no
rtp_ports {rtp_ports}
jitter_buffer_delay 5-10
rtp_stats no
snd_path {folder}
module_path {modules}
{keypad}module {codec}.so
module srtp.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
"""


class Baresip:
    """One phone at 127.0.0.1:`port`, which says `say` and answers by itself unless told otherwise.

    It has the one codec of the module `codec`. What it says and hears has the rate `rate_hz`. With a `keypad` its keys
    can be pressed. With a `certificate` (and its key, in one file; `authority` is whom it trusts) it speaks TLS, at the
    next port, and its `uri` says so.
    can be pressed. `account` is a line of baresip's accounts in place of one that registers nowhere.

    `async with` it: it never outlives the block.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        say: Samples,
        *,
        rtp_ports: str = "42000-42998",
        answer: bool = True,
        codec: str = "g711",
        rate_hz: int = 8000,
        srtp: bool = False,
        keypad: bool = False,
        host: str = "127.0.0.1",
        certificate: Path | None = None,
        authority: Path | None = None,
        account: str | None = None,
    ) -> None:
        self.folder = folder
        self.port = port
        self.output = ""
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        write_wav(folder / "say.wav", say, rate_hz)
        mode = "auto" if answer else "manual"
        secure = ";mediaenc=srtp-mand" if srtp else ""
        self._at = f"[{host}]" if ":" in host else host
        self._is_tls = certificate is not None
        who = account or f"<{self.uri}>;regint=0"
        (folder / "accounts").write_text(f"{who};answermode={mode}{secure}\n")
        (folder / "contacts").write_text("")
        settings = CONFIG.format(
            host=host,
            at=f"{self._at}:{port}",
            tls=f"sip_certificate {certificate}\nsip_cafile {authority}\n" if certificate else "",
            folder=folder,
            rtp_ports=rtp_ports,
            modules=MODULES,
            codec=codec,
            rate_hz=rate_hz,
            keypad="module stdio.so\n" if keypad else "",
        )
        (folder / "config").write_text(settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self.stop()

    @property
    def uri(self) -> str:
        if self._is_tls:
            return f"sip:phone@{self._at}:{self.port + 1};transport=tls"
        return f"sip:phone@{self._at}:{self.port}"

    async def start(self, dial: str | None = None) -> None:
        """Start, and call `dial` if given; returns when the phone is ready."""
        command: Sequence[str] = ["baresip", "-f", str(self.folder), *(["-e", f"/dial {dial}"] if dial else [])]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reader = asyncio.create_task(self._read())
        await self.until("baresip is ready", 10)

    async def until(self, text: str, timeout_s: float) -> None:
        """Wait until the phone has printed `text`."""
        try:
            async with asyncio.timeout(timeout_s):
                while text not in self.output:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"baresip did not say {text!r} within {timeout_s} s:\n{self.output[-3000:]}") from None

    async def press(self, keys: str) -> None:
        """Press these keys in turn, in a call. It lets each go by itself, 250 ms after it was pressed."""
        assert self._process is not None and self._process.stdin is not None
        for key in keys:
            self._process.stdin.write(key.encode())
            await self._process.stdin.drain()
            await asyncio.sleep(0.35)

    async def command(self, text: str) -> None:
        """Type a command of its menu, such as "/transfer sip:…". It needs a keypad."""
        assert self._process is not None and self._process.stdin is not None
        for part in (*f"{text}", "\n"):
            self._process.stdin.write(part.encode())
            await self._process.stdin.drain()
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End the program; it hangs up if it is in a call."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    def heard(self) -> Samples:
        """What the phone decoded in its (one) call."""
        (dump,) = self.folder.glob("dump-*-dec.wav")
        return read_wav(dump)

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        while chunk := await self._process.stdout.read(4096):
            text = _STATUS_LINE.sub("", chunk.decode(errors="replace"))
            self.output = (self.output + text)[-100_000:]
