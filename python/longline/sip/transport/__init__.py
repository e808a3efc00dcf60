"""The only sockets of SIP, and its DNS: `sockets` has them all; `udp`, `tcp` with `connection`, and `tls` are kinds."""
