"""The only sockets of SIP: one file per transport."""
