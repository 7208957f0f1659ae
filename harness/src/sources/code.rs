//! Small readings of code: imports, attributes, and the paths among a macro's tokens.

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta, Token, UseTree};

/// One name of a `use`, or one glob.
pub(super) struct Import {
    /// What the module calls it. A glob has no name.
    pub(super) name: Option<String>,
    pub(super) path: Vec<String>,
    /// Whether it is a re-export.
    pub(super) handed_on: bool,
}

/// Takes a `use` apart: each name of each group is one import.
pub(super) fn imports(tree: &UseTree, before: &[String], handed_on: bool, into: &mut Vec<Import>) {
    let joined = |name: String| {
        if name == "self" && !before.is_empty() { before.to_vec() } else { [before, &[name]].concat() }
    };
    match tree {
        UseTree::Path(step) => imports(&step.tree, &joined(step.ident.to_string()), handed_on, into),
        UseTree::Name(last) => {
            let path = joined(last.ident.to_string());
            into.push(Import { name: path.last().cloned(), path, handed_on });
        }
        UseTree::Rename(last) => {
            let path = joined(last.ident.to_string());
            into.push(Import { name: Some(last.rename.to_string()), path, handed_on });
        }
        UseTree::Glob(_) => into.push(Import { name: None, path: before.to_vec(), handed_on }),
        UseTree::Group(group) => group.items.iter().for_each(|tree| imports(tree, before, handed_on, into)),
    }
}

/// Returns whether attributes leave an item to tests.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    fn asks_for_tests(condition: &Meta) -> bool {
        match condition {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .is_ok_and(|conditions| conditions.iter().any(asks_for_tests)),
            _ => false,
        }
    }
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<Meta>().is_ok_and(|condition| asks_for_tests(&condition))
    })
}

/// Returns the file that `#[path = "…"]` states.
pub(super) fn stated_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

/// Returns an item's attributes.
pub(super) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the name that an item defines.
pub(super) fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Finds the paths among tokens that no parser reads: the arguments of macros and attributes.
pub(super) fn paths(tokens: TokenStream, found: &mut impl FnMut(Vec<String>)) {
    let mut path: Vec<String> = Vec::new();
    // Colons since the last name of the path; and whether that name belongs to a value (`value.name`).
    let (mut colons, mut of_value) = (0, false);
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 && !path.is_empty() {
                    found(std::mem::take(&mut path));
                }
                if !of_value {
                    path.push(ident.to_string());
                }
                (colons, of_value) = (0, false);
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
            other => {
                if !path.is_empty() {
                    found(std::mem::take(&mut path));
                }
                (colons, of_value) = (0, matches!(&other, TokenTree::Punct(mark) if mark.as_char() == '.'));
                match other {
                    TokenTree::Group(group) => paths(group.stream(), found),
                    TokenTree::Literal(literal) => quoted(&literal.to_string(), found),
                    _ => {}
                }
            }
        }
    }
    if !path.is_empty() {
        found(path);
    }
}

/// Takes a quoted path, as `#[serde(with = "super::form")]` has it.
fn quoted(literal: &str, found: &mut impl FnMut(Vec<String>)) {
    let text = literal.trim_matches('"');
    if text.len() + 2 == literal.len()
        && text.contains("::")
        && let Ok(path) = syn::parse_str::<syn::Path>(text)
    {
        found(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
    }
}
