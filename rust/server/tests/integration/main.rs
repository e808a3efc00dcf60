//! The media server as its users see it: the real program, driven over its socket, with a phone on one side and an
//! application on the other. Times are generous: two busy cores are assumed.

mod audio;
mod closing;
mod control;
mod dial_in;
mod faults;
mod files;
mod outages;
mod recordings;
mod resumption;
mod signals;
mod stopping;
mod support;
mod tls;
mod upgrade;
mod websocket_cases;
