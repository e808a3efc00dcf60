"""What outlives a call: calls, legs, streams, events, recordings and API keys, in SQLite or PostgreSQL."""
