//! A small tree to edit. It has what our reader's tree has not: order and place of namespace declarations, comments, raw
//! text; and it is written in many ways that all mean the same.

use super::edits::Bytes;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Element(Element),
    /// Its meaning, not how it is written.
    Text(String),
    /// Written as it stands: comments, instructions, references.
    Raw(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// With its prefix.
    pub name: String,
    /// Declarations among them; each name once, values as meant.
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
}

impl Element {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.children.push(Node::Text(text.to_owned()));
        self
    }

    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        match self.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.attributes.push((name.to_owned(), value.to_owned())),
        }
    }

    pub fn prefix(&self) -> &str {
        self.name.split_once(':').map_or("", |(prefix, _)| prefix)
    }

    pub fn local(&self) -> &str {
        self.name.split_once(':').map_or(&self.name, |(_, local)| local)
    }

    /// This element and all in it.
    pub fn count(&self) -> usize {
        1 + self.elements().map(Self::count).sum::<usize>()
    }

    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            _ => None,
        })
    }

    /// The element of that number, in the order of the document; 0 is this one.
    pub fn nth(&self, mut index: usize) -> Option<&Self> {
        if index == 0 {
            return Some(self);
        }
        index -= 1;
        for child in self.elements() {
            let count = child.count();
            if index < count {
                return child.nth(index);
            }
            index -= count;
        }
        None
    }

    pub fn nth_mut(&mut self, mut index: usize) -> Option<&mut Self> {
        if index == 0 {
            return Some(self);
        }
        index -= 1;
        for child in &mut self.children {
            let Node::Element(child) = child else { continue };
            let count = child.count();
            if index < count {
                return child.nth_mut(index);
            }
            index -= count;
        }
        None
    }

    /// The parent of an element that is not this one, and its place among the parent's children.
    pub fn place(&self, index: usize) -> Option<(usize, usize)> {
        let mut first = 1;
        for (at, child) in self.children.iter().enumerate() {
            let Node::Element(child) = child else { continue };
            let count = child.count();
            if index == first {
                return Some((0, at));
            }
            if index > first && index < first + count {
                return child.place(index - first).map(|(parent, at)| (parent + first, at));
            }
            first += count;
        }
        None
    }

    /// Takes an element that is not this one out of its place.
    pub fn take(&mut self, index: usize) -> Option<Node> {
        let (parent, at) = self.place(index)?;
        Some(self.nth_mut(parent)?.children.remove(at))
    }

    /// Numbers of the elements of that local name.
    pub fn named(&self, local: &str) -> Vec<usize> {
        (0..self.count()).filter(|index| self.nth(*index).is_some_and(|element| element.local() == local)).collect()
    }

    /// Declares, on this element, what is used in it and declared nowhere.
    pub fn declare_missing(&mut self) {
        let mut missing = Vec::new();
        self.undeclared(&mut vec!["xml".to_owned(), "xmlns".to_owned(), String::new()], &mut missing);
        for prefix in missing {
            let uri = NAMES.iter().find(|(known, _)| *known == prefix).map_or("urn:other", |(_, uri)| uri);
            self.set(&format!("xmlns:{prefix}"), uri);
        }
    }

    fn undeclared(&self, declared: &mut Vec<String>, missing: &mut Vec<String>) {
        let before = declared.len();
        declared.extend(self.attributes.iter().filter_map(|(name, _)| name.strip_prefix("xmlns:")).map(str::to_owned));
        let used = self.attributes.iter().map(|(name, _)| name.as_str()).chain([self.name.as_str()]);
        for prefix in used.filter_map(|name| name.split_once(':')).map(|(prefix, _)| prefix) {
            if !declared.iter().any(|known| known == prefix) && !missing.iter().any(|known| known == prefix) {
                missing.push(prefix.to_owned());
            }
        }
        for child in self.elements() {
            child.undeclared(declared, missing);
        }
        declared.truncate(before);
    }

    /// Plain, the same each time.
    pub fn write(&self) -> String {
        self.write_in(&mut Style::plain())
    }

    pub fn write_in(&self, style: &mut Style) -> String {
        let mut out = String::new();
        if style.may(8) {
            out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
        }
        self.write_to(style, &mut out);
        out
    }

    fn write_to(&self, style: &mut Style, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        let turn = if self.attributes.is_empty() { 0 } else { style.below(self.attributes.len()) };
        for (name, value) in self.attributes.iter().skip(turn).chain(self.attributes.iter().take(turn)) {
            style.space(out);
            out.push_str(name);
            out.push_str(if style.may(8) { " =\n" } else { "=" });
            let quote = if style.may(3) { '\'' } else { '"' };
            out.push(quote);
            value.chars().for_each(|c| style.attribute_character(c, quote, out));
            out.push(quote);
        }
        if self.children.is_empty() && !style.may(3) {
            out.push_str(if style.may(4) { " />" } else { "/>" });
            return;
        }
        out.push_str(if style.may(6) { "\n>" } else { ">" });
        for child in &self.children {
            match child {
                Node::Element(child) => child.write_to(style, out),
                Node::Text(text) => style.text(text, out),
                Node::Raw(raw) => out.push_str(raw),
            }
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push_str(if style.may(6) { " >" } else { ">" });
    }
}

/// How what means the same is written.
pub struct Style(Option<u64>);

impl Style {
    pub const fn plain() -> Self {
        Self(None)
    }

    /// 0 is plain.
    pub fn of(seed: u8) -> Self {
        Self((seed != 0).then(|| u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }

    fn below(&mut self, limit: usize) -> usize {
        let Some(state) = &mut self.0 else { return 0 };
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from((*state >> 8) % limit as u64).unwrap_or(0)
    }

    /// Once in so many times, and never where it is plain.
    fn may(&mut self, times: usize) -> bool {
        self.0.is_some() && self.below(times) == 0
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(if self.may(5) { ["\n", "\t ", " \r\n  ", "  "][self.below(4)] } else { " " });
    }

    fn attribute_character(&mut self, c: char, quote: char, out: &mut String) {
        match c {
            '&' => out.push_str(if self.may(2) { "&#38;" } else { "&amp;" }),
            '<' => out.push_str(if self.may(2) { "&#x3C;" } else { "&lt;" }),
            '"' | '\'' if c == quote || self.may(2) => out.push_str(if c == '"' { "&quot;" } else { "&apos;" }),
            '\t' | '\n' | '\r' => self.number(c, out),
            ' ' if self.may(4) => out.push_str(["\t", "\n", "\r\n", "\r"][self.below(4)]),
            _ if self.may(40) => self.number(c, out),
            _ => out.push(c),
        }
    }

    fn text(&mut self, text: &str, out: &mut String) {
        // A CDATA section says the same, unless line ends would change in it.
        if self.may(6) && !text.contains("]]>") && !text.contains('\r') {
            let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let (one, two) = text.split_at(middle);
            out.push_str("<![CDATA[");
            out.push_str(one);
            out.push_str(if self.may(2) { "]]><![CDATA[" } else { "" });
            out.push_str(two);
            out.push_str("]]>");
            return;
        }
        for c in text.chars() {
            match c {
                '&' => out.push_str(if self.may(2) { "&#x26;" } else { "&amp;" }),
                '<' => out.push_str(if self.may(2) { "&#60;" } else { "&lt;" }),
                '>' => out.push_str(if self.may(2) { "&#62;" } else { "&gt;" }),
                '\r' => self.number(c, out),
                '\n' if self.may(3) => out.push_str(["\r\n", "\r", "&#10;"][self.below(3)]),
                _ if self.may(40) => self.number(c, out),
                _ => out.push(c),
            }
        }
    }

    fn number(&mut self, c: char, out: &mut String) {
        let number = u32::from(c);
        out.push_str(&match self.below(3) {
            0 => format!("&#{number};"),
            1 => format!("&#x{number:X};"),
            _ => format!("&#x000{number:x};"),
        });
    }
}

/// Prefixes and what they usually mean.
pub const NAMES: &[(&str, &str)] = &[
    ("saml", "urn:oasis:names:tc:SAML:2.0:assertion"),
    ("samlp", "urn:oasis:names:tc:SAML:2.0:protocol"),
    ("ds", "http://www.w3.org/2000/09/xmldsig#"),
    ("ec", "http://www.w3.org/2001/10/xml-exc-c14n#"),
    ("xs", "http://www.w3.org/2001/XMLSchema"),
    ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
];

/// Reads what is well-formed and has no document type; whatever else comes out is still a tree.
pub fn read(text: &str) -> Option<Element> {
    let mut open: Vec<Element> = Vec::new();
    let mut rest = text;
    let add = |open: &mut Vec<Element>, node: Node| {
        if let Some(parent) = open.last_mut() {
            parent.children.push(node);
        }
    };
    while !rest.is_empty() {
        let Some(markup) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let (text, after) = rest.split_at(end);
            add(&mut open, Node::Text(meaning(text, false)));
            rest = after;
            continue;
        };
        let length = |end: &str| rest.find(end).map(|at| at + end.len());
        if let Some(inner) = markup.strip_prefix("![CDATA[") {
            let end = inner.find("]]>")?;
            add(&mut open, Node::Text(inner.get(..end)?.to_owned()));
            rest = inner.get(end + 3..)?;
        } else if markup.starts_with('!') || markup.starts_with('?') {
            let end = length(if markup.starts_with("!--") { "-->" } else { ">" })?;
            add(&mut open, Node::Raw(rest.get(..end)?.to_owned()));
            rest = rest.get(end..)?;
        } else if markup.starts_with('/') {
            let element = open.pop()?;
            if open.is_empty() {
                return Some(element);
            }
            add(&mut open, Node::Element(element));
            rest = rest.get(length(">")?..)?;
        } else {
            let end = tag_end(markup)?;
            let (tag, after) = (markup.get(..end)?, markup.get(end + 1..)?);
            let element = start_tag(tag.trim_end_matches('/'));
            if open.len() > 100 {
                return None;
            }
            if !tag.ends_with('/') {
                open.push(element);
            } else if open.is_empty() {
                return Some(element);
            } else {
                add(&mut open, Node::Element(element));
            }
            rest = after;
        }
    }
    None
}

/// Where the tag ends: at the first `>` that is not in quotes.
fn tag_end(markup: &str) -> Option<usize> {
    let mut quote = None;
    markup.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        None
    })
}

fn start_tag(tag: &str) -> Element {
    let (name, mut rest) = tag.split_at(tag.find(char::is_whitespace).unwrap_or(tag.len()));
    let mut element = Element::new(name);
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else { break };
        let Some((value, after)) = after.get(1..).and_then(|after| after.split_once(quote)) else { break };
        element.set(name.trim(), &meaning(value, true));
        rest = after;
    }
    element
}

fn meaning(text: &str, attribute: bool) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = if attribute { text.replace(['\n', '\t'], " ") } else { text };
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let Some((name, after)) = after.split_once(';') else {
            rest = after;
            continue;
        };
        let number = match (name.strip_prefix("#x"), name.strip_prefix('#')) {
            (Some(digits), _) => u32::from_str_radix(digits, 16).ok(),
            (_, Some(digits)) => digits.parse().ok(),
            _ => None,
        };
        let named = [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"'), ("apos", '\'')];
        out.extend(number.and_then(char::from_u32).or_else(|| named.iter().find(|(known, _)| *known == name).map(|(_, c)| *c)));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A style that the input chooses.
pub fn style(bytes: &mut Bytes<'_>) -> Style {
    Style::of(bytes.next())
}
