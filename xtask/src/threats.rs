//! The table of attacks in docs/security.md: which code answers a row, and which tests fail without it.
//!
//! The table is generated. A row's code is each file that names one of its countermeasures, its tests are the functions named
//! `threat_ROW_…`. A row without code or without a test is an error, and so is a countermeasure that no file names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use sealpost_sabotage::{Countermeasure, Row};

use crate::command::root;

const PAGE: &str = "docs/security.md";
const BEGIN: &str = "<!-- threats: written by `cargo xtask threats` -->";
const END: &str = "<!-- /threats -->";
/// The folders whose sources are read.
const FOLDERS: [&str; 8] = ["api", "bench", "client", "client-cli", "crypto", "server", "torture", "xtask"];

/// The path before a countermeasure's name in code.
const NAMED: &str = "Countermeasure::";

/// How the definition of a test begins.
const TEST: &str = "fn threat_";

/// The files and tests of one row.
#[derive(Debug, Default)]
struct Found {
    code: Vec<String>,
    tests: Vec<String>,
}

/// Rewrites the table in docs/security.md.
///
/// # Errors
/// When a row has no code or no test, or the page has no place for the table.
pub(crate) fn write() -> Result<()> {
    let path = root()?.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    fs::write(&path, updated(&page)?).with_context(|| format!("cannot write {PAGE}"))?;
    eprintln!("{PAGE} is up to date");
    Ok(())
}

/// Returns every row that has code or a test.
pub(crate) fn rows() -> Result<Vec<u8>> {
    Ok(scan()?.into_keys().collect())
}

fn updated(page: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no line {END}"))?;
    Ok(format!("{before}{BEGIN}\n\n{}\n{END}{after}", table(&scan()?)?))
}

fn table(found: &BTreeMap<u8, Found>) -> Result<String> {
    let mut text = String::from(
        "| row | attack | where it is answered | tests that fail without the answer |\n|---|---|---|---|\n",
    );
    let mut lacking = Vec::new();
    for (Row(row), attack) in Row::ALL {
        match found.get(row) {
            Some(Found { code, tests }) if !code.is_empty() && !tests.is_empty() => {
                text.push_str(&format!("| {row} | {attack} | {} | {} |\n", quoted(code), quoted(tests)));
            }
            _ => lacking.push(row.to_string()),
        }
    }
    if !lacking.is_empty() {
        bail!("no code or no test for the rows {}", lacking.join(", "));
    }
    Ok(text)
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn scan() -> Result<BTreeMap<u8, Found>> {
    let root = root()?;
    let mut found: BTreeMap<u8, Found> = BTreeMap::new();
    for folder in FOLDERS {
        for path in sources(&root.join(folder))? {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            for countermeasure in named(&text) {
                let code = &mut found.entry(countermeasure.row().0).or_default().code;
                if !code.contains(&name) {
                    code.push(name.clone());
                }
            }
            for test in text.split(TEST).skip(1).filter_map(|rest| rest.split('(').next()) {
                let Some(row) = test.split('_').next().and_then(|row| row.parse().ok()) else { continue };
                found.entry(row).or_default().tests.push(format!("threat_{test}"));
            }
        }
    }
    Ok(found)
}

/// Returns the countermeasures that a source names, in the order of the rows.
fn named(text: &str) -> impl Iterator<Item = Countermeasure> {
    Countermeasure::ALL.iter().copied().filter(move |countermeasure| {
        let name = format!("{NAMED}{countermeasure:?}");
        text.match_indices(&name)
            .any(|(at, _)| !text[at + name.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_'))
    })
}

/// Returns the Rust sources of a folder and of those below it, sorted. `target` folders are left out.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return Ok(files) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                files.extend(sources(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_code_and_a_test_and_the_security_page_names_them() {
        let page = fs::read_to_string(root().unwrap().join(PAGE)).unwrap();
        assert!(updated(&page).unwrap() == page, "{PAGE} is out of date: run `cargo xtask threats`");
    }

    #[test]
    fn every_countermeasure_stands_somewhere_in_the_code() {
        let root = root().unwrap();
        let mut lacking = Countermeasure::ALL.to_vec();
        for folder in FOLDERS {
            for path in sources(&root.join(folder)).unwrap() {
                let text = fs::read_to_string(path).unwrap();
                let here: Vec<_> = named(&text).collect();
                lacking.retain(|countermeasure| !here.contains(countermeasure));
            }
        }
        assert_eq!(lacking, []);
    }

    #[test]
    fn a_row_without_a_test_is_an_error() {
        let found = BTreeMap::from([(1, Found { code: vec!["a.rs".into()], tests: vec![] })]);
        assert!(table(&found).unwrap_err().to_string().contains("rows 1, 2,"));
    }
}
