"""The application's side of longline.v1 (docs/reference/longline-v1.md), for whoever is joined to a call by it.

`connection` is the protocol without I/O; `server`, `stream` and `dial` are asyncio shells around it; `line` is the
other side, to try it against. Runs in somebody else's process: imports nothing of a node.
"""
