"""The file in the data directory that holds the generated API key, so that commands on the same host need no flag."""

import os
from pathlib import Path

NAME = "api_key"


def read_key_file(data_dir: Path) -> str | None:
    """The key; None when there is none, or it may not be read."""
    try:
        return (data_dir / NAME).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def write_key_file(data_dir: Path, key: str) -> Path:
    """Write the key for the owner alone (mode 0600)."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / NAME
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(key + "\n")
    return path
