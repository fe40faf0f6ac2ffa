//! `ew.toml` to a checked configuration.
//!
//! Every value is parsed while it is deserialized, so every error has file, line and column. What one
//! formatter, transporter, domain or bus understands lives with it, in its own crate.

mod check;
mod error;
mod file;
mod load;
mod options;
mod profiles;
mod receivers;
mod secret;
mod texts;

pub use error::ConfigError;
pub use file::find;
pub use options::{Config, ExportOptions, LogOptions};
pub use receivers::{Received, Setting};
pub use secret::resolve;
