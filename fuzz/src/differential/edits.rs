//! Edits as an attacker, or a strange but honest identity provider, makes them. The fuzzer's bytes choose which, and where.

use super::resign;
use super::tree::{Element, NAMES, Node, style};
use super::words::*;

/// The bytes of the fuzzer, used up one after the other; then zeros.
pub struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Below `limit`, which is at most 256 to be reached everywhere.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.next()) % limit.max(1)
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    fn word(&mut self, of: &[&'static str]) -> &'static str {
        self.pick(of).copied().unwrap_or_default()
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// No input makes more edits, and no document grows beyond this many elements.
const EDITS: usize = 32;
const ELEMENTS: usize = 250;

/// A document out of one of the `bases` and the edits that follow; the first two bytes choose the base and how it is written.
pub fn document(bytes: &[u8], bases: &[Element]) -> Option<String> {
    let mut bytes = Bytes::new(bytes);
    let mut root = bytes.pick(bases)?.clone();
    let mut style = style(&mut bytes);
    let mut whole = None;
    for _ in 0..EDITS {
        if bytes.is_empty() || root.count() > ELEMENTS {
            break;
        }
        match bytes.next() % 32 {
            // Twice as often as others: what makes a strange document a signed one.
            0..=3 => resign::sign(&mut root, &mut bytes),
            4 => whole = Some(bytes.next()),
            kind => edit(&mut root, kind, &mut bytes),
        }
    }
    // Undeclared prefixes only show that undeclared prefixes are refused.
    if whole.is_none_or(|byte| byte > 8) {
        root.declare_missing();
    }
    let text = root.write_in(&mut style);
    Some(match whole {
        Some(byte) => around(&text, byte),
        None => text,
    })
}

/// What stands around the root element, or is wrong with all of it.
fn around(text: &str, byte: u8) -> String {
    let (before, after) = [
        ("<!-- x -->", ""),
        ("", "<!-- x -->"),
        ("\u{feff}", "\n"),
        ("<!DOCTYPE x [<!ENTITY e \"root\">]>", ""),
        ("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>", ""),
        ("<?xml version='1.0' standalone='yes'?>", " \r\n"),
        ("<?xml version='1.0' encoding='UTF-8' standalone='maybe'?>", ""),
        ("<?xml encoding='UTF-8' version='1.0'?>", ""),
        ("<?x y?>", ""),
        (" ", ""),
        ("", "x"),
    ][usize::from(byte) % 11];
    format!("{before}{text}{after}")
}

fn any(root: &Element, bytes: &mut Bytes<'_>) -> usize {
    // One byte picks among the last 256 elements, which is all of them nearly always.
    bytes.below(root.count().min(256))
}

/// An element of a signature, where there is one: others are far more, and matter less.
fn of_signature(root: &Element, bytes: &mut Bytes<'_>) -> usize {
    let found = root.named(bytes.word(OF_SIGNATURES));
    bytes.pick(&found).copied().unwrap_or(0)
}

fn edit(root: &mut Element, kind: u8, bytes: &mut Bytes<'_>) {
    let one = if bytes.below(3) == 0 { of_signature(root, bytes) } else { any(root, bytes) };
    match kind {
        5 => copy(root, one, bytes),
        6 => take_elsewhere(root, one, bytes),
        7 => drop(root.take(one)),
        8 => wrap(root, one, bytes),
        9 => twin(root, one, bytes),
        10 => swap(root, one, bytes),
        11..=13 => attribute(root, one, bytes),
        14 => remove_attribute(root, one, bytes),
        15..=17 => declare(root, one, bytes),
        18 => rename(root, one, bytes),
        19 => rename_prefix(root, one, bytes),
        20 => move_declarations(root, one, bytes),
        21 | 22 => insert_text(root, one, bytes),
        23 => insert_raw(root, one, bytes),
        24 => split_text(root, one, bytes),
        25 => change_text(root, one, bytes),
        26 | 27 => algorithm(root, bytes),
        28 => prefix_list(root, bytes),
        29 => reference(root, bytes),
        30 => identity(root, one, bytes),
        _ => insert_element(root, one, bytes),
    }
}

/// Puts a node into, before or behind the element of that number.
fn put(root: &mut Element, index: usize, node: Node, bytes: &mut Bytes<'_>) {
    let how = bytes.below(4);
    let (parent, at) = match root.place(index) {
        Some((parent, at)) if how == 0 => (parent, at),
        Some((parent, at)) if how == 1 => (parent, at + 1),
        _ => (index, if how == 2 { 0 } else { usize::MAX }),
    };
    if let Some(parent) = root.nth_mut(parent) {
        let at = at.min(parent.children.len());
        parent.children.insert(at, node);
    }
}

fn copy(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let Some(copy) = root.nth(one).cloned() else { return };
    let to = any(root, bytes);
    put(root, to, Node::Element(copy), bytes);
}

fn take_elsewhere(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let Some(taken) = root.take(one) else { return };
    let to = any(root, bytes);
    put(root, to, taken, bytes);
}

fn wrap(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let mut wrapper = Element::new(bytes.word(WRAPPERS));
    if bytes.below(3) == 0 {
        wrapper.set("ID", bytes.word(IDS));
    }
    let Some(element) = root.nth_mut(one) else { return };
    wrapper.children.push(Node::Element(std::mem::take(element)));
    *element = wrapper;
}

/// The wrapping attack itself: a changed copy without signature, beside the original or around it.
fn twin(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let signed: Vec<usize> = (0..root.count()).filter(|at| root.nth(*at).is_some_and(|e| e.attribute("ID").is_some())).collect();
    let one = bytes.pick(&signed).copied().unwrap_or(one);
    let Some(original) = root.nth(one).cloned() else { return };
    let mut twin = original.clone();
    twin.children.retain(|child| !matches!(child, Node::Element(element) if element.local() == "Signature"));
    if bytes.below(4) != 0 {
        twin.set("ID", "_evil");
    }
    if let Some(name_id) = twin.named("NameID").first().and_then(|at| twin.nth_mut(*at)) {
        name_id.children = vec![Node::Text("root".to_owned())];
    }
    let how = bytes.below(3);
    if how == 2 || one == 0 {
        let host = any(&twin, bytes);
        put(&mut twin, host, Node::Element(original), bytes);
        if let Some(element) = root.nth_mut(one) {
            *element = twin;
        }
    } else {
        put(root, one, Node::Element(twin), bytes);
    }
}

fn swap(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let Some(element) = root.nth_mut(one) else { return };
    let count = element.children.len();
    if count > 1 {
        element.children.swap(bytes.below(count), bytes.below(count));
    }
}

fn attribute(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let (name, value) = (bytes.word(ATTRIBUTES), bytes.word(WORDS));
    let value = if name.ends_with("ID") || name.ends_with("id") || name == "Id" { bytes.word(IDS) } else { value };
    if let Some(element) = root.nth_mut(one) {
        element.set(name, value);
    }
}

fn remove_attribute(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let Some(element) = root.nth_mut(one).filter(|element| !element.attributes.is_empty()) else { return };
    let at = bytes.below(element.attributes.len());
    element.attributes.remove(at);
}

fn declare(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let prefix = bytes.word(PREFIXES);
    let usual = NAMES.iter().find(|(known, _)| *known == prefix).map(|(_, uri)| *uri);
    // A known prefix that means something else breaks nearly everything; sometimes that is wanted.
    let uri = usual.filter(|_| bytes.below(4) != 0).unwrap_or_else(|| bytes.word(URIS));
    if let Some(element) = root.nth_mut(one) {
        element.set(&if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") }, uri);
    }
}

fn rename(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let local = bytes.word(LOCALS);
    if let Some(element) = root.nth_mut(one) {
        element.name = if element.prefix().is_empty() { local.to_owned() } else { format!("{}:{local}", element.prefix()) };
    }
}

/// Another prefix for the same namespace, in the whole of an element: it means the same.
fn rename_prefix(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let Some(element) = root.nth_mut(one) else { return };
    let from = element.prefix().to_owned();
    let to = bytes.word(PREFIXES);
    let declaration = |prefix: &str| if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
    let uri = element.attribute(&declaration(&from)).or_else(|| NAMES.iter().find(|(known, _)| *known == from).map(|(_, uri)| *uri));
    let Some(uri) = uri.map(str::to_owned) else { return };
    element.attributes.retain(|(name, _)| *name != declaration(&from));
    element.set(&declaration(to), &uri);
    renamed(element, &from, to);
}

fn renamed(element: &mut Element, from: &str, to: &str) {
    if element.prefix() == from {
        element.name = if to.is_empty() { element.local().to_owned() } else { format!("{to}:{}", element.local()) };
    }
    for child in &mut element.children {
        if let Node::Element(child) = child {
            renamed(child, from, to);
        }
    }
}

/// Declarations of one element are made on its parent, or on its children, instead.
fn move_declarations(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let up = bytes.below(2) == 0;
    let parent = root.place(one).map(|(parent, _)| parent);
    let Some(element) = root.nth_mut(one) else { return };
    let (declarations, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut element.attributes).into_iter().partition(|(name, _)| name == "xmlns" || name.starts_with("xmlns:"));
    element.attributes = others;
    let targets: Vec<&mut Element> = match parent {
        Some(parent) if up => root.nth_mut(parent).into_iter().collect(),
        _ => element.children.iter_mut().filter_map(|child| if let Node::Element(child) = child { Some(child) } else { None }).collect(),
    };
    for target in targets {
        for (name, uri) in &declarations {
            if target.attribute(name).is_none() {
                target.set(name, uri);
            }
        }
    }
}

fn insert_text(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let text = bytes.word(WORDS).to_owned();
    put(root, one, Node::Text(text), bytes);
}

fn insert_raw(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let raw = bytes.word(RAW).to_owned();
    put(root, one, Node::Raw(raw), bytes);
}

fn split_text(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let between = bytes.word(&["<!-- x -->", "<![CDATA[]]>", "<?x y?>", "", "&#10;", "<!---->"]).to_owned();
    let Some(element) = root.nth_mut(one) else { return };
    let Some(at) = element.children.iter().position(|child| matches!(child, Node::Text(text) if !text.is_empty())) else { return };
    let Some(Node::Text(text)) = element.children.get(at).cloned() else { return };
    let middle = (0..=bytes.below(text.len() + 1).min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (before, after) = text.split_at(middle);
    element.children.splice(at..=at, [Node::Text(before.to_owned()), Node::Raw(between), Node::Text(after.to_owned())]);
}

fn change_text(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let (how, word) = (bytes.below(6), bytes.word(WORDS));
    let Some(element) = root.nth_mut(one) else { return };
    let text = element.children.iter_mut().find_map(|child| if let Node::Text(text) = child { Some(text) } else { None });
    let Some(text) = text else { return element.children.push(Node::Text(word.to_owned())) };
    match how {
        0 => text.clear(),
        1 => text.push_str(word),
        2 => text.insert_str(0, word),
        3 => drop(text.pop()),
        4 => *text = text.replace('a', "b"),
        _ => {
            let at = (0..=bytes.below(text.len() + 1).min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.insert_str(at, word);
        }
    }
}

fn algorithm(root: &mut Element, bytes: &mut Bytes<'_>) {
    let named = ["CanonicalizationMethod", "SignatureMethod", "Transform", "DigestMethod"];
    let found: Vec<usize> = named.iter().flat_map(|name| root.named(name)).collect();
    let (at, uri) = (bytes.pick(&found).copied(), bytes.word(ALGORITHMS));
    if let Some(element) = at.and_then(|at| root.nth_mut(at)) {
        element.set("Algorithm", uri);
    }
}

fn prefix_list(root: &mut Element, bytes: &mut Bytes<'_>) {
    let found: Vec<usize> = ["Transform", "CanonicalizationMethod"].iter().flat_map(|name| root.named(name)).collect();
    let Some(at) = bytes.pick(&found).copied() else { return };
    let list = Element::new("ec:InclusiveNamespaces")
        .with("xmlns:ec", "http://www.w3.org/2001/10/xml-exc-c14n#")
        .with("PrefixList", bytes.word(LISTS));
    let again = bytes.below(8) == 0;
    if let Some(element) = root.nth_mut(at) {
        if !again {
            element.children.clear();
        }
        element.children.push(Node::Element(list));
    }
}

fn reference(root: &mut Element, bytes: &mut Bytes<'_>) {
    let found = root.named("Reference");
    let (at, uri) = (bytes.pick(&found).copied(), bytes.word(REFERENCES));
    if let Some(element) = at.and_then(|at| root.nth_mut(at)) {
        element.set("URI", uri);
    }
}

fn identity(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let signed: Vec<usize> = (0..root.count()).filter(|at| root.nth(*at).is_some_and(|e| e.attribute("ID").is_some())).collect();
    let one = bytes.pick(&signed).copied().unwrap_or(one);
    let id = bytes.word(IDS);
    if let Some(element) = root.nth_mut(one) {
        element.set("ID", id);
    }
}

fn insert_element(root: &mut Element, one: usize, bytes: &mut Bytes<'_>) {
    let mut element = Element::new(bytes.word(INSERTED));
    if bytes.below(2) == 0 {
        element = element.text(bytes.word(WORDS));
    }
    put(root, one, Node::Element(element), bytes);
}

/// Mutates XML for a target that reads text: some edits chosen by `seed`. Nothing where it is no XML.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    let text = str::from_utf8(data.get(..size)?).ok()?;
    let (list, xml) = text.split_at(text.find('<')?);
    let mut root = super::tree::read(xml)?;
    let mut random = [0u8; 64];
    let mut state = u64::from(seed) << 8 | 0x5DEE_CE66_0000_0001;
    for byte in &mut random {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 24) as u8;
    }
    let mut bytes = Bytes::new(&random);
    let list = if bytes.below(4) == 0 { bytes.word(LISTS) } else { list };
    let mut style = style(&mut bytes);
    for _ in 0..=bytes.below(4) {
        let kind = 5 + bytes.next() % 27;
        edit(&mut root, kind, &mut bytes);
    }
    if bytes.below(8) != 0 {
        root.declare_missing();
    }
    let text = format!("{list}{}", root.write_in(&mut style));
    let room = data.get_mut(..text.len()).filter(|_| text.len() <= max_size.min(24 * 1024))?;
    room.copy_from_slice(text.as_bytes());
    Some(text.len())
}
