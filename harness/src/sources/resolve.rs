//! Follows names to the files that define them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::code::Import;
use super::modules::{ROOT, Tree};

/// What a path leads to.
enum Place {
    /// A module of the crate.
    Module(usize),
    /// A name that this module defines.
    Item(usize),
}

/// Which names were looked up on the way, so that imports in a circle end.
type Seen = BTreeSet<(usize, String)>;

/// Returns from which file to which arrows go, each with the name that is used.
pub(super) fn arrows(tree: &Tree) -> BTreeSet<(PathBuf, PathBuf, String)> {
    let mut arrows = BTreeSet::new();
    for (index, module) in tree.modules.iter().enumerate() {
        let imported = module.imports.iter().filter(|import| !import.handed_on).map(|import| &import.path);
        for path in imported.chain(&module.mentions) {
            let Some(Place::Item(target)) = follow(tree, index, path, &mut Seen::new()) else { continue };
            let Some(target) = tree.modules.get(target) else { continue };
            if target.file != module.file {
                let name = path.last().cloned().unwrap_or_default();
                arrows.insert((module.file.clone(), target.file.clone(), name));
            }
        }
    }
    arrows
}

/// Follows a path from a module. Returns `None` for what the crate does not define.
fn follow(tree: &Tree, from: usize, path: &[String], seen: &mut Seen) -> Option<Place> {
    let (first, mut rest) = path.split_first()?;
    let mut place = match first.as_str() {
        "crate" => Place::Module(ROOT),
        "self" => Place::Module(from),
        "super" => Place::Module(tree.modules.get(from)?.parent?),
        name => look_up(tree, from, name, rest.is_empty(), seen)?,
    };
    while let (Place::Module(module), Some((name, after))) = (&place, rest.split_first()) {
        place = match name.as_str() {
            "super" => Place::Module(tree.modules.get(*module)?.parent?),
            // A name that no source shows was made by a macro or a build script.
            name => look_up(tree, *module, name, after.is_empty(), seen).unwrap_or(Place::Item(*module)),
        };
        rest = after;
    }
    Some(place)
}

/// Looks a name up in a module: among its own, then its imports, then its globs.
///
/// A module and another item may bear the same name: a path that goes on means the module.
fn look_up(tree: &Tree, module: usize, name: &str, last: bool, seen: &mut Seen) -> Option<Place> {
    let here = tree.modules.get(module)?;
    let item = here.items.contains(name).then_some(Place::Item(module));
    let child = here.children.get(name).map(|child| Place::Module(*child));
    let own = if last { item.or(child) } else { child.or(item) };
    // Only a name that another one stands for can lead in a circle. A path and what it leads to may share their modules.
    if own.is_some() || !seen.insert((module, name.to_owned())) {
        return own;
    }
    let import = |import: &Import| follow(tree, module, &import.path, &mut seen.clone());
    here.imports.iter().filter(|one| one.name.as_deref() == Some(name)).find_map(import).or_else(|| {
        here.imports.iter().filter(|one| one.name.is_none()).find_map(|glob| {
            let Place::Module(target) = follow(tree, module, &glob.path, &mut seen.clone())? else { return None };
            look_up(tree, target, name, last, &mut seen.clone())
        })
    })
}
