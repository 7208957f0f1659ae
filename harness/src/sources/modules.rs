//! Follows the declarations of modules from a crate's roots, and reads each file that belongs to the product.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Item, ItemMod};

use super::code::{Import, is_for_tests};
use super::error::SourcesError;
use super::names;

/// Where a tree's root module stands among its modules.
pub(super) const ROOT: usize = 0;

/// A crate's sources: one tree for each of its roots.
pub(super) struct Read {
    pub(super) trees: Vec<Tree>,
    /// How many lines each file has.
    pub(super) lines: BTreeMap<PathBuf, usize>,
}

/// The modules that one root (`lib.rs`, `main.rs`, a program in `bin`) leads to.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) modules: Vec<Module>,
}

/// A module: a file, or a part of one.
#[derive(Default)]
pub(super) struct Module {
    pub(super) file: PathBuf,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// The names that it defines.
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// The paths in its code.
    pub(super) mentions: BTreeSet<Vec<String>>,
    /// The types for which it has an `impl` without a trait.
    pub(super) implemented: BTreeSet<String>,
}

/// Reads the crate that encloses a folder.
pub(super) fn read(folder: &Path) -> Result<Read, SourcesError> {
    let home = folder
        .ancestors()
        .find(|folder| folder.join("lib.rs").is_file() || folder.join("main.rs").is_file())
        .ok_or_else(|| SourcesError::NoCrate(folder.to_path_buf()))?;
    let mut roots: Vec<PathBuf> =
        ["lib.rs", "main.rs"].iter().map(|name| home.join(name)).filter(|file| file.is_file()).collect();
    if let Ok(programs) = fs::read_dir(home.join("bin")) {
        roots.extend(
            programs.flatten().map(|entry| entry.path()).filter(|file| file.extension().is_some_and(|end| end == "rs")),
        );
    }
    let mut read = Read { trees: Vec::new(), lines: BTreeMap::new() };
    for root in roots {
        let mut tree = Tree::default();
        let folder = root.parent().unwrap_or(home).to_path_buf();
        file(&mut tree, &mut read.lines, None, root, folder)?;
        read.trees.push(tree);
    }
    Ok(read)
}

/// Reads a file as a module, and the modules below it. `folder` holds the files of its children.
fn file(
    tree: &mut Tree,
    lines: &mut BTreeMap<PathBuf, usize>,
    parent: Option<usize>,
    file: PathBuf,
    folder: PathBuf,
) -> Result<usize, SourcesError> {
    let text = fs::read_to_string(&file).map_err(|source| SourcesError::Read { file: file.clone(), source })?;
    let code = syn::parse_file(&text).map_err(|source| SourcesError::Parse { file: file.clone(), source })?;
    lines.insert(file.clone(), text.lines().count());
    module(tree, lines, parent, &file, &folder, &code.items)
}

/// Adds a module with the items that were read, and the modules below it.
fn module(
    tree: &mut Tree,
    lines: &mut BTreeMap<PathBuf, usize>,
    parent: Option<usize>,
    file: &Path,
    folder: &Path,
    items: &[Item],
) -> Result<usize, SourcesError> {
    let this = tree.modules.len();
    let mut module = Module { file: file.to_path_buf(), parent, ..Module::default() };
    names::collect(items, &mut module);
    tree.modules.push(module);
    for item in items {
        let Item::Mod(declared) = item else { continue };
        if is_for_tests(&declared.attrs) {
            continue;
        }
        let name = declared.ident.to_string();
        let added = child(tree, lines, this, file, folder, declared)?;
        if let Some(module) = tree.modules.get_mut(this) {
            module.children.insert(name, added);
        }
    }
    Ok(this)
}

/// Adds a module that another one declares: from its own file, or from between its braces.
fn child(
    tree: &mut Tree,
    lines: &mut BTreeMap<PathBuf, usize>,
    parent: usize,
    declaring: &Path,
    folder: &Path,
    declared: &ItemMod,
) -> Result<usize, SourcesError> {
    let name = declared.ident.to_string();
    let below = folder.join(&name);
    if let Some((_, items)) = &declared.content {
        return module(tree, lines, Some(parent), declaring, &below, items);
    }
    let stated = super::code::stated_path(&declared.attrs);
    let beside = declaring.parent().unwrap_or(folder);
    let (own, children) = match stated {
        Some(path) => {
            let own = beside.join(path);
            let children = own.parent().unwrap_or(beside).to_path_buf();
            (own, children)
        }
        None if below.with_extension("rs").is_file() => (below.with_extension("rs"), below),
        None => (below.join("mod.rs"), below),
    };
    if !own.is_file() {
        return Err(SourcesError::NoFile { file: declaring.to_path_buf(), name });
    }
    file(tree, lines, Some(parent), own, children)
}
