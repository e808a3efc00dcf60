"""Plivo's REST API below /v1/Account/{auth_id}/: calls and their streams.

The auth token is an API key, and says whose calls they are; the auth id may be any that the client has. Leaves out
numbers, applications, conferences and messages.
"""

from longline.api.compat.plivo.door import PLIVO_DOOR
from longline.api.compat.plivo.routes import router

__all__ = ["PLIVO_DOOR", "router"]
