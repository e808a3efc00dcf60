"""Whom we trust when we are the TLS client."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from longline.base.errors import ConfigError


def client_context(ca_files: Sequence[Path] = ()) -> ssl.SSLContext:
    """The system's authorities and those of the given PEM files. Raises ConfigError naming a file that is none."""
    context = ssl.create_default_context()
    for ca_file in ca_files:
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except OSError as error:
            raise ConfigError(f"ca_files: {ca_file}: {error.strerror or error}", "ca_files") from error
    return context
