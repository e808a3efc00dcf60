"""Longline: the open, self-hosted voice API. It joins live phone calls to your application by one WebSocket."""

from typing import Final

__version__: Final = "0.1.0"
