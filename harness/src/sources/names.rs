//! Collects what a module defines, imports and names.

use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Macro, Meta, Type, Visibility};

use super::code;
use super::modules::Module;

/// Fills a module from its items, without those of the modules below it.
pub(super) fn collect(items: &[Item], into: &mut Module) {
    for item in items {
        if code::is_for_tests(code::attributes(item)) {
            continue;
        }
        into.items.extend(code::defined(item));
        if let Item::Impl(block) = item
            && block.trait_.is_none()
            && let Type::Path(named) = &*block.self_ty
        {
            into.implemented.extend(named.path.segments.last().map(|segment| segment.ident.to_string()));
        }
        if !matches!(item, Item::Mod(_)) {
            Names(into).visit_item(item);
        }
    }
}

struct Names<'m>(&'m mut Module);

impl Names<'_> {
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        code::paths(tokens, &mut |path| {
            self.0.mentions.insert(path);
        });
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !code::is_for_tests(code::attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !code::is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let handed_on = !matches!(item.vis, Visibility::Inherited);
        code::imports(&item.tree, &[], handed_on, &mut self.0.imports);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.mentions.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}
