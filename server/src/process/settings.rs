//! Loads a checked [`Config`] from the command line, the environment and a TOML file.

use crate::base::config::Config;

mod args;
mod error;
mod file;
mod layers;

pub use args::ServeArgs;
pub use error::LoadError;
use file::FileConfig;

/// Reads the file that the arguments name, and merges arguments over the file over the defaults. The arguments include
/// the environment, because clap adds it.
///
/// # Errors
/// [`LoadError`] if the file or a setting is invalid.
pub fn load(args: ServeArgs) -> Result<Config, LoadError> {
    let file = args.config.as_deref().map(FileConfig::read).transpose()?.unwrap_or_default();
    layers::merge(args, file)
}

/// Returns the configuration that a file with this text gives without any argument but the data folder.
///
/// # Errors
/// [`LoadError`] if the text or a setting is invalid.
#[cfg(fuzzing)]
pub fn from_text(text: &str) -> Result<Config, LoadError> {
    let args = ServeArgs { data: Some("/data".into()), ..ServeArgs::default() };
    layers::merge(args, FileConfig::parse(text, "-".as_ref())?)
}
