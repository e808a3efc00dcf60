"""The words for what is spoken on a stream's WebSocket: dialects, encodings and sample rates, as flows, the API, the
configuration and the media server have them. What goes with what is `calls/dialects.py`."""

from typing import Final, Literal

DialectName = Literal["teler", "longline", "twilio", "telnyx", "plivo", "vonage", "exotel", "jambonz", "asterisk"]
Encoding = Literal["pcm_s16le", "pcm_s16be", "mulaw", "alaw", "opus"]
SampleRate = Literal["8k", "16k", "24k", "48k"]

SAMPLE_RATES_HZ: Final[dict[SampleRate, int]] = {"8k": 8000, "16k": 16000, "24k": 24000, "48k": 48000}
