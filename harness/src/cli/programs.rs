//! Where the programs under test are.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// Where the programs under test are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `sealpost-server`.
    pub server: PathBuf,
    /// `sealpost`.
    pub client: PathBuf,
}

impl Programs {
    /// Finds the programs in this folder, or beside the running program.
    ///
    /// # Errors
    /// If one of them is not there. The error says how to build it.
    pub fn find(folder: Option<PathBuf>) -> Result<Self> {
        let folder = match folder {
            Some(folder) => folder,
            None => beside_this_program()?,
        };
        let programs = Self { server: folder.join("sealpost-server"), client: folder.join("sealpost") };
        for program in [&programs.server, &programs.client] {
            if !program.exists() {
                bail!("{} is missing: cargo build --package sealpost-server --package sealpost", program.display());
            }
        }
        Ok(programs)
    }
}

fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program lies in a folder")?;
    // A test program lies one level deeper, in `deps`.
    let deeper = folder.file_name().is_some_and(|name| name == "deps");
    Ok(if deeper { folder.parent().unwrap_or(folder) } else { folder }.to_path_buf())
}
