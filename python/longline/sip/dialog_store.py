"""Where dialogs are kept so that another process can go on with them: the protocol, and the store that is memory.

Snapshots are those of `snapshot`: JSON types. Leaves out: the database (`store/dialog_store.py`).
"""

from typing import Any, Protocol


class DialogStore(Protocol):
    """Calls for one handle take effect in the order in which they were made."""

    async def save(self, handle: str, snapshot: dict[str, Any]) -> None:
        """Insert or replace; returns when it is safe."""
        ...

    async def delete(self, handle: str) -> None:
        """Nobody waits for it: a dialog that is found though it has ended is ended once more."""
        ...


class MemoryDialogStore:
    """Keeps dialogs for as long as it lives itself: for endpoints that move within one process, and for tests."""

    def __init__(self) -> None:
        self.snapshots: dict[str, dict[str, Any]] = {}

    async def save(self, handle: str, snapshot: dict[str, Any]) -> None:
        self.snapshots[handle] = snapshot

    async def delete(self, handle: str) -> None:
        self.snapshots.pop(handle, None)
