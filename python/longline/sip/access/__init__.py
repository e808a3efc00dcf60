"""Whom we know and who is let in: peers, credentials, limits, and where the phones are."""
