//! XML as SAML needs it: a strict, bounded reader into a small tree, canonicalisation, and an escaping writer.
//!
//! The reader refuses everything that the SAML profile has no use for and attackers have: document types,
//! foreign encodings, several roots, undeclared prefixes, duplicate attributes, trailing data, and (in messages)
//! comments and processing instructions. What it accepts it bounds by [`Limits`].

pub(in crate::saml) mod c14n;
mod dom;
pub(in crate::saml) mod reader;
mod writer;

pub(in crate::saml) use c14n::has_one_form;
pub use c14n::{Canonicalization, canonicalize};
pub use dom::{Declaration, Document, Element};
pub(crate) use reader::is_ncname;
pub use reader::{Limits, XmlError, XmlErrorKind, parse, parse_in_context};
pub use writer::Writer;

#[cfg(test)]
mod tests;
