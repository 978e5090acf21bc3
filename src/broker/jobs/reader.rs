//! Splits a JSON array into its items while it arrives, however its bytes are cut into chunks.
//!
//! Memory holds one item and no more. What is outside of the items is checked here, each item by a JSON parser; the first
//! fault is told with its place.

use crate::error::{Error, ErrorKind, Result};
use serde_json::Value;

/// Octets of one user.
pub const MAX_USER: usize = 128 << 10;

/// Levels of one user; the parser's own limit is a little more.
const MAX_DEPTH: u32 = 100;

/// Takes a file in chunks and gives out the items.
#[derive(Debug)]
pub struct ArrayReader {
    state: State,
    item: Vec<u8>,
    /// Where the item began.
    item_at: Place,
    at: Place,
    max_bytes: u64,
}

/// A place in the file. All from 1, but the octets, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    octet: u64,
    line: u64,
    /// In octets.
    column: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Of the file; so many octets of a byte order mark were seen.
    Start(usize),
    /// An item, or where there is none yet the end.
    Item {
        or_end: bool,
    },
    /// In an item; how many brackets are open.
    Inside {
        depth: u32,
        text: Text,
    },
    Comma,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// After a backslash.
    Escape,
}

impl ArrayReader {
    /// A file of at most so many octets.
    pub const fn new(max_bytes: u64) -> Self {
        let start = Place { octet: 0, line: 1, column: 1 };
        Self { state: State::Start(0), item: Vec::new(), item_at: start, at: start, max_bytes }
    }

    /// Takes the next bytes and hands every item that they finish to `take`.
    ///
    /// # Errors
    /// [`ErrorKind::PayloadTooLarge`] for the file or an item, [`ErrorKind::InvalidRequest`] with the place for what is no
    /// JSON array, and what `take` says. Nothing more can be read after an error.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(String) -> Result<()>) -> Result<()> {
        for &byte in bytes {
            if self.at.octet >= self.max_bytes {
                return Err(Error::new(ErrorKind::PayloadTooLarge, format!("The file is larger than {} octets.", self.max_bytes)));
            }
            if let Some(item) = self.step(byte)? {
                take(item)?;
            }
            self.at.octet += 1;
            if byte == b'\n' {
                (self.at.line, self.at.column) = (self.at.line + 1, 1);
            } else {
                self.at.column += 1;
            }
        }
        Ok(())
    }

    /// Nothing more comes.
    pub fn finish(&self) -> Result<()> {
        if self.state == State::End { Ok(()) } else { Err(fault("the file ends before its array does", self.at)) }
    }

    fn step(&mut self, byte: u8) -> Result<Option<String>> {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match self.state {
            State::Start(seen) if BOM.get(seen) == Some(&byte) => self.state = State::Start(seen + 1),
            State::Start(1 | 2) => return Err(fault("this is no UTF-8 text", self.at)),
            State::Start(_) if byte == b'[' => self.state = State::Item { or_end: true },
            State::Start(_) if blank => {}
            State::Start(_) => return Err(fault("the file is no JSON array, which begins with [", self.at)),
            State::Item { .. } | State::Comma | State::End if blank => {}
            State::Item { or_end: true } if byte == b']' => self.state = State::End,
            State::Item { .. } if matches!(byte, b',' | b']' | b'}') => return Err(fault("an item is missing", self.at)),
            State::Item { .. } => {
                self.item_at = self.at;
                self.item.clear();
                self.state = State::Inside { depth: 0, text: Text::Outside };
                return self.inside(byte, 0, Text::Outside);
            }
            State::Inside { depth, text } => return self.inside(byte, depth, text),
            State::Comma if byte == b',' => self.state = State::Item { or_end: false },
            State::Comma if byte == b']' => self.state = State::End,
            State::Comma => return Err(fault("a comma or ] is missing", self.at)),
            State::End => return Err(fault("something follows the array", self.at)),
        }
        Ok(None)
    }

    fn inside(&mut self, byte: u8, depth: u32, text: Text) -> Result<Option<String>> {
        let (depth, text) = match (text, byte) {
            (Text::Escape, _) => (depth, Text::Inside),
            (Text::Inside, b'\\') => (depth, Text::Escape),
            (Text::Inside, b'"') => (depth, Text::Outside),
            (Text::Inside, _) => (depth, Text::Inside),
            (Text::Outside, b'"') => (depth, Text::Inside),
            (Text::Outside, b'{' | b'[') if depth >= MAX_DEPTH => {
                return Err(fault(&format!("this is nested deeper than {MAX_DEPTH} levels"), self.at));
            }
            (Text::Outside, b'{' | b'[') => (depth + 1, Text::Outside),
            // The end of a number or a word, which have no end of their own.
            (Text::Outside, b',' | b']') if depth == 0 => {
                let item = self.taken()?;
                self.state = if byte == b',' { State::Item { or_end: false } } else { State::End };
                return Ok(Some(item));
            }
            (Text::Outside, b'}' | b']') => (depth.saturating_sub(1), Text::Outside),
            (Text::Outside, _) => (depth, Text::Outside),
        };
        if self.item.len() >= MAX_USER {
            let Place { line, column, .. } = self.item_at;
            let problem = format!("The user at line {line}, column {column} is larger than {MAX_USER} octets.");
            return Err(Error::new(ErrorKind::PayloadTooLarge, problem));
        }
        self.item.push(byte);
        let closed = depth == 0 && text == Text::Outside && matches!(byte, b'}' | b']' | b'"');
        self.state = if closed { State::Comma } else { State::Inside { depth, text } };
        if closed { self.taken().map(Some) } else { Ok(None) }
    }

    /// The item, if it is JSON.
    fn taken(&mut self) -> Result<String> {
        let item = String::from_utf8(std::mem::take(&mut self.item)).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            fault("this is no UTF-8 text", self.within(error.as_bytes().get(..good).unwrap_or_default()))
        })?;
        // By the parser that reads it later: it refuses more than the grammar does, such as halves of characters.
        match serde_json::from_str::<Value>(&item) {
            Ok(_) => Ok(item),
            Err(error) => {
                // serde_json counts lines from 1, and columns as the octets before the place, the faulty one included.
                let lines_before: usize = item.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
                let upto = lines_before + error.column().saturating_sub(1);
                let place = self.within(item.as_bytes().get(..upto.min(item.len())).unwrap_or_default());
                Err(fault("this is not JSON", place).because(error))
            }
        }
    }

    /// The place after these bytes of the item.
    fn within(&self, bytes: &[u8]) -> Place {
        let mut place = self.item_at;
        place.octet += bytes.len() as u64;
        let newlines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => (place.line, place.column) = (place.line + newlines, (bytes.len() - last) as u64),
            None => place.column += bytes.len() as u64,
        }
        place
    }
}

fn fault(problem: &str, Place { octet, line, column }: Place) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("At line {line}, column {column} (octet {octet}): {problem}."))
}

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Result<Vec<String>> {
        let (mut reader, mut items) = (ArrayReader::new(1 << 20), Vec::new());
        for chunk in chunks {
            reader.push(chunk, |item| {
                items.push(item);
                Ok(())
            })?;
        }
        reader.finish().map(|()| items)
    }

    #[test]
    fn items_are_the_same_however_the_file_is_cut() {
        let text = "\u{feff} [ {\"a\": \"x]},\\\"[{\\\\\", \"b\": [1, {\"c\": \"ü\u{1f600}\"}]},\n\t5 ,null,\"t, ]\" , [[]],{} ,true]\r\n";
        let whole = read(&[text.as_bytes()]).expect("items");
        let values: Vec<Value> = whole.iter().map(|item| serde_json::from_str(item).expect("JSON")).collect();
        let expected: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).expect("JSON");
        assert_eq!(Value::Array(values), expected);
        for size in 1..9 {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(read(&chunks).expect("items"), whole, "chunks of {size}");
        }
        assert_eq!(read(&[b"[]"]).expect("items"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_array_is_refused_with_its_place() {
        for (text, place) in [
            ("", "line 1, column 1 (octet 0)"),
            ("{}", "line 1, column 1 (octet 0)"),
            ("[", "line 1, column 2 (octet 1)"),
            ("[,]", "line 1, column 2 (octet 1)"),
            ("[{},]", "line 1, column 5 (octet 4)"),
            ("[{} {}]", "line 1, column 5 (octet 4)"),
            ("[{}]x", "line 1, column 5 (octet 4)"),
            ("[{}", "line 1, column 4 (octet 3)"),
            ("[\n {\"a\": 1},\n {\"b\" 2}]", "line 3, column 7 (octet 19)"),
            ("[{\"a\":\n\n 1x}]", "line 3, column 3 (octet 10)"),
            ("[nul]", "line 1, column 4 (octet 3)"),
            ("[{]}]", "line 1, column 3 (octet 2)"),
            ("[{\"a\": \"\u{1}\"}]", "line 1, column 9 (octet 8)"),
        ] {
            let error = read(&[text.as_bytes()]).expect_err(text);
            assert_eq!(error.kind, ErrorKind::InvalidRequest);
            assert!(error.detail.contains(&format!("At {place}")), "{text:?}: {}", error.detail);
        }
        let error = read(&[b"[{\"a\": \"\xff\"}]"]).expect_err("no UTF-8");
        assert!(error.detail.contains("line 1, column 9 (octet 8)"), "{}", error.detail);
        let deep = format!("[{}{}]", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read(&[deep.as_bytes()]).expect_err("too deep").kind, ErrorKind::InvalidRequest);
        // A part of an import puts two more levels around it, which its reader has to bear too.
        let nested = |levels: usize| format!("[{}{}]", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(read(&[nested(100).as_bytes()]).expect("items").len(), 1);
        assert_eq!(read(&[nested(101).as_bytes()]).expect_err("too deep").kind, ErrorKind::InvalidRequest);
        // What a lenient parser would let through, and a strict one would find in the middle of a job.
        for text in ["[1e999]", "[\"\\ud800\"]"] {
            assert_eq!(read(&[text.as_bytes()]).expect_err(text).kind, ErrorKind::InvalidRequest);
        }
    }

    #[test]
    fn file_and_users_have_their_limits() {
        let user = |length: usize| format!("[\"{}\"]", "x".repeat(length - 2));
        assert_eq!(read(&[user(MAX_USER).as_bytes()]).expect("fits").len(), 1);
        assert_eq!(read(&[user(MAX_USER + 1).as_bytes()]).expect_err("too long").kind, ErrorKind::PayloadTooLarge);
        let mut reader = ArrayReader::new(10);
        reader.push(b"[1,2,3,4]\n", |_| Ok(())).expect("ten octets");
        reader.finish().expect("whole");
        assert_eq!(reader.push(b" ", |_| Ok(())).expect_err("eleven").kind, ErrorKind::PayloadTooLarge);
    }
}
