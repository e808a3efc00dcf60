"""Longline's side of a stream without a call: what an application is tried against, and our own tests hold beside it.

A small second implementation of docs/reference/longline-v1.md. `Line` has no I/O and no clock. Leaves out: voices (it
tells `speech.*` only when it is made to), transfers and recordings (refused), rates and encodings (bytes are bytes).
"""
