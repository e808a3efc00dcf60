//! The other parties of a call: control, a phone, and an application.

pub mod app;
pub mod phone;
pub mod server;

pub use app::{App, Socket};
pub use phone::Phone;
pub use server::Server;
