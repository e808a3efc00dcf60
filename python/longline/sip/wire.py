"""Where a message came from and where one goes: the values that pass between the stack and its transports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Where a message was received from. `connection` numbers a TCP connection for as long as the process lives."""

    transport: str
    host: str
    port: int
    connection: int | None = None

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: over `connection` while that lives, else to host and port. The host may be a name."""

    transport: str
    host: str
    port: int
    connection: int | None = None

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"


@dataclass(frozen=True, slots=True)
class Transmit:
    """One message to send. `transaction` is the key to name in `transport_failed` when it could not be sent."""

    target: Target
    data: bytes
    transaction: str | None = None
