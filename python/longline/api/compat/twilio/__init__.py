"""Twilio's REST API below /2010-04-01/: calls, their unidirectional streams, and the audio of recordings.

An API key is the auth token, and says whose calls they are; the account SID is made of that account's id. Leaves out
numbers, applications, conferences, queues and messages, and everything that costs.
"""

from longline.api.compat.twilio.door import TWILIO_DOOR
from longline.api.compat.twilio.routes import router

__all__ = ["TWILIO_DOOR", "router"]
