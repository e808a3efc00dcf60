"""How the applications of this folder that are FastAPI's are served: uvicorn, at a port that the test is told."""

from __future__ import annotations

import logging
from typing import Any

import uvicorn
from fastapi import FastAPI
from telling import tell


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        tell("listening", port=self.servers[0].sockets[0].getsockname()[1])


def serve_app(app: FastAPI) -> None:
    logging.basicConfig(level=logging.WARNING)
    _Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")).run()
