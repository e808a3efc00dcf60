"""An application as one writes it for Twilio: TwiML by its SDK, each request and each handshake checked by its
validator, the audio of a call on a WebSocket."""

import asyncio
import base64
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from tests.support.tone import Samples, from_ulaw, to_ulaw, tone

SAID_HZ = 700


class TwilioApp:
    """`async with TwilioApp(token, answer)`: `answer(path, form)` gives the TwiML of a request. Requests are kept in
    `asked` by path; those that are not signed, or wrongly, are refused and counted in `unsigned`.

    At `/bot` it says a tone as soon as the caller is heard and a mark behind it, listens, and leaves at a key."""

    def __init__(self, token: str, answer: Callable[[str, dict[str, str]], Any]) -> None:
        self._validator = RequestValidator(token)
        self._answer = answer
        self.asked: dict[str, list[dict[str, str]]] = {}
        self.unsigned = 0
        self.messages: list[dict[str, Any]] = []
        self.heard: list[Samples] = []
        self.left = asyncio.Event()
        app = FastAPI()
        app.add_api_route("/{path:path}", self._http, methods=["GET", "POST"])
        app.add_api_websocket_route("/{path:path}", self._ws)
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off", ws="websockets-sansio")
        self._server = uvicorn.Server(config)
        listener = config.bind_socket()
        self._listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.ws_url = self.url.replace("http", "ws", 1)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        await self._task

    def events(self, name: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == name]

    async def until(self, condition: Callable[[], Any], timeout_s: float = 20) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := condition()):
                    await asyncio.sleep(0.02)
                return found
        except TimeoutError:
            kinds = [message["event"] for message in self.messages]
            raise AssertionError(f"it never came: asked {self.asked}, heard {kinds[-20:]}") from None

    async def _http(self, path: str, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        given = request.headers.get("x-twilio-signature", "")
        is_file = path.endswith(".wav")  # what is played is fetched without a signature
        if not is_file and not self._validator.validate(str(request.url), form, given):
            self.unsigned += 1
            return Response(status_code=403)
        asked = form if request.method == "POST" else dict(request.query_params)
        self.asked.setdefault(path, []).append(asked)
        answer = self._answer(path, asked)
        if isinstance(answer, bytes):
            return Response(answer, media_type="audio/wav")
        return Response("" if answer is None else str(answer), media_type="text/xml")

    async def _ws(self, socket: WebSocket) -> None:
        given = socket.headers.get("x-twilio-signature", "")
        if not self._validator.validate(str(socket.url), {}, given):
            self.unsigned += 1
            await socket.close()
            return
        await socket.accept()
        try:
            await (self._bot(socket) if socket.url.path == "/bot" else self._copy(socket))
        except WebSocketDisconnect:
            self.left.set()

    async def _copy(self, socket: WebSocket) -> None:
        while True:
            self.messages.append(json.loads(await socket.receive_text()) | {"path": socket.url.path})

    async def _bot(self, socket: WebSocket) -> None:
        has_spoken = False
        while True:
            message = json.loads(await socket.receive_text())
            self.messages.append(message)
            if message["event"] == "media":
                self.heard.append(from_ulaw(base64.b64decode(message["media"]["payload"])))
                if not has_spoken:
                    has_spoken = True
                    payload = base64.b64encode(to_ulaw(tone(SAID_HZ, 0.6))).decode()
                    stream = message["streamSid"]
                    for event, fields in (("media", {"payload": payload}), ("mark", {"name": "said"})):
                        await socket.send_json({"event": event, "streamSid": stream, event: fields})
            elif message["event"] == "dtmf":
                await socket.close()
                self.left.set()
                return
