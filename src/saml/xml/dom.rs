//! The tree: all nodes in one vector, texts borrowed from the source wherever nothing had to be resolved.

use std::borrow::Cow;

/// Index into [`Document::namespaces`]; 0 is "no namespace".
pub(super) type NamespaceId = u16;
pub(super) const NO_NAMESPACE: NamespaceId = 0;
pub(super) const XML_NAMESPACE: NamespaceId = 1;

/// A read document. Node 0 is the root element; 0 as a link means "none", since nothing links to the root.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) source: &'a str,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) attributes: Vec<Attribute<'a>>,
    pub(super) declarations: Vec<(&'a str, NamespaceId)>,
    pub(super) namespaces: Vec<Cow<'a, str>>,
    /// Bindings in force around the root, for a fragment that came out of another document.
    pub(super) context: Vec<(&'a str, NamespaceId)>,
}

#[derive(Debug)]
pub(super) struct Node<'a> {
    pub parent: u32,
    pub next: u32,
    /// Byte range in the source.
    pub start: u32,
    pub end: u32,
    pub kind: Kind<'a>,
}

#[derive(Debug)]
pub(super) enum Kind<'a> {
    Element(ElementData<'a>),
    Text(Cow<'a, str>),
}

#[derive(Debug)]
pub(super) struct ElementData<'a> {
    pub prefix: &'a str,
    pub local: &'a str,
    pub namespace: NamespaceId,
    pub first_child: u32,
    pub attributes: (u32, u32),
    pub declarations: (u32, u32),
}

#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub prefix: &'a str,
    pub local: &'a str,
    pub namespace: NamespaceId,
    pub value: Cow<'a, str>,
}

/// A namespace binding, prefix (empty for the default) and URI.
pub type Declaration<'a> = (&'a str, &'a str);

impl<'a> Document<'a> {
    pub fn root(&self) -> Element<'_> {
        Element { document: self, index: 0 }
    }

    /// Every element, in document order.
    pub fn elements(&self) -> impl Iterator<Item = Element<'_>> {
        (0u32..)
            .zip(&self.nodes)
            .filter(|(_, node)| matches!(node.kind, Kind::Element(_)))
            .map(|(index, _)| Element { document: self, index })
    }

    /// The namespaces that are declared anywhere.
    pub fn namespace_names(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(|uri| &**uri).filter(|uri| !uri.is_empty())
    }

    /// The source text that was read.
    pub const fn source(&self) -> &'a str {
        self.source
    }

    pub(super) fn node(&self, index: u32) -> Option<&Node<'a>> {
        self.nodes.get(index as usize)
    }

    pub(super) fn uri(&self, id: NamespaceId) -> &str {
        self.namespaces.get(usize::from(id)).map_or("", |uri| uri)
    }

    pub(super) fn declarations(&self, range: (u32, u32)) -> &[(&'a str, NamespaceId)] {
        self.declarations.get(range.0 as usize..range.1 as usize).unwrap_or_default()
    }
}

/// One element of a [`Document`]; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Element<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) index: u32,
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.document, other.document) && self.index == other.index
    }
}

impl<'d> Element<'d> {
    pub(super) fn data(self) -> &'d ElementData<'d> {
        const NOTHING: &ElementData<'static> =
            &ElementData { prefix: "", local: "", namespace: NO_NAMESPACE, first_child: 0, attributes: (0, 0), declarations: (0, 0) };
        match self.document.node(self.index).map(|node| &node.kind) {
            Some(Kind::Element(data)) => data,
            _ => NOTHING,
        }
    }

    pub const fn document(self) -> &'d Document<'d> {
        self.document
    }

    pub fn local_name(self) -> &'d str {
        self.data().local
    }

    pub fn prefix(self) -> &'d str {
        self.data().prefix
    }

    pub fn namespace(self) -> &'d str {
        self.document.uri(self.data().namespace)
    }

    pub fn is(self, namespace: &str, local: &str) -> bool {
        self.data().local == local && self.namespace() == namespace
    }

    /// An attribute in no namespace.
    pub fn attribute(self, name: &str) -> Option<&'d str> {
        self.attributes().iter().find(|attribute| attribute.namespace == NO_NAMESPACE && attribute.local == name).map(|a| &*a.value)
    }

    pub fn attribute_ns(self, namespace: &str, name: &str) -> Option<&'d str> {
        self.attributes().iter().find(|a| a.local == name && self.document.uri(a.namespace) == namespace).map(|a| &*a.value)
    }

    pub(super) fn attributes(self) -> &'d [Attribute<'d>] {
        let (from, to) = self.data().attributes;
        self.document.attributes.get(from as usize..to as usize).unwrap_or_default()
    }

    pub fn parent(self) -> Option<Self> {
        if self.index == 0 {
            return None;
        }
        self.document.node(self.index).map(|node| Self { index: node.parent, ..self })
    }

    /// Child elements in order.
    pub fn children(self) -> impl Iterator<Item = Self> {
        self.child_indices()
            .filter(move |index| matches!(self.document.node(*index), Some(Node { kind: Kind::Element(_), .. })))
            .map(move |index| Self { index, ..self })
    }

    pub(super) fn child_indices(self) -> impl Iterator<Item = u32> {
        let some = |index: u32| (index != 0).then_some(index);
        std::iter::successors(some(self.data().first_child), move |index| self.document.node(*index).and_then(|node| some(node.next)))
    }

    /// Child elements of one name.
    pub fn children_named<'n>(self, namespace: &'n str, local: &'n str) -> impl Iterator<Item = Self> + use<'d, 'n> {
        self.children().filter(move |child| child.is(namespace, local))
    }

    /// The first child element of that name.
    pub fn child(self, namespace: &str, local: &str) -> Option<Self> {
        self.children().find(|child| child.is(namespace, local))
    }

    /// The character data of this element alone, joined. An element inside does not contribute.
    pub fn text(self) -> Cow<'d, str> {
        self.child_indices().fold(Cow::Borrowed(""), |joined, index| match self.document.node(index).map(|node| &node.kind) {
            Some(Kind::Text(text)) if joined.is_empty() => Cow::Borrowed(text.as_ref()),
            Some(Kind::Text(text)) => Cow::Owned(joined.into_owned() + text),
            _ => joined,
        })
    }

    /// The character data of this element and everything in it.
    pub fn deep_text(self) -> String {
        let mut joined = String::new();
        self.collect_text(&mut joined);
        joined
    }

    fn collect_text(self, joined: &mut String) {
        for index in self.child_indices() {
            match self.document.node(index).map(|node| &node.kind) {
                Some(Kind::Text(text)) => joined.push_str(text),
                Some(Kind::Element(_)) => Self { index, ..self }.collect_text(joined),
                None => {}
            }
        }
    }

    /// Byte range of this element in the source.
    pub fn range(self) -> std::ops::Range<usize> {
        self.document.node(self.index).map_or(0..0, |node| node.start as usize..node.end as usize)
    }

    /// Line of the source where this element begins, from 1.
    pub fn line(self) -> usize {
        let start = self.range().start;
        1 + self.document.source.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count()
    }

    /// The binding of `prefix` here, if any.
    pub(super) fn lookup(self, prefix: &str) -> Option<(&'d str, NamespaceId)> {
        let find = |declarations: &'d [(&'d str, NamespaceId)]| declarations.iter().find(|(declared, _)| *declared == prefix).copied();
        let mut element = Some(self);
        while let Some(here) = element {
            if let Some(found) = find(self.document.declarations(here.data().declarations)) {
                return Some(found);
            }
            element = here.parent();
        }
        find(&self.document.context)
    }

    /// The URI bound to `prefix` here, for a QName in content.
    pub fn resolve_prefix(self, prefix: &str) -> Option<&'d str> {
        self.lookup(prefix).map(|(_, id)| self.document.uri(id))
    }

    /// All bindings in force here, the nearest first, each prefix once.
    pub(super) fn bindings(self) -> Vec<(&'d str, NamespaceId)> {
        let mut found: Vec<(&str, NamespaceId)> = Vec::new();
        let mut add = |declarations: &'d [(&'d str, NamespaceId)]| {
            for (prefix, id) in declarations {
                if !found.iter().any(|(known, _)| known == prefix) {
                    found.push((prefix, *id));
                }
            }
        };
        let mut element = Some(self);
        while let Some(here) = element {
            add(self.document.declarations(here.data().declarations));
            element = here.parent();
        }
        add(&self.document.context);
        found
    }

    /// All bindings in force here, to read a fragment that belongs here.
    pub fn namespace_context(self) -> Vec<Declaration<'d>> {
        self.bindings().into_iter().map(|(prefix, id)| (prefix, self.document.uri(id))).collect()
    }
}
