//! Exclusive Canonical XML, written as the document comes, with no more in memory than the caller leaves in it.
//!
//! The form is that of `xml/c14n.rs`; tests hold the two against each other.

use super::scope::{NO_NAMESPACE, NamespaceId, Scope, Tag, XML_NAMESPACE};
use crate::saml::xml::c14n::{escape_attribute, escape_text};

/// Writes canonical octets to [`Canonical::out`], from which the caller takes them.
pub(super) struct Canonical {
    pub out: String,
    /// Declarations written by open elements, the innermost last.
    rendered: Vec<(Box<str>, NamespaceId)>,
    /// Of every open element: how many were written before it.
    open: Vec<usize>,
    /// The InclusiveNamespaces PrefixList, `#default` as the empty prefix.
    prefixes: Vec<String>,
}

impl Canonical {
    pub fn new(prefixes: &[String]) -> Self {
        let prefixes = prefixes.iter().map(|prefix| if prefix == "#default" { String::new() } else { prefix.clone() }).collect();
        Self { out: String::with_capacity(64 * 1024), rendered: Vec::new(), open: Vec::new(), prefixes }
    }

    /// The declarations in force in what was written, each prefix once: what an element needs that is read by itself.
    pub fn context(&self, scope: &Scope) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (prefix, id) in self.rendered.iter().rev() {
            if !found.iter().any(|(known, _)| **known == **prefix) {
                found.push((prefix.to_string(), scope.uri(*id).to_owned()));
            }
        }
        found
    }

    /// The start tag of an element that `scope` has just opened.
    pub fn start(&mut self, tag: &Tag<'_>, scope: &Scope) {
        let apex = self.open.is_empty();
        let before = self.rendered.len();
        self.open.push(before);
        self.out.push('<');
        push_name(tag.prefix, tag.local, &mut self.out);
        self.declarations(tag, scope, apex);
        let mut sorted: Vec<_> = tag.attributes.iter().collect();
        // Canonical XML 2.3: by namespace URI, then by local name.
        sorted.sort_unstable_by_key(|attribute| (scope.uri(attribute.namespace), attribute.local));
        for attribute in sorted {
            self.out.push(' ');
            push_name(attribute.prefix, attribute.local, &mut self.out);
            self.out.push_str("=\"");
            escape_attribute(&attribute.value, &mut self.out);
            self.out.push('"');
        }
        self.out.push('>');
    }

    // Exclusive C14N 3: prefixes that are visibly used, and those of the list as inclusive C14N has them.
    fn declarations(&mut self, tag: &Tag<'_>, scope: &Scope, apex: bool) {
        let before = self.rendered.len();
        self.need(tag.prefix, tag.namespace);
        for attribute in tag.attributes.iter().filter(|attribute| !attribute.prefix.is_empty()) {
            self.need(attribute.prefix, attribute.namespace);
        }
        let prefixes = std::mem::take(&mut self.prefixes);
        for wanted in &prefixes {
            let own = scope.bindings().get(tag.declared_from..).unwrap_or_default();
            let found = own.iter().find(|(prefix, _)| **prefix == **wanted).map(|(_, id)| *id);
            if let Some(id) = found.or_else(|| apex.then(|| scope.lookup(wanted)).flatten()) {
                self.need(wanted, id);
            }
        }
        self.prefixes = prefixes;
        if let Some(new) = self.rendered.get_mut(before..) {
            new.sort_unstable();
        }
        for (prefix, id) in self.rendered.get(before..).unwrap_or_default() {
            self.out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            self.out.push_str(prefix);
            self.out.push_str("=\"");
            escape_attribute(scope.uri(*id), &mut self.out);
            self.out.push('"');
        }
    }

    /// Notes a declaration unless the nearest one written for that prefix says the same.
    fn need(&mut self, prefix: &str, id: NamespaceId) {
        if id == XML_NAMESPACE {
            return;
        }
        let written = self.rendered.iter().rev().find(|(rendered, _)| **rendered == *prefix).map(|(_, id)| *id);
        let same = match written {
            Some(written) => written == id,
            None => prefix.is_empty() && id == NO_NAMESPACE,
        };
        if !same {
            self.rendered.push((prefix.into(), id));
        }
    }

    /// Character data, references resolved.
    pub fn text(&mut self, text: &str) {
        escape_text(text, &mut self.out);
    }

    /// The end of the innermost element; `name` as it was written.
    pub fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        self.rendered.truncate(self.open.pop().unwrap_or(0));
    }
}

fn push_name(prefix: &str, local: &str, out: &mut String) {
    if !prefix.is_empty() {
        out.push_str(prefix);
        out.push(':');
    }
    out.push_str(local);
}
