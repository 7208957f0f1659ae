//! Sources and pages are in plain English, and cite nothing that a reader of the repository cannot open.

use std::fs;
use std::path::{Path, PathBuf};

use crate::docs::root;

/// Phrases that only their authors understand, each with plain words for it.
const DIALECT: &[(&str, &str)] = &[
    ("is none", "is not one, is not a valid …"),
    ("are none", "are not …"),
    ("is no such", "does not exist"),
    ("none of ours", "not one of ours"),
    ("so many", "this number of, at most `n`"),
    ("so much", "up to `n`"),
    ("whoever", "anyone who, the caller, the client"),
    ("who comes", "the next caller"),
    ("such a time", "the interval, by its name"),
    ("has its hands full", "is busy"),
    ("of its own making", "made by itself"),
    ("design notes", "the reason itself"),
];

/// Documents outside the repository. A reader cannot open them: state the reason instead of citing it.
const ELSEWHERE: &[&str] = &["DESIGN", "THREATS", "CONVERSATIONS", "GROUPS.md", "STYLE.md"];

/// Folders of other people's words, or of bytes.
const SKIPPED: &[&str] = &["target", ".git", "corpus", "artifacts", "vectors", "node_modules"];

/// Ends of the names of files that people read.
const READ: &[&str] = &["rs", "md", "proto", "toml", "sql", "js", "yml", "yaml", "sh", "template"];

/// Collects the files that people read, without this one, which lists the phrases.
fn read_by_people(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                read_by_people(&path, files);
            }
        } else if name != "words.rs" && path.extension().is_some_and(|end| READ.iter().any(|read| end == *read)) {
            files.push(path);
        }
    }
}

/// Returns whether a text has this phrase as words of its own. Names of code, such as `whoever_asks`, do not count.
fn says(text: &str, phrase: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|letter| letter == '_' || letter.is_alphanumeric());
    text.match_indices(phrase).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + phrase.len()..]);
        let there = before.ends_with("there ") || before.ends_with("There ");
        !there && !is_part(before.chars().next_back()) && !is_part(after.chars().next())
    })
}

/// Returns what is wrong with a line, in words for the person who wrote it.
fn faults(line: &str) -> Vec<String> {
    let lower = line.to_lowercase();
    let dialect = DIALECT
        .iter()
        .filter(|(phrase, _)| says(&lower, phrase))
        .map(|(phrase, plain)| format!("\"{phrase}\" is hard to read; write: {plain}"));
    let cited = ELSEWHERE
        .iter()
        .filter(|document| says(line, document))
        .map(|document| format!("\"{document}\" is not in this repository; give the reason itself"));
    dialect.chain(cited).collect()
}

#[test]
fn sources_and_pages_are_in_plain_english() {
    let mut files = Vec::new();
    read_by_people(&root(), &mut files);
    assert!(files.len() > 300, "only {} files were found", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        for (number, line) in text.lines().enumerate() {
            found.extend(faults(line).into_iter().map(|fault| format!("{name}:{}: {fault}", number + 1)));
        }
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}

#[test]
fn dialect_and_citations_are_found_and_names_of_code_are_not() {
    assert_eq!(faults("/// The text behind percent signs; `None` when it is none.").len(), 1);
    assert_eq!(faults("/// Whoever asks (DESIGN §6) waits.").len(), 2);
    assert!(faults("/// Returns the oldest, or `None` if there is none.").is_empty());
    assert!(faults("fn whoever_asks_waits() {}").is_empty());
}
