//! Where toolchains that were made are kept: a folder of the user's cache, one folder in it for each version.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Returns the folder of all versions, made when absent.
pub(super) fn folder() -> Result<PathBuf> {
    let cache = match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(cache), _) if Path::new(&cache).is_absolute() => PathBuf::from(cache),
        (_, Some(home)) => Path::new(&home).join(".cache"),
        _ => anyhow::bail!("neither XDG_CACHE_HOME nor HOME says where a toolchain can be kept"),
    };
    let folder = cache.join("sealpost/wasm");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

/// Puts a finished version into its place, and removes the other ones: each is several hundred megabytes.
///
/// A version that is there is complete, because this is the last step of making it.
pub(super) fn keep(folder: &Path, made: &Path, version: &str) -> Result<PathBuf> {
    let place = folder.join(version);
    fs::rename(made, &place).with_context(|| format!("{} cannot be put into its place", made.display()))?;
    for other in fs::read_dir(folder)? {
        let other = other?.path();
        if other != place {
            fs::remove_dir_all(&other).with_context(|| format!("{} cannot be removed", other.display()))?;
        }
    }
    Ok(place)
}

/// Makes an empty folder, in place of what a run that was broken off left there.
pub(super) fn emptied(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_version_takes_the_place_of_every_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("1.0")).unwrap();
        let made = emptied(folder.path().join("making")).unwrap();
        fs::write(made.join("rest"), "of a run that was broken off").unwrap();
        let made = emptied(made).unwrap();
        assert_eq!(fs::read_dir(&made).unwrap().count(), 0);
        fs::write(made.join("rustc"), "").unwrap();
        let place = keep(folder.path(), &made, "2.0").unwrap();
        assert!(place.join("rustc").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
