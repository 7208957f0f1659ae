//! Known flaws of dependencies, from a copy of the RustSec advisory database.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::command::{root, run_cargo};

/// The variable that names a clone of <https://github.com/rustsec/advisory-db>. Without it advisories are not looked for,
/// because the checks do not otherwise need the network.
const DATABASE: &str = "SEALPOST_ADVISORY_DB";

/// Refuses a tree with a dependency that has a known flaw or was withdrawn, where a copy of the database is named.
///
/// # Errors
/// When there is such a dependency, or no such database.
pub(crate) fn advisories() -> Result<()> {
    let Some(database) = std::env::var_os(DATABASE) else {
        eprintln!("\n==> {DATABASE} names no copy of the advisory database: known flaws are not looked for");
        return Ok(());
    };
    let target = root()?.join("target");
    let config = target.join("deny-advisories.toml");
    fs::create_dir_all(&target)?;
    fs::write(&config, advisory_config(&target))?;
    let config = config.to_str().context("the path of this workspace is not text")?;
    let instead = taken_from(Path::new(&database))?;
    let environment: Vec<(&str, &str)> = instead.iter().map(|(name, value)| (*name, value.as_str())).collect();
    run_cargo(&["deny", "--all-features", "--config", config, "check", "advisories"], &environment)
}

/// Where the database comes from. `cargo deny` takes no address without a host, so a local clone stands in for this one.
const ADDRESS: &str = "https://github.com/rustsec/advisory-db";

/// Returns a configuration that looks for advisories, and refuses withdrawn versions.
fn advisory_config(cache: &Path) -> String {
    let cache = cache.join("advisory-db");
    format!(
        "[advisories]\ndb-urls = [\"{ADDRESS}\"]\ndb-path = \"{}\"\ngit-fetch-with-cli = true\nyanked = \"deny\"\n",
        cache.display(),
    )
}

/// Returns the environment that makes git clone the database from a folder instead of from its address.
fn taken_from(database: &Path) -> Result<[(&'static str, String); 3]> {
    let database = database.canonicalize().with_context(|| format!("there is no {}", database.display()))?;
    if !database.join(".git").exists() && !database.join("HEAD").exists() {
        bail!("{} is no git repository: {DATABASE} names a clone of the advisory database", database.display());
    }
    Ok([
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", database.display())),
        ("GIT_CONFIG_VALUE_0", ADDRESS.to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use sealpost_sabotage::{Countermeasure, without};

    use super::*;

    /// A package of its own that takes one dependency.
    struct Tree {
        folder: tempfile::TempDir,
    }

    impl Tree {
        fn new(dependency: &str) -> Self {
            let tree = Self { folder: tempfile::tempdir().unwrap() };
            let manifest = format!(
                "[workspace]\n[package]\nname = \"tree\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n\
                 [dependencies]\n{dependency}\n"
            );
            tree.package("", &manifest);
            tree
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn package(&self, folder: &str, manifest: &str) {
            fs::create_dir_all(self.path(folder).join("src")).unwrap();
            fs::write(self.path(folder).join("Cargo.toml"), manifest).unwrap();
            fs::write(self.path(folder).join("src/lib.rs"), "").unwrap();
        }

        fn git(&self, folder: &str) {
            for arguments in [
                &["init", "--quiet", "--initial-branch", "main"][..],
                &["add", "."],
                &["commit", "--quiet", "--message", "x"],
            ] {
                let mut git = Command::new("git");
                git.args(["-c", "user.name=x", "-c", "user.email=x@example.org"]).args(arguments);
                assert!(git.current_dir(self.path(folder)).status().unwrap().success());
            }
        }

        /// Runs `cargo deny` with these rules. Returns whether it passed, and what it printed.
        fn checked(&self, config: &Path, what: &str, environment: &[(&str, String)]) -> (bool, String) {
            let mut deny = Command::new("cargo");
            deny.args(["deny", "--color", "never", "--manifest-path"]).arg(self.path("Cargo.toml"));
            deny.arg("--config")
                .arg(config)
                .args(["check", what])
                .envs(environment.iter().cloned())
                .stdin(Stdio::null());
            let output = deny.output().unwrap();
            (output.status.success(), String::from_utf8(output.stderr).unwrap())
        }

        /// Returns the rules of the workspace, or an empty file where they are left out.
        fn rules(&self) -> PathBuf {
            if without(Countermeasure::DependencyRules) {
                let nothing = self.path("nothing.toml");
                fs::write(
                    &nothing,
                    "[sources]\nunknown-git = \"allow\"\n[licenses]\nallow = [\"MIT\", \"GPL-3.0-only\"]\n",
                )
                .unwrap();
                return nothing;
            }
            root().unwrap().join("deny.toml")
        }
    }

    #[test]
    fn threat_72_a_licence_that_was_not_agreed_to_is_refused() {
        let tree = Tree::new("planted = { path = \"planted\" }");
        tree.package(
            "planted",
            "[package]\nname = \"planted\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"GPL-3.0-only\"\n",
        );
        let (passed, found) = tree.checked(&tree.rules(), "licenses", &[]);
        assert!(!passed && found.contains("error[rejected]") && found.contains("GPL-3.0-only"), "{found}");
    }

    #[test]
    fn threat_72_a_source_that_was_not_agreed_to_is_refused() {
        let mut tree = Tree::new("");
        tree.package(
            "planted",
            "[package]\nname = \"planted\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n",
        );
        tree.git("planted");
        let dependency = format!("planted = {{ git = \"file://{}\" }}", tree.path("planted").display());
        let planted = std::mem::replace(&mut tree, Tree::new(&dependency));
        let (passed, found) = tree.checked(&tree.rules(), "sources", &[]);
        assert!(!passed && found.contains("error[source-not-allowed]"), "{found}");
        drop(planted);
    }

    #[test]
    fn a_dependency_with_a_known_flaw_is_refused_where_a_database_is_named() {
        let tree = Tree::new("planted = { path = \"planted\" }\nitoa = \"1\"");
        tree.package(
            "planted",
            "[package]\nname = \"planted\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n",
        );
        fs::create_dir_all(tree.path("database/crates/itoa")).unwrap();
        fs::write(
            tree.path("database/crates/itoa/RUSTSEC-2026-9999.md"),
            "```toml\n[advisory]\nid = \"RUSTSEC-2026-9999\"\npackage = \"itoa\"\ndate = \"2026-01-01\"\n\
             [versions]\npatched = []\n```\n\n# A flaw\n\nMade up.\n",
        )
        .unwrap();
        tree.git("database");
        let config = tree.path("advisories.toml");
        fs::write(&config, advisory_config(&tree.path("cache"))).unwrap();
        let (passed, found) = tree.checked(&config, "advisories", &taken_from(&tree.path("database")).unwrap());
        assert!(!passed && found.contains("RUSTSEC-2026-9999"), "{found}");
    }
}
