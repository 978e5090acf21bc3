//! Tags with their namespaces resolved, as they come: what `xml`'s reader does for a whole tree, for one open path.

use crate::saml::names;
use crate::saml::xml::XmlErrorKind;
use crate::saml::xml::reader::{NAMESPACE_NAME, NAMESPACES, Outcome, attribute_value, each_attribute, is_space, malformed, split_name};
use std::borrow::Cow;

/// Index of a namespace name; 0 is "no namespace", 1 that of `xml:`.
pub(super) type NamespaceId = u16;
pub(super) const NO_NAMESPACE: NamespaceId = 0;
pub(super) const XML_NAMESPACE: NamespaceId = 1;

/// Open elements at most.
const DEPTH: usize = 64;
const ATTRIBUTES_PER_ELEMENT: usize = 64;

/// Open elements, and the namespace bindings in force.
pub(super) struct Scope {
    open: Vec<Open>,
    bindings: Vec<(Box<str>, NamespaceId)>,
    uris: Vec<Box<str>>,
}

struct Open {
    /// As written, with its prefix.
    name: Box<str>,
    bindings_before: usize,
}

/// A start tag.
pub(super) struct Tag<'a> {
    pub prefix: &'a str,
    pub local: &'a str,
    pub namespace: NamespaceId,
    pub attributes: Vec<TagAttribute<'a>>,
    /// Index of the first binding that this tag declares.
    pub declared_from: usize,
}

pub(super) struct TagAttribute<'a> {
    pub prefix: &'a str,
    pub local: &'a str,
    pub namespace: NamespaceId,
    pub value: Cow<'a, str>,
}

impl Tag<'_> {
    /// An attribute in no namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.namespace == NO_NAMESPACE && attribute.local == name).map(|a| &*a.value)
    }
}

impl Scope {
    pub fn new() -> Self {
        Self { open: Vec::with_capacity(DEPTH), bindings: Vec::new(), uris: vec!["".into(), names::XML.into()] }
    }

    /// Open elements.
    pub const fn depth(&self) -> usize {
        self.open.len()
    }

    pub fn uri(&self, id: NamespaceId) -> &str {
        self.uris.get(usize::from(id)).map_or("", |uri| uri)
    }

    pub fn is(&self, tag: &Tag<'_>, namespace: &str, local: &str) -> bool {
        tag.local == local && self.uri(tag.namespace) == namespace
    }

    /// All bindings in force, the outermost first.
    pub fn bindings(&self) -> &[(Box<str>, NamespaceId)] {
        &self.bindings
    }

    /// Opens the element of a start tag, `raw` with its angle brackets.
    pub fn open<'a>(&mut self, raw: &'a str, empty: bool) -> Outcome<Tag<'a>> {
        if self.open.len() >= DEPTH {
            return Err(XmlErrorKind::TooComplex { what: "levels of nesting", limit: DEPTH });
        }
        let inner = raw.strip_prefix('<').and_then(|rest| rest.strip_suffix(if empty { "/>" } else { ">" }));
        let Some(inner) = inner else { return malformed("a broken tag") };
        let (name, rest) = inner.split_at(inner.find(is_space).unwrap_or(inner.len()));
        let declared_from = self.bindings.len();
        let mut attributes = Vec::new();
        let mut count = 0;
        each_attribute(rest, |name, value| {
            count += 1;
            if count > ATTRIBUTES_PER_ELEMENT {
                return Err(XmlErrorKind::TooComplex { what: "attributes on one element", limit: ATTRIBUTES_PER_ELEMENT });
            }
            let value = attribute_value(value)?;
            if name == "xmlns" {
                return self.declare("", &value, declared_from);
            }
            let (prefix, local) = split_name(name)?;
            if prefix == "xmlns" {
                return self.declare(local, &value, declared_from);
            }
            attributes.push(TagAttribute { prefix, local, namespace: NO_NAMESPACE, value });
            Ok(())
        })?;
        self.resolve_attributes(&mut attributes)?;
        let (prefix, local) = split_name(name)?;
        let namespace = self.resolve(prefix)?;
        self.open.push(Open { name: name.into(), bindings_before: declared_from });
        Ok(Tag { prefix, local, namespace, attributes, declared_from })
    }

    fn resolve_attributes(&self, attributes: &mut [TagAttribute<'_>]) -> Outcome {
        for index in 0..attributes.len() {
            let (earlier, rest) = attributes.split_at_mut(index);
            let Some(attribute) = rest.first_mut() else { break };
            // Namespaces in XML 6.2: the default namespace does not apply to attributes.
            attribute.namespace = if attribute.prefix.is_empty() { NO_NAMESPACE } else { self.resolve(attribute.prefix)? };
            if earlier.iter().any(|other| other.local == attribute.local && other.namespace == attribute.namespace) {
                return malformed(format!("the attribute {} is given twice", attribute.local));
            }
        }
        Ok(())
    }

    /// Closes the innermost element; `raw` is its end tag, or `None` where it was empty.
    pub fn close(&mut self, raw: Option<&str>) -> Outcome<Box<str>> {
        let Some(Open { name, bindings_before }) = self.open.pop() else { return malformed("an end tag without its start") };
        self.bindings.truncate(bindings_before);
        if let Some(raw) = raw {
            let written = raw.strip_prefix("</").and_then(|rest| rest.strip_suffix('>')).map(|rest| rest.trim_end_matches(is_space));
            if written != Some(&*name) {
                return malformed("an end tag that does not fit its start");
            }
        }
        Ok(name)
    }

    fn declare(&mut self, prefix: &str, uri: &str, first: usize) -> Outcome {
        // Namespaces in XML 3: xml and xmlns are bound for ever, and nothing else to their names.
        let reserved = prefix == "xmlns" || uri == names::XMLNS || (prefix == "xml") != (uri == names::XML);
        if reserved || (uri.is_empty() && !prefix.is_empty()) {
            return malformed(format!("the prefix {prefix} cannot be bound to \"{uri}\""));
        }
        if self.bindings.get(first..).unwrap_or_default().iter().any(|(declared, _)| **declared == *prefix) {
            return malformed(format!("the prefix {prefix} is declared twice"));
        }
        if uri.len() > NAMESPACE_NAME {
            return Err(XmlErrorKind::TooComplex { what: "bytes in a namespace name", limit: NAMESPACE_NAME });
        }
        if self.bindings.len() >= NAMESPACES {
            return Err(XmlErrorKind::TooComplex { what: "namespace declarations", limit: NAMESPACES });
        }
        let id = self.intern(uri)?;
        self.bindings.push((prefix.into(), id));
        Ok(())
    }

    fn intern(&mut self, uri: &str) -> Outcome<NamespaceId> {
        if let Some(known) = self.uris.iter().position(|known| **known == *uri) {
            return Ok(known as NamespaceId);
        }
        if self.uris.len() >= 4 * NAMESPACES {
            return Err(XmlErrorKind::TooComplex { what: "namespaces", limit: 4 * NAMESPACES });
        }
        self.uris.push(uri.into());
        Ok((self.uris.len() - 1) as NamespaceId)
    }

    fn resolve(&self, prefix: &str) -> Outcome<NamespaceId> {
        if prefix == "xml" {
            return Ok(XML_NAMESPACE);
        }
        match self.lookup(prefix) {
            Some(id) => Ok(id),
            None if prefix.is_empty() => Ok(NO_NAMESPACE),
            None => malformed(format!("the prefix {prefix} is not declared")),
        }
    }

    pub fn lookup(&self, prefix: &str) -> Option<NamespaceId> {
        self.bindings.iter().rev().find(|(bound, _)| **bound == *prefix).map(|(_, id)| *id)
    }
}
