"""The SIP user agent (RFC 3261): a stack without I/O, and the asyncio shell around it.

`user_agent` is what the rest of the program uses; `endpoint` is the whole stack as five verbs.
Who is answered at all is `default_deny`'s to say. Leaves out: SUBSCRIBE, MESSAGE, PUBLISH, and being a proxy.
"""
