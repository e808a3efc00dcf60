"""The formats of other platforms, by webhook version."""

from collections.abc import Mapping
from typing import Final

from longline.webhooks.format import Format
from longline.webhooks.jambonz import JambonzFormat
from longline.webhooks.plivo import PlivoFormat
from longline.webhooks.telnyx import TelnyxFormat
from longline.webhooks.twilio import TwilioFormat
from longline.webhooks.vonage import VonageFormat

FORMATS: Final[Mapping[str, Format]] = {
    "twilio": TwilioFormat(),
    "plivo": PlivoFormat(),
    "telnyx": TelnyxFormat(),
    "vonage": VonageFormat(),
    "jambonz": JambonzFormat(),
}
