//! The other parties of a call: control, a phone, and an application.

pub mod app;
pub mod native;
pub mod phone;
pub mod server;

pub use app::{App, Socket};
pub use native::Native;
pub use phone::Phone;
pub use server::Server;
