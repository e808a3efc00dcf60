"""Requests of ours to places that others have named: flow, webhook, media and WebSocket URLs. One guard for all.

It imports `base` only. `Guard` decides where a URL may lead; `guarded_client` is the HTTP client that goes nowhere
else.
"""
