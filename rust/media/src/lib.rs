//! The media engine without I/O.
