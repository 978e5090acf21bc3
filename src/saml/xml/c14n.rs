//! Canonical XML 1.0 and Exclusive Canonical XML 1.0, without comments (the tree has none).

use super::dom::{Attribute, Element, Kind, NO_NAMESPACE, NamespaceId, XML_NAMESPACE};

/// Which canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canonicalization<'p> {
    /// With the InclusiveNamespaces PrefixList (`#default` for the default namespace).
    Exclusive(&'p [&'p str]),
    Inclusive,
}

/// The canonical bytes of `apex` without the elements in `omit`.
pub fn canonicalize(apex: Element<'_>, method: Canonicalization<'_>, omit: &[Element<'_>]) -> String {
    let capacity = apex.range().len() + 256;
    let mut writer = Canonicalizer { out: String::with_capacity(capacity), rendered: Vec::with_capacity(16), method, omit };
    writer.element(apex, true);
    writer.out
}

/// A namespace name of which all engines make the same bytes: with scheme and authority, or a URN. To libxml2 others are
/// relative, and it writes `&` as it stands.
pub(in crate::saml) fn has_one_form(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let placed = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        && port.bytes().all(|byte| byte.is_ascii_digit());
    named
        && (placed || (scheme.eq_ignore_ascii_case("urn") && !rest.is_empty()))
        && uri.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$()*+,;=".contains(&byte))
        && uri.matches('#').count() <= 1
}

struct Canonicalizer<'d, 'p> {
    out: String,
    /// Namespace declarations written by open elements, the innermost last.
    rendered: Vec<(&'d str, NamespaceId)>,
    method: Canonicalization<'p>,
    omit: &'p [Element<'p>],
}

impl<'d> Canonicalizer<'d, '_> {
    fn element(&mut self, element: Element<'d>, apex: bool) {
        let data = element.data();
        let before = self.rendered.len();
        self.out.push('<');
        self.name(data.prefix, data.local);
        self.declarations(element, apex);
        self.attributes(element, apex);
        self.out.push('>');
        for index in element.child_indices() {
            match element.document.node(index).map(|node| &node.kind) {
                Some(Kind::Text(text)) => escape_text(text, &mut self.out),
                Some(Kind::Element(_)) => {
                    let child = Element { index, ..element };
                    if !self.omit.iter().any(|omitted| omitted.index == index) {
                        self.element(child, false);
                    }
                }
                None => {}
            }
        }
        self.out.push_str("</");
        self.name(data.prefix, data.local);
        self.out.push('>');
        self.rendered.truncate(before);
    }

    fn name(&mut self, prefix: &str, local: &str) {
        if !prefix.is_empty() {
            self.out.push_str(prefix);
            self.out.push(':');
        }
        self.out.push_str(local);
    }

    fn declarations(&mut self, element: Element<'d>, apex: bool) {
        let before = self.rendered.len();
        match self.method {
            Canonicalization::Exclusive(prefixes) => {
                // Exclusive C14N 3: prefixes that are visibly used, and those of the list as inclusive C14N has them.
                let data = element.data();
                self.need(data.prefix, data.namespace);
                for attribute in element.attributes() {
                    if !attribute.prefix.is_empty() {
                        self.need(attribute.prefix, attribute.namespace);
                    }
                }
                for listed in prefixes {
                    let wanted = if *listed == "#default" { "" } else { *listed };
                    // Below the apex only what is declared anew can differ, which keeps hostile lists cheap.
                    let own = element.document.declarations(element.data().declarations);
                    let found = own.iter().find(|(prefix, _)| *prefix == wanted).copied();
                    if let Some((prefix, id)) = found.or_else(|| apex.then(|| element.lookup(wanted)).flatten()) {
                        self.need(prefix, id);
                    }
                }
            }
            Canonicalization::Inclusive if apex => {
                for (prefix, id) in element.bindings() {
                    self.need(prefix, id);
                }
            }
            Canonicalization::Inclusive => {
                for (prefix, id) in element.document.declarations(element.data().declarations) {
                    self.need(prefix, *id);
                }
            }
        }
        if let Some(new) = self.rendered.get_mut(before..) {
            new.sort_unstable();
        }
        for (prefix, id) in self.rendered.get(before..).unwrap_or_default() {
            self.out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            self.out.push_str(prefix);
            self.out.push_str("=\"");
            escape_attribute(element.document.uri(*id), &mut self.out);
            self.out.push('"');
        }
    }

    /// Notes a declaration unless the nearest one written for that prefix says the same.
    fn need(&mut self, prefix: &'d str, id: NamespaceId) {
        if id == XML_NAMESPACE {
            return;
        }
        let written = self.rendered.iter().rev().find(|(rendered, _)| *rendered == prefix).map(|(_, id)| *id);
        let same = match written {
            Some(written) => written == id,
            None => prefix.is_empty() && id == NO_NAMESPACE,
        };
        if !same {
            self.rendered.push((prefix, id));
        }
    }

    fn attributes(&mut self, element: Element<'d>, apex: bool) {
        let own = element.attributes();
        // Canonical XML 2.4: xml: attributes of omitted ancestors move to the apex (not so in the exclusive form).
        let inherited = if apex && self.method == Canonicalization::Inclusive { inherited_xml_attributes(element) } else { Vec::new() };
        if let ([attribute], []) = (own, inherited.as_slice()) {
            return self.attribute(attribute);
        }
        let mut sorted: Vec<&Attribute<'_>> = own.iter().chain(inherited).collect();
        // Canonical XML 2.3: by namespace URI, then by local name.
        sorted.sort_unstable_by_key(|attribute| (element.document.uri(attribute.namespace), attribute.local));
        for attribute in sorted {
            self.attribute(attribute);
        }
    }

    fn attribute(&mut self, attribute: &Attribute<'_>) {
        self.out.push(' ');
        self.name(attribute.prefix, attribute.local);
        self.out.push_str("=\"");
        escape_attribute(&attribute.value, &mut self.out);
        self.out.push('"');
    }
}

fn inherited_xml_attributes(element: Element<'_>) -> Vec<&Attribute<'_>> {
    let mut found: Vec<&Attribute<'_>> = Vec::new();
    let mut ancestor = element.parent();
    while let Some(here) = ancestor {
        for attribute in here.attributes().iter().filter(|attribute| attribute.namespace == XML_NAMESPACE) {
            let known = |other: &Attribute<'_>| other.namespace == XML_NAMESPACE && other.local == attribute.local;
            if !element.attributes().iter().any(known) && !found.iter().any(|other| known(other)) {
                found.push(attribute);
            }
        }
        ancestor = here.parent();
    }
    found
}

pub(in crate::saml) fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

pub(in crate::saml) fn escape_attribute(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    });
}

fn escape(text: &str, out: &mut String, replace: impl Fn(u8) -> Option<&'static str>) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(replacement) = replace(byte) {
            out.push_str(text.get(from..at).unwrap_or_default());
            out.push_str(replacement);
            from = at + 1;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}
