//! How a document begins: its root, the Signature in it, and how long it may be used.

use super::pieces::{Piece, Pieces};
use super::scope::{Scope, Tag};
use super::{AggregateError, Validity};
use crate::clock::Timestamp;
use crate::saml::assertion::read_date;
use crate::saml::metadata::{Inherited, read_duration};
use crate::saml::names;
use crate::saml::rejection::{Checks, Part, Rejection};
use crate::saml::signature::{Allowed, Promise, TrustedKeys};
use crate::saml::trust::Verification;
use crate::saml::xml::reader::{Outcome, is_space, malformed, normalize_line_ends, resolve_reference};
use crate::saml::xml::{Limits, XmlErrorKind, is_ncname, parse_in_context};
use openssl::hash::Hasher;
use std::io::BufRead;

/// Octets of the root's Signature, and of what stands before it.
const SIGNATURE: usize = 128 * 1024;

/// What a pinned key promised of the root, and the digest as far as it has got.
pub(super) struct RootPromise {
    pub promise: Promise,
    pub hasher: Hasher,
}

/// Goes to the root's start tag; says whether it is empty.
pub(super) fn prolog(pieces: &mut Pieces<impl BufRead>) -> Result<bool, AggregateError> {
    loop {
        match pieces.next()? {
            Piece::Start => return Ok(false),
            Piece::Empty => return Ok(true),
            Piece::Text if pieces.raw().chars().all(is_space) => {}
            _ => return Err(pieces.error(XmlErrorKind::Malformed("text outside the root element".to_owned())).into()),
        }
    }
}

/// Collects the text before the first child, and returns what comes then: a start tag, or the end of the root.
pub(super) fn to_first_child(pieces: &mut Pieces<impl BufRead>, lead: &mut String) -> Result<Piece, AggregateError> {
    loop {
        let piece = pieces.next()?;
        match piece {
            Piece::Text | Piece::CData | Piece::Reference => {
                character_data(piece, pieces.raw(), |text| lead.push_str(text)).map_err(|kind| pieces.error(kind))?;
                if lead.len() > SIGNATURE {
                    let kind = XmlErrorKind::TooComplex { what: "bytes before the first element", limit: SIGNATURE };
                    return Err(pieces.error(kind).into());
                }
            }
            Piece::Start | Piece::Empty | Piece::End => return Ok(piece),
            Piece::Eof => {
                return Err(pieces.error(XmlErrorKind::Malformed("the document ends before its root element does".to_owned())).into());
            }
        }
    }
}

/// If the start tag at hand is that of a Signature: takes the whole element out of the document.
pub(super) fn take_signature(pieces: &mut Pieces<impl BufRead>, scope: &mut Scope, next: Piece) -> Result<Option<String>, AggregateError> {
    if next == Piece::End {
        return Ok(None);
    }
    let tag = scope.open(pieces.raw(), next == Piece::Empty).map_err(|kind| pieces.error(kind))?;
    let is_signature = scope.is(&tag, names::DS, "Signature");
    scope.close(None).map_err(|kind| pieces.error(kind))?;
    if !is_signature {
        return Ok(None);
    }
    let mut xml = pieces.raw().to_owned();
    let mut depth = usize::from(next == Piece::Start);
    while depth > 0 {
        match pieces.next()? {
            Piece::Start => depth += 1,
            Piece::End => depth -= 1,
            Piece::Eof => return Err(pieces.error(XmlErrorKind::Malformed("the Signature does not end".to_owned())).into()),
            Piece::Empty | Piece::Text | Piece::CData | Piece::Reference => {}
        }
        xml.push_str(pieces.raw());
        if xml.len() > SIGNATURE {
            return Err(pieces.error(XmlErrorKind::TooComplex { what: "bytes in the Signature", limit: SIGNATURE }).into());
        }
    }
    Ok(Some(xml))
}

/// What the root's signature promises, if a pinned key made it and it is about the root.
pub(super) fn promise(signature: Option<&str>, scope: &Scope, root: &Tag<'_>, keys: &TrustedKeys) -> Result<RootPromise, AggregateError> {
    let xml = signature.ok_or(Rejection::Unsigned { on: Part::Metadata })?;
    let context: Vec<(&str, &str)> = scope.bindings().iter().map(|(prefix, id)| (&**prefix, scope.uri(*id))).collect();
    let document = parse_in_context(xml, Limits::METADATA.with_bytes(SIGNATURE), &context)?;
    let mut ignored = Vec::new();
    let how = Verification { keys, allowed: Allowed::default(), evidence: false };
    let promise = Promise::verify(document.root(), how, &mut Checks(&mut ignored))?;
    // SAML Core 5.4.2: the one Reference is to the element that the signature stands in.
    let root_id = root.attribute("ID").filter(|id| is_ncname(id)).ok_or(Rejection::IdMissing { on: Part::Metadata })?;
    if promise.id != root_id {
        let (expected, found) = (format!("#{root_id}"), format!("#{}", promise.id));
        return Err(Rejection::WrongReference { expected, found }.into());
    }
    let hasher = Hasher::new(promise.digest.openssl()).map_err(|_| Rejection::SignatureStructure { why: "the digest cannot be made" })?;
    Ok(RootPromise { promise, hasher })
}

pub(super) fn validity(root: &Tag<'_>, terms: Validity, now: Timestamp) -> Result<Inherited, AggregateError> {
    let inherited = inherited(root).map_err(|found| AggregateError::ValidUntilUnreadable { found })?;
    if let Some(until) = inherited.valid_until.filter(|until| *until <= now) {
        return Err(AggregateError::Expired { until, now });
    }
    match (terms, inherited.valid_until) {
        (Validity::Required { .. }, None) => Err(AggregateError::ValidUntilMissing),
        (Validity::Required { at_most_seconds }, Some(until)) if until > now.plus_seconds(at_most_seconds) => {
            Err(AggregateError::ValidTooLong { until, latest: now.plus_seconds(at_most_seconds) })
        }
        _ => Ok(inherited),
    }
}

/// What a tag says for everything in it; the text of a validUntil that is none.
pub(super) fn inherited(tag: &Tag<'_>) -> Result<Inherited, String> {
    let read = |text: &str| read_date(text).ok_or_else(|| text.to_owned());
    let valid_until = tag.attribute("validUntil").map(read).transpose()?;
    Ok(Inherited { valid_until, cache_seconds: tag.attribute("cacheDuration").and_then(read_duration) })
}

/// Hands over the text that a piece stands for.
pub(super) fn character_data(piece: Piece, raw: &str, mut visit: impl FnMut(&str)) -> Outcome {
    match piece {
        Piece::Text if raw.contains("]]>") => return malformed("]]> in text"),
        Piece::Text => visit(&normalize_line_ends(raw)),
        Piece::CData => {
            let inner = raw.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>"));
            let Some(inner) = inner else { return malformed("a broken CDATA section") };
            visit(&normalize_line_ends(inner));
        }
        Piece::Reference => {
            let name = raw.strip_prefix('&').and_then(|rest| rest.strip_suffix(';'));
            let Some(name) = name else { return malformed("a broken entity reference") };
            visit(resolve_reference(name)?.encode_utf8(&mut [0; 4]));
        }
        Piece::Start | Piece::Empty | Piece::End | Piece::Eof => {}
    }
    Ok(())
}
