//! The pages in `docs` name paths and crates: they must be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Returns what a page has between single backticks, without its code blocks.
fn quoted(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    text.split("```")
        .step_by(2)
        .flat_map(|part| part.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn every_path_in_the_architecture_mongodb_and_security_pages_exists() {
    let mut checked = 0;
    for page in ["docs/architecture.md", "docs/mongodb.md", "docs/security.md"] {
        for quote in quoted(page) {
            let is_path = quote.contains('/') && !quote.starts_with('/') && !quote.contains(' ');
            if is_path {
                assert!(root().join(&quote).exists(), "{page} names {quote}, which is not there");
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "only {checked} paths were found: is the page still written this way?");
}

/// Returns the Rust sources of a folder and of those below it, as one text.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let crates = ["crypto", "client", "client-cli", "server", "torture", "xtask"];
    let sources: String = crates.iter().map(|name| sources(&root().join(name))).collect();
    let mut checked = 0;
    for name in quoted("docs/security.md") {
        let is_test =
            name.matches('_').count() > 2 && name.chars().all(|letter| letter == '_' || letter.is_alphanumeric());
        if is_test {
            let definition = format!("fn {name}(");
            assert!(sources.contains(&definition), "docs/security.md names the test {name}, which is not there");
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} tests were found: is the page still written this way?");
}

#[test]
fn every_link_in_the_readme_leads_to_a_file() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let links: Vec<&str> =
        text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains(':')).collect();
    assert!(links.len() > 5);
    for link in links {
        assert!(root().join(link).exists(), "README.md links to {link}, which is not there");
    }
}

#[test]
fn every_dependency_has_its_line() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let words: BTreeSet<&str> =
        page.split(|character: char| !(character.is_ascii_alphanumeric() || "-_".contains(character))).collect();
    let dependencies =
        manifest.split("[workspace.dependencies]").nth(1).unwrap().split("[workspace.lints").next().unwrap();
    let mut checked = 0;
    for name in dependencies.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim()) {
        if !name.starts_with("sealpost") && !name.starts_with('#') {
            assert!(words.contains(name), "docs/dependencies.md has no line for {name}");
            checked += 1;
        }
    }
    assert!(checked > 40);
}
