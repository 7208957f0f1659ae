//! The reader of sources, on small made-up crates.
#![cfg(test)]

use std::fs;
use std::path::Path;

use sealpost_harness::sources::{Sources, SourcesError};
use tempfile::TempDir;

/// Writes a crate's files, and reads it. An arrow is told as `from -> to: name`.
fn read(files: &[(&str, &str)]) -> Sources {
    let folder = write(files);
    Sources::read(folder.path()).unwrap()
}

fn write(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn arrows(sources: &Sources) -> Vec<String> {
    sources.arrows().iter().map(|arrow| format!("{arrow:?}")).collect()
}

fn circles(sources: &Sources) -> Vec<Vec<String>> {
    let names = |files: &[std::path::PathBuf]| files.iter().map(|file| file.display().to_string()).collect();
    sources.circles().iter().map(|circle| names(&circle.files)).collect()
}

#[test]
fn a_child_that_imports_from_a_parent_which_uses_it_is_a_circle() {
    let sources = read(&[
        ("lib.rs", "mod parent;"),
        ("parent.rs", "mod child; pub struct Shared; pub fn run() { child::work(Shared) }"),
        ("parent/child.rs", "use super::Shared; pub fn work(_: Shared) {}"),
    ]);
    assert_eq!(circles(&sources), [["parent/child.rs", "parent.rs"]]);
    assert_eq!(
        format!("{:?}", sources.circles()[0].arrows),
        "[parent/child.rs -> parent.rs: Shared, parent.rs -> parent/child.rs: work]"
    );
}

#[test]
fn declaring_a_child_is_no_arrow_and_so_no_circle() {
    let sources = read(&[
        ("lib.rs", "pub mod child; pub struct Shared;"),
        ("child.rs", "use crate::Shared; pub fn work(_: Shared) {}"),
    ]);
    assert_eq!(arrows(&sources), ["child.rs -> lib.rs: Shared"]);
    assert!(sources.circles().is_empty());
}

#[test]
fn nested_groups_and_renamed_names_lead_to_the_files_that_define_them() {
    let sources = read(&[
        ("lib.rs", "mod a; mod user;"),
        ("a.rs", "pub mod c; pub mod e; pub fn b() {}"),
        ("a/c.rs", "pub struct D;"),
        ("a/e.rs", "pub struct F; pub struct G;"),
        ("user.rs", "use crate::a::{b, c::D, e::{self, F as Renamed}}; fn f(_: D, _: Renamed, _: e::G) { b() }"),
    ]);
    let expected = ["user.rs -> a/c.rs: D", "user.rs -> a/e.rs: F", "user.rs -> a/e.rs: G"];
    assert!(expected.iter().all(|arrow| arrows(&sources).contains(&(*arrow).to_owned())), "{:?}", arrows(&sources));
    assert!(arrows(&sources).contains(&"user.rs -> a.rs: b".to_owned()), "{:?}", arrows(&sources));
}

#[test]
fn a_re_export_leads_to_the_definition_and_is_itself_no_arrow() {
    let sources = read(&[
        ("lib.rs", "mod part; pub use part::*;"),
        ("part.rs", "mod one; mod two; pub use self::one::One; pub use self::two::Two as Second;"),
        ("part/one.rs", "pub struct One;"),
        ("part/two.rs", "use super::One; pub struct Two(One); fn far(_: crate::One) {}"),
    ]);
    assert_eq!(arrows(&sources), ["part/two.rs -> part/one.rs: One"]);
}

#[test]
fn a_re_export_whose_name_the_file_uses_too_is_an_arrow() {
    let sources = read(&[
        ("lib.rs", "mod one; pub use one::One; pub fn make() -> One { One }"),
        ("one.rs", "pub struct One; fn call() { crate::make(); }"),
    ]);
    assert_eq!(circles(&sources), [["lib.rs", "one.rs"]]);
}

#[test]
fn a_name_that_a_glob_brings_is_followed() {
    let sources = read(&[
        ("lib.rs", "mod names; mod user;"),
        ("names.rs", "pub struct Name; pub struct Unused;"),
        ("user.rs", "use crate::names::*; fn f(_: Name) {}"),
    ]);
    assert_eq!(arrows(&sources), ["user.rs -> names.rs: Name"]);
}

#[test]
fn paths_in_macros_attributes_and_bodies_are_seen() {
    let sources = read(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a.rs", "pub fn text() {}"),
        ("b.rs", "pub fn form() {}"),
        ("c.rs", "fn f() { println!(\"{}\", x.a(vec![crate::a::text()])) }"),
        ("d.rs", "#[serde(with = \"crate::b::form\")] struct S;"),
        ("e.rs", "fn f() { use crate::a; let _ = Some(1).map(|_| a::text()); }"),
    ]);
    assert_eq!(arrows(&sources), ["c.rs -> a.rs: text", "d.rs -> b.rs: form", "e.rs -> a.rs: text"]);
}

#[test]
fn what_only_tests_see_is_not_read() {
    let sources = read(&[
        ("lib.rs", "mod a; mod b; #[cfg(test)] mod tests;"),
        ("a.rs", "pub fn a() {} #[cfg(test)] mod tests { use crate::b::b; }"),
        ("b.rs", "use crate::a::a; pub fn b() { a() } #[cfg(all(test, unix))] fn c() { crate::tests::d() }"),
        ("tests.rs", "use crate::a::a;"),
    ]);
    assert_eq!(arrows(&sources), ["b.rs -> a.rs: a"]);
    let files: Vec<_> = sources.files().iter().map(|file| file.path.display().to_string()).collect();
    assert_eq!(files, ["a.rs", "b.rs", "lib.rs"]);
}

#[test]
fn a_folder_below_the_root_is_read_alone_with_the_names_of_the_whole_crate() {
    let folder = write(&[
        ("lib.rs", "mod store; pub use store::one::One; pub struct Outside;"),
        ("store.rs", "pub mod one; mod two;"),
        ("store/one.rs", "pub struct One; fn f() { super::two::two(crate::Outside) }"),
        ("store/two.rs", "use crate::One; pub fn two() {}"),
    ]);
    let sources = Sources::read(&folder.path().join("store")).unwrap();
    assert_eq!(circles(&sources), [["one.rs", "two.rs"]]);
    assert_eq!(sources.arrows().len(), 2);
}

#[test]
fn three_files_in_a_ring_are_one_circle_and_a_chain_is_none() {
    let sources = read(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "use crate::a::A; use crate::d::D; pub struct C;"),
        ("d.rs", "pub struct D;"),
    ]);
    assert_eq!(circles(&sources), [["a.rs", "b.rs", "c.rs"]]);
}

#[test]
fn lines_and_implementations_are_told() {
    let sources = read(&[
        ("lib.rs", "mod a;\n\npub struct Engine;\nimpl Engine {}\n"),
        ("a.rs", "use crate::Engine;\nimpl Engine { fn a() {} }\nimpl Clone for Engine {}\nimpl Drop for Other {}\n"),
    ]);
    assert_eq!(sources.files().iter().map(|file| file.lines).collect::<Vec<_>>(), [4, 4]);
    assert_eq!(sources.implementing("Engine"), [Path::new("a.rs"), Path::new("lib.rs")]);
    assert!(sources.implementing("Other").is_empty());
}

#[test]
fn a_folder_without_a_crate_and_a_missing_module_are_refused() {
    let folder = write(&[("notes.txt", "")]);
    assert!(matches!(Sources::read(folder.path()), Err(SourcesError::NoCrate(_))));
    let folder = write(&[("lib.rs", "mod gone;")]);
    assert!(matches!(Sources::read(folder.path()), Err(SourcesError::NoFile { name, .. }) if name == "gone"));
}
