"""The SIP user agent (RFC 3261): a stack without I/O, and the asyncio shell around it.

`user_agent` is what the rest of the program uses; `endpoint` is the whole stack as five verbs.
Leaves out: TLS and sips, registration, 100rel/PRACK, UPDATE, REFER, session timers, DNS SRV.
"""
