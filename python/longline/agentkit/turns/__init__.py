"""Turn-taking without I/O and clock: timestamps in, decisions out. All times are seconds of one clock, the caller's."""
