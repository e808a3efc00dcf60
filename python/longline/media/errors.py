"""What can go wrong between control and the media server.

LonglineError
├── MediaCommandRefused   the server answered with an error: `code` and a message
└── Unavailable
    └── MediaUnavailable  (base) it is not running, or did not answer in time
"""

from longline.base.errors import LonglineError


class MediaCommandRefused(LonglineError):
    """The media server answered a command with an error; `code` is one of the control protocol's error codes."""

    def __init__(self, command: str, code: str, message: str) -> None:
        super().__init__(f"{command}: {message} ({code})")
        self.command = command
        self.code = code
        self.message = message
