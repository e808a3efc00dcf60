"""The control protocol of the media server as plain data: its frames, commands and events.

The specification is `docs/reference/control-protocol.md`; the other side is `rust/server/src/protocol/`. This package
only encodes and decodes: it opens nothing, waits for nothing and reads no clock.
"""
