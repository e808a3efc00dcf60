"""The formats of other platforms, by webhook version."""

from collections.abc import Mapping
from typing import Final

from longline.webhooks.format import Format
from longline.webhooks.twilio import TwilioFormat

FORMATS: Final[Mapping[str, Format]] = {"twilio": TwilioFormat()}
