//! From the command line, the environment and a TOML file to a checked [`Config`].

use crate::base::config::Config;

mod args;
mod error;
mod file;
mod layers;

pub use args::ServeArgs;
pub use error::LoadError;
use file::FileConfig;

/// Reads the file that the arguments name, and lays the arguments over it and it over the defaults. The environment is in the
/// arguments: clap has put it there.
///
/// # Errors
/// [`LoadError`]
pub fn load(args: ServeArgs) -> Result<Config, LoadError> {
    let file = args.config.as_deref().map(FileConfig::read).transpose()?.unwrap_or_default();
    layers::merge(args, file)
}

/// Returns the configuration that a file with this text gives without any argument but the data folder.
///
/// # Errors
/// [`LoadError`]
#[cfg(fuzzing)]
pub fn from_text(text: &str) -> Result<Config, LoadError> {
    let args = ServeArgs { data: Some("/data".into()), ..ServeArgs::default() };
    layers::merge(args, FileConfig::parse(text, "-".as_ref())?)
}
