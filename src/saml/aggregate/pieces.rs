//! A document cut into its pieces as it comes, without ever being in memory as a whole.
//!
//! quick-xml cuts; what may be in a piece is decided by the same functions as in `xml`. Comments and processing
//! instructions are left out here, as `xml` leaves them out, and the size of every piece is bounded. (A processing instruction
//! belongs to the canonical form. A document that was signed with one in it is refused, which has not been seen.)

use crate::saml::xml::reader::{check_characters, declaration};
use crate::saml::xml::{XmlError, XmlErrorKind};
use quick_xml::Reader;
use quick_xml::events::Event;
use std::io::{self, BufRead, Read};

/// Bytes of one tag, text or comment.
const PIECE: u64 = 1024 * 1024;

/// What a piece is. Its text is [`Pieces::raw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Start,
    Empty,
    End,
    Text,
    CData,
    Reference,
    /// The document is over.
    Eof,
}

/// Cuts a document into pieces.
pub(super) struct Pieces<R> {
    reader: Reader<Metered<R>>,
    buffer: Vec<u8>,
    /// Where the piece begins, from 1.
    line: usize,
    first: bool,
}

impl<R: BufRead> Pieces<R> {
    pub fn new(source: R) -> Self {
        let metered = Metered { source, left: PIECE, lines: 0, ended: None };
        Self { reader: Reader::from_reader(metered), buffer: Vec::with_capacity(4096), line: 1, first: true }
    }

    /// Goes to the next piece that means something.
    ///
    /// # Errors
    /// When the source cannot be read, is not UTF-8, not well-formed, or has what no SAML document has.
    pub fn next(&mut self) -> Result<Piece, XmlError> {
        loop {
            self.line = 1 + self.reader.get_ref().lines;
            self.buffer.clear();
            self.reader.get_mut().left = PIECE;
            let event = self.reader.read_event_into(&mut self.buffer);
            let (piece, is_declaration) = match event {
                Ok(Event::Start(_)) => (Some(Piece::Start), false),
                Ok(Event::Empty(_)) => (Some(Piece::Empty), false),
                Ok(Event::End(_)) => (Some(Piece::End), false),
                Ok(Event::Text(_)) => (Some(Piece::Text), false),
                Ok(Event::CData(_)) => (Some(Piece::CData), false),
                Ok(Event::GeneralRef(_)) => (Some(Piece::Reference), false),
                Ok(Event::Eof) => (Some(Piece::Eof), false),
                Ok(Event::Decl(_)) => (None, true),
                Ok(Event::Comment(_) | Event::PI(_)) => (None, false),
                Ok(Event::DocType(_)) => return Err(self.error(XmlErrorKind::DocumentType)),
                Err(error) => {
                    let kind = self.reader.get_ref().ended.clone();
                    return Err(self.error(kind.unwrap_or_else(|| XmlErrorKind::Malformed(error.to_string()))));
                }
            };
            let first = std::mem::replace(&mut self.first, false);
            self.check(is_declaration, first).map_err(|kind| self.error(kind))?;
            if let Some(piece) = piece {
                return Ok(piece);
            }
        }
    }

    fn check(&self, is_declaration: bool, first: bool) -> Result<(), XmlErrorKind> {
        let raw = str::from_utf8(&self.buffer).map_err(|_| XmlErrorKind::Encoding("these bytes are not".to_owned()))?;
        check_characters(raw)?;
        if is_declaration { declaration(raw, first) } else { Ok(()) }
    }

    /// The piece as it is written, markup included.
    pub fn raw(&self) -> &str {
        // Checked when it was read.
        str::from_utf8(&self.buffer).unwrap_or_default()
    }

    /// Line where the piece begins, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// An error at this place.
    pub const fn error(&self, kind: XmlErrorKind) -> XmlError {
        XmlError { kind, line: self.line }
    }
}

/// Counts lines, and stops where one piece takes too much.
struct Metered<R> {
    source: R,
    left: u64,
    lines: usize,
    ended: Option<XmlErrorKind>,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(available) {
            *to = *from;
        }
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            self.ended = Some(XmlErrorKind::TooComplex { what: "bytes in one tag or text", limit: PIECE as usize });
            return Err(io::ErrorKind::InvalidData.into());
        }
        match self.source.fill_buf() {
            Ok(available) => {
                let length = available.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                Ok(available.get(..length).unwrap_or_default())
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.ended = Some(XmlErrorKind::Malformed(format!("it cannot be read on: {error}")));
                }
                Err(error)
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        // What is still in the buffer is what `fill_buf` showed.
        if let Ok(shown) = self.source.fill_buf() {
            self.lines += shown.iter().take(amount).filter(|byte| **byte == b'\n').count();
        }
        self.left = self.left.saturating_sub(amount as u64);
        self.source.consume(amount);
    }
}
