//! The strict reader: quick-xml cuts the text into markup, this file decides what may be in it.

use super::dom::{Attribute, Declaration, Document, ElementData, Kind, NO_NAMESPACE, NamespaceId, Node, XML_NAMESPACE};
use crate::saml::names;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::borrow::Cow;
use std::fmt;

/// What a document may cost, and whether comments and processing instructions may be in it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub bytes: usize,
    pub depth: usize,
    pub elements: usize,
    pub attributes: usize,
    pub attributes_per_element: usize,
    /// Skip comments and processing instructions instead of refusing them.
    pub skip_comments: bool,
}

impl Limits {
    /// Protocol messages.
    pub const MESSAGE: Self =
        Self { bytes: 256 * 1024, depth: 64, elements: 10_000, attributes: 20_000, attributes_per_element: 64, skip_comments: false };
    /// Metadata of one entity or a federation: large, written by people, with comments.
    pub const METADATA: Self = Self {
        bytes: 64 * 1024 * 1024,
        depth: 64,
        elements: 4_000_000,
        attributes: 8_000_000,
        attributes_per_element: 64,
        skip_comments: true,
    };

    #[must_use]
    pub const fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

/// Bindings and distinct namespaces that one document may have in force at once.
pub(in crate::saml) const NAMESPACES: usize = 256;
/// Bytes of one namespace name. A canonical form repeats it on every element that uses it.
pub(in crate::saml) const NAMESPACE_NAME: usize = 256;

/// Why a text was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlError {
    pub kind: XmlErrorKind,
    /// From 1.
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XmlErrorKind {
    TooLarge {
        limit: usize,
        found: usize,
    },
    /// A limit on structure.
    TooComplex {
        what: &'static str,
        limit: usize,
    },
    DocumentType,
    Comment,
    ProcessingInstruction,
    /// Not UTF-8, or declared as something else.
    Encoding(String),
    Malformed(String),
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            XmlErrorKind::TooLarge { limit, found } => write!(f, "the document has {found} bytes, at most {limit} are read"),
            XmlErrorKind::TooComplex { what, limit } => write!(f, "the document has more than {limit} {what}"),
            XmlErrorKind::DocumentType => write!(f, "line {}: a DOCTYPE is not allowed", self.line),
            XmlErrorKind::Comment => write!(f, "line {}: a comment is not allowed", self.line),
            XmlErrorKind::ProcessingInstruction => write!(f, "line {}: a processing instruction is not allowed", self.line),
            XmlErrorKind::Encoding(found) => write!(f, "the document must be UTF-8: {found}"),
            XmlErrorKind::Malformed(why) => write!(f, "line {}: not well-formed XML: {why}", self.line),
        }
    }
}

impl std::error::Error for XmlError {}

/// Reads a whole document.
///
/// # Errors
/// When it breaks a limit or is anything but one well-formed root element in UTF-8.
pub fn parse(text: &str, limits: Limits) -> Result<Document<'_>, XmlError> {
    parse_in_context(text, limits, &[])
}

/// Reads a fragment with the namespace bindings of the place it belongs to.
///
/// # Errors
/// As [`parse`].
pub fn parse_in_context<'a>(text: &'a str, limits: Limits, context: &[Declaration<'a>]) -> Result<Document<'a>, XmlError> {
    if text.len() > limits.bytes {
        return Err(XmlError { kind: XmlErrorKind::TooLarge { limit: limits.bytes, found: text.len() }, line: 1 });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(text, limits, context);
    match builder.read() {
        Ok(()) => Ok(builder.document),
        Err(kind) => {
            let line = 1 + text.as_bytes().iter().take(builder.position).filter(|byte| **byte == b'\n').count();
            Err(XmlError { kind, line })
        }
    }
}

pub(in crate::saml) type Outcome<T = ()> = Result<T, XmlErrorKind>;

pub(in crate::saml) fn malformed<T>(why: impl Into<String>) -> Outcome<T> {
    Err(XmlErrorKind::Malformed(why.into()))
}

struct Builder<'a> {
    document: Document<'a>,
    limits: Limits,
    position: usize,
    /// Open elements: node index, last child so far (0 none), number of bindings before it.
    open: Vec<(u32, u32, usize)>,
    bindings: Vec<(&'a str, NamespaceId)>,
    elements: usize,
    finished: bool,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, limits: Limits, context: &[Declaration<'a>]) -> Self {
        let mut document = Document {
            source: text,
            nodes: Vec::with_capacity(text.len() / 40),
            attributes: Vec::with_capacity(text.len() / 80),
            declarations: Vec::with_capacity(16),
            namespaces: Vec::with_capacity(16),
            context: Vec::new(),
        };
        document.namespaces.extend([Cow::Borrowed(""), Cow::Borrowed(names::XML)]);
        let mut builder = Self { document, limits, position: 0, open: Vec::new(), bindings: Vec::new(), elements: 0, finished: false };
        for (prefix, uri) in context {
            let id = builder.intern(Cow::Borrowed(uri)).unwrap_or(NO_NAMESPACE);
            builder.document.context.push((prefix, id));
            builder.bindings.push((prefix, id));
        }
        builder
    }

    fn read(&mut self) -> Outcome {
        let source = self.document.source;
        check_characters(source)?;
        let mut reader = Reader::from_str(source);
        loop {
            let event = reader.read_event().or_else(|error| malformed(error.to_string()))?;
            let end = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            let Some(raw) = source.get(self.position..end) else { return malformed("markup is cut") };
            match event {
                Event::Start(_) => self.start(raw, false)?,
                Event::Empty(_) => self.start(raw, true)?,
                Event::End(_) => self.end(raw, end)?,
                Event::Text(_) => self.text(raw)?,
                Event::CData(_) => self.cdata(raw)?,
                Event::GeneralRef(_) => self.reference(raw)?,
                Event::Decl(_) => declaration(raw, self.position == 0)?,
                Event::DocType(_) => return Err(XmlErrorKind::DocumentType),
                Event::Comment(_) if !self.limits.skip_comments => return Err(XmlErrorKind::Comment),
                Event::PI(_) if !self.limits.skip_comments => return Err(XmlErrorKind::ProcessingInstruction),
                Event::Comment(_) => comment(raw)?,
                Event::PI(_) => instruction(raw)?,
                Event::Eof => break,
            }
            self.position = end;
        }
        if !self.finished || !self.open.is_empty() {
            return malformed("the document ends before its root element does");
        }
        Ok(())
    }

    fn start(&mut self, raw: &'a str, empty: bool) -> Outcome {
        if self.finished {
            return malformed("a second root element, or data after the root element");
        }
        if self.open.len() >= self.limits.depth {
            return Err(XmlErrorKind::TooComplex { what: "levels of nesting", limit: self.limits.depth });
        }
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(XmlErrorKind::TooComplex { what: "elements", limit: self.limits.elements });
        }
        let inner = raw.strip_prefix('<').and_then(|rest| rest.strip_suffix(if empty { "/>" } else { ">" }));
        let Some(inner) = inner else { return malformed("a broken tag") };
        let (name, rest) = inner.split_at(inner.find(is_space).unwrap_or(inner.len()));
        let bindings = self.bindings.len();
        let (attributes, declarations) = self.attributes(rest)?;
        let (prefix, local) = split_name(name)?;
        let namespace = self.resolve(prefix)?;
        let data = ElementData { prefix, local, namespace, first_child: 0, attributes, declarations };
        let end = self.position + raw.len();
        let index = self.append(Kind::Element(data), end)?;
        if empty {
            self.bindings.truncate(bindings);
            self.finished = self.open.is_empty();
        } else {
            self.open.push((index, 0, bindings));
        }
        Ok(())
    }

    /// Reads the attributes of one tag: first all of them, then their namespaces, since a declaration may follow its use.
    fn attributes(&mut self, raw: &'a str) -> Outcome<((u32, u32), (u32, u32))> {
        let (first, first_declaration) = (self.document.attributes.len(), self.document.declarations.len());
        let limits = self.limits;
        each_attribute(raw, |name, value| {
            let count = self.document.attributes.len() - first + self.document.declarations.len() - first_declaration;
            if count >= limits.attributes_per_element {
                return Err(XmlErrorKind::TooComplex { what: "attributes on one element", limit: limits.attributes_per_element });
            }
            if self.document.attributes.len() + self.document.declarations.len() >= limits.attributes {
                return Err(XmlErrorKind::TooComplex { what: "attributes", limit: limits.attributes });
            }
            let value = attribute_value(value)?;
            if name == "xmlns" {
                return self.declare("", value, first_declaration);
            }
            let (prefix, local) = split_name(name)?;
            if prefix == "xmlns" {
                return self.declare(local, value, first_declaration);
            }
            self.document.attributes.push(Attribute { prefix, local, namespace: NO_NAMESPACE, value });
            Ok(())
        })?;
        for index in first..self.document.attributes.len() {
            let Some(attribute) = self.document.attributes.get(index) else { break };
            let (prefix, local) = (attribute.prefix, attribute.local);
            // Namespaces in XML 6.2: the default namespace does not apply to attributes.
            let namespace = if prefix.is_empty() { NO_NAMESPACE } else { self.resolve(prefix)? };
            let earlier = self.document.attributes.get(first..index).unwrap_or_default();
            if earlier.iter().any(|other| other.local == local && other.namespace == namespace) {
                return malformed(format!("the attribute {local} is given twice"));
            }
            if let Some(attribute) = self.document.attributes.get_mut(index) {
                attribute.namespace = namespace;
            }
        }
        let range = |from: usize, to: usize| (from as u32, to as u32);
        Ok((range(first, self.document.attributes.len()), range(first_declaration, self.document.declarations.len())))
    }

    fn declare(&mut self, prefix: &'a str, uri: Cow<'a, str>, first: usize) -> Outcome {
        // Namespaces in XML 3: xml and xmlns are bound for ever, and nothing else to their names.
        let reserved = prefix == "xmlns" || uri == names::XMLNS || (prefix == "xml") != (uri == names::XML);
        if reserved || (uri.is_empty() && !prefix.is_empty()) {
            return malformed(format!("the prefix {prefix} cannot be bound to \"{uri}\""));
        }
        if self.document.declarations.get(first..).unwrap_or_default().iter().any(|(declared, _)| *declared == prefix) {
            return malformed(format!("the prefix {prefix} is declared twice"));
        }
        if uri.len() > NAMESPACE_NAME {
            return Err(XmlErrorKind::TooComplex { what: "bytes in a namespace name", limit: NAMESPACE_NAME });
        }
        if self.bindings.len() >= NAMESPACES {
            return Err(XmlErrorKind::TooComplex { what: "namespace declarations", limit: NAMESPACES });
        }
        let id = self.intern(uri)?;
        self.document.declarations.push((prefix, id));
        self.bindings.push((prefix, id));
        Ok(())
    }

    fn intern(&mut self, uri: Cow<'a, str>) -> Outcome<NamespaceId> {
        if let Some(known) = self.document.namespaces.iter().position(|known| *known == uri) {
            return Ok(known as NamespaceId);
        }
        if self.document.namespaces.len() >= 4 * NAMESPACES {
            return Err(XmlErrorKind::TooComplex { what: "namespaces", limit: 4 * NAMESPACES });
        }
        self.document.namespaces.push(uri);
        Ok((self.document.namespaces.len() - 1) as NamespaceId)
    }

    fn resolve(&self, prefix: &str) -> Outcome<NamespaceId> {
        if prefix == "xml" {
            return Ok(XML_NAMESPACE);
        }
        match self.bindings.iter().rev().find(|(bound, _)| *bound == prefix) {
            Some((_, id)) => Ok(*id),
            None if prefix.is_empty() => Ok(NO_NAMESPACE),
            None => malformed(format!("the prefix {prefix} is not declared")),
        }
    }

    fn append(&mut self, kind: Kind<'a>, end: usize) -> Outcome<u32> {
        let index = self.document.nodes.len() as u32;
        let parent = self.open.last().map_or(0, |(parent, ..)| *parent);
        self.document.nodes.push(Node { parent, next: 0, start: self.position as u32, end: end as u32, kind });
        if let Some((parent, last, _)) = self.open.last_mut() {
            let link = if *last == 0 { *parent } else { *last };
            match self.document.nodes.get_mut(link as usize) {
                Some(Node { kind: Kind::Element(data), .. }) if *last == 0 => data.first_child = index,
                Some(node) => node.next = index,
                None => return malformed("a lost node"),
            }
            *last = index;
        }
        Ok(index)
    }

    fn end(&mut self, raw: &str, end: usize) -> Outcome {
        let Some((index, _, bindings)) = self.open.pop() else { return malformed("an end tag without its start") };
        self.bindings.truncate(bindings);
        let Some(node) = self.document.nodes.get_mut(index as usize) else { return malformed("a lost node") };
        node.end = end as u32;
        let Kind::Element(data) = &node.kind else { return malformed("a lost node") };
        // quick-xml compares the names; this only says that nothing else stands in the tag.
        let name = raw.strip_prefix("</").and_then(|rest| rest.strip_suffix('>')).map(|rest| rest.trim_end_matches(is_space));
        let (prefix, local) = name.unwrap_or_default().split_once(':').unwrap_or(("", name.unwrap_or_default()));
        if (prefix, local) != (data.prefix, data.local) {
            return malformed("an end tag that does not fit its start");
        }
        self.finished = self.open.is_empty();
        Ok(())
    }

    fn text(&mut self, raw: &'a str) -> Outcome {
        if self.open.is_empty() {
            return if raw.chars().all(is_space) { Ok(()) } else { malformed("text outside the root element") };
        }
        if raw.contains("]]>") {
            return malformed("]]> in text");
        }
        self.add_text(normalize_line_ends(raw), raw.len())
    }

    fn cdata(&mut self, raw: &'a str) -> Outcome {
        let inner = raw.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>"));
        match inner {
            Some(inner) if !self.open.is_empty() => self.add_text(normalize_line_ends(inner), raw.len()),
            _ => malformed("a CDATA section out of place"),
        }
    }

    fn reference(&mut self, raw: &'a str) -> Outcome {
        let name = raw.strip_prefix('&').and_then(|rest| rest.strip_suffix(';'));
        match name {
            Some(name) if !self.open.is_empty() => {
                let resolved = resolve_reference(name)?;
                self.add_text(Cow::Owned(resolved.to_string()), raw.len())
            }
            _ => malformed("an entity reference out of place"),
        }
    }

    /// Character data is one node, however it was written.
    fn add_text(&mut self, text: Cow<'a, str>, length: usize) -> Outcome {
        let last = self.open.last().map_or(0, |(_, last, _)| *last);
        if last != 0
            && let Some(Node { kind: Kind::Text(before), end, .. }) = self.document.nodes.get_mut(last as usize)
        {
            before.to_mut().push_str(&text);
            *end = (self.position + length) as u32;
            return Ok(());
        }
        if text.is_empty() {
            return Ok(());
        }
        self.append(Kind::Text(text), self.position + length).map(|_| ())
    }
}

/// `first`: nothing stands before it.
pub(in crate::saml) fn declaration(raw: &str, first: bool) -> Outcome {
    if !first {
        return malformed("an XML declaration that is not at the beginning");
    }
    let inner = raw.strip_prefix("<?xml").and_then(|rest| rest.strip_suffix("?>"));
    let Some(inner) = inner else { return malformed("a broken XML declaration") };
    // XML 1.0 section 2.8: version, then encoding, then standalone.
    let mut known = ["version", "encoding", "standalone"].into_iter();
    let mut version = false;
    each_attribute(inner, |name, value| {
        if !known.any(|expected| expected == name) {
            return malformed("a broken XML declaration");
        }
        match name {
            "version" if value == "1.0" => {
                version = true;
                Ok(())
            }
            "encoding" if value.eq_ignore_ascii_case("utf-8") => Ok(()),
            "encoding" => Err(XmlErrorKind::Encoding(format!("declared as {value}"))),
            "standalone" if matches!(value, "yes" | "no") => Ok(()),
            _ => malformed("a broken XML declaration"),
        }
    })?;
    if version { Ok(()) } else { malformed("an XML declaration without version") }
}

// XML 1.0 section 2.5.
fn comment(raw: &str) -> Outcome {
    let inner = raw.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
    match inner {
        Some(inner) if !inner.contains("--") && !inner.ends_with('-') => Ok(()),
        _ => malformed("-- in a comment"),
    }
}

// XML 1.0 section 2.6; Namespaces in XML 7: no colon.
fn instruction(raw: &str) -> Outcome {
    let inner = raw.strip_prefix("<?").and_then(|rest| rest.strip_suffix("?>"));
    let target = inner.and_then(|inner| inner.split(is_space).next()).unwrap_or_default();
    if is_ncname(target) && !target.eq_ignore_ascii_case("xml") { Ok(()) } else { malformed("a processing instruction without target") }
}

// XML 1.0 section 2.2: Char ::= #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]
pub(in crate::saml) fn check_characters(text: &str) -> Outcome {
    let control = text.bytes().fold(false, |found, byte| found | (byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r'));
    if control || text.contains('\u{fffe}') || text.contains('\u{ffff}') {
        return malformed("a character that XML does not allow");
    }
    Ok(())
}

const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

pub(in crate::saml) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Walks `name="value"` pairs, each with white space before it.
pub(in crate::saml) fn each_attribute<'a>(raw: &'a str, mut visit: impl FnMut(&'a str, &'a str) -> Outcome) -> Outcome {
    let mut rest = raw;
    loop {
        let trimmed = rest.trim_start_matches(is_space);
        if trimmed.is_empty() {
            return Ok(());
        }
        if trimmed.len() == rest.len() {
            return malformed("attributes need white space between them");
        }
        let Some((name, after)) = trimmed.split_once('=') else { return malformed("an attribute without value") };
        let after = after.trim_start_matches(is_space);
        let quote = match after.as_bytes().first() {
            Some(b'"') => '"',
            Some(b'\'') => '\'',
            _ => return malformed("an attribute value without quotes"),
        };
        let Some((value, after)) = after.get(1..).and_then(|rest| rest.split_once(quote)) else {
            return malformed("an attribute value without end");
        };
        visit(name.trim_end_matches(is_space), value)?;
        rest = after;
    }
}

/// XML 1.0 section 3.3.3: attribute value normalisation (of CDATA attributes; without a DTD there are no others).
pub(in crate::saml) fn attribute_value(raw: &str) -> Outcome<Cow<'_, str>> {
    if raw.contains('<') {
        return malformed("< in an attribute value");
    }
    if !raw.bytes().any(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r')) {
        return Ok(Cow::Borrowed(raw));
    }
    let normalized = normalize_line_ends(raw);
    let mut value = String::with_capacity(raw.len());
    let mut rest: &str = &normalized;
    while let Some(at) = rest.find(['&', '\t', '\n']) {
        let (before, from) = rest.split_at(at);
        value.push_str(before);
        if let Some(reference) = from.strip_prefix('&') {
            let Some((name, after)) = reference.split_once(';') else { return malformed("an entity reference without end") };
            value.push(resolve_reference(name)?);
            rest = after;
        } else {
            value.push(' ');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}

pub(in crate::saml) fn normalize_line_ends(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}

/// The five predefined entities and character references; nothing else is an entity here.
pub(in crate::saml) fn resolve_reference(name: &str) -> Outcome<char> {
    let by_number = |digits: &str, radix: u32| {
        let number = digits.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok()).flatten();
        number.and_then(char::from_u32).filter(|c| is_xml_char(*c))
    };
    let resolved = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix("#x") {
            Some(digits) => by_number(digits, 16),
            None => name.strip_prefix('#').and_then(|digits| by_number(digits, 10)),
        },
    };
    resolved.map_or_else(|| malformed("an entity that is not one of the five predefined ones"), Ok)
}

pub(in crate::saml) fn split_name(name: &str) -> Outcome<(&str, &str)> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    let prefixed = name.len() != local.len();
    if !is_ncname(local) || (prefixed && !is_ncname(prefix)) {
        return malformed("a name that XML does not allow");
    }
    Ok((prefix, local))
}

/// Namespaces in XML 1.0: NCName, a Name without colon.
pub(crate) fn is_ncname(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(is_name_start) && characters.all(|c| is_name_start(c) || is_name_more(c))
}

const fn is_name_start(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '_'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}'
        | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

const fn is_name_more(c: char) -> bool {
    matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}
