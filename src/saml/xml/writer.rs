//! The escaping writer: whatever a value contains, it stays in its element.

use super::c14n::{escape_attribute, escape_text};
use std::borrow::Cow;

/// Writes elements one after the other. Names are ours, values are anybody's.
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    open: Vec<&'static str>,
    in_tag: bool,
}

impl Writer {
    pub fn new() -> Self {
        Self { out: String::with_capacity(4096), ..Self::default() }
    }

    pub fn start(&mut self, name: &'static str) -> &mut Self {
        self.close_tag();
        self.out.push('<');
        self.out.push_str(name);
        self.open.push(name);
        self.in_tag = true;
        self
    }

    /// An attribute of the element that was just started.
    pub fn attribute(&mut self, name: &'static str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "attributes follow start()");
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape_attribute(&clean(value), &mut self.out);
        self.out.push('"');
        self
    }

    /// The attribute if there is a value.
    pub fn optional(&mut self, name: &'static str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.close_tag();
        escape_text(&clean(value), &mut self.out);
        self
    }

    /// XML that this writer made before.
    pub fn written(&mut self, xml: &str) -> &mut Self {
        self.close_tag();
        self.out.push_str(xml);
        self
    }

    pub fn end(&mut self) -> &mut Self {
        self.close_tag();
        if let Some(name) = self.open.pop() {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
        self
    }

    /// An element with only text in it.
    pub fn leaf(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.start(name).text(value).end()
    }

    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.out
    }

    fn close_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.out.push('>');
        }
    }
}

/// Replaces characters that XML cannot carry at all, so that a value can never make the document unreadable.
fn clean(value: &str) -> Cow<'_, str> {
    let bad = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if value.contains(bad) { Cow::Owned(value.replace(bad, "\u{fffd}")) } else { Cow::Borrowed(value) }
}
