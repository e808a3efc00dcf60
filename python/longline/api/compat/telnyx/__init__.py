"""Telnyx's Call Control API below /v2/: dialling, and the commands that streams need.

The bearer token is an API key. Leaves out numbers, connections, conferences, recordings and speech recognition.
"""

from longline.api.compat.telnyx.door import TELNYX_DOOR
from longline.api.compat.telnyx.routes import router

__all__ = ["TELNYX_DOOR", "router"]
