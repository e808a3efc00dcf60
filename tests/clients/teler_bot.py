"""A bridge on teler's SDK, as its users write it: its StreamConnector joins the call's stream to REMOTE_URL."""

from __future__ import annotations

import os

from fastapi import FastAPI, WebSocket
from serving import serve_app
from teler import StreamConnector
from telling import tell

app = FastAPI()


@app.websocket("/stream")
async def stream(websocket: WebSocket) -> None:
    await websocket.accept()
    await StreamConnector(remote_url=os.environ["REMOTE_URL"]).bridge_stream(websocket)
    await websocket.close(1000)
    tell("ended")


if __name__ == "__main__":
    serve_app(app)
