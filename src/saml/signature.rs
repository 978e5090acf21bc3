//! XML signatures: the strict engine that verifies them.
//!
//! The engine accepts one form only: one `Signature` as a direct child of the element it signs, one `Reference`
//! to that element's ID, the enveloped-signature and exclusive canonicalisation transforms, allowed algorithms,
//! a configured key. [`SignedXml`] is the result, and **the bytes that were hashed are the bytes that are read**:
//! a mistake in canonicalisation can refuse a good message but never accept a bad one. SignedInfo likewise.
//!
//! The keys and the list of algorithms are in `trust.rs`, the signer in `sign.rs`.

pub use super::sign::{Signer, sign};
pub use super::trust::{Allowed, TrustedKeys, signature_scheme, signature_uri};

use super::names;
use super::rejection::{Checks, Part, Rejection};
use super::trust::{TrustedKey, Verification, digest_method};
use super::xml::{Canonicalization, Document, Element, Limits, canonicalize, has_one_form, parse};
use crate::id;
use crate::keys::{Digest, SignatureScheme};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::hash;

/// Bytes of a SignedInfo as it came: the only thing that is canonicalised before anything is known to be genuine.
const SIGNED_INFO: usize = 16 * 1024;

/// An element whose signature was verified: its canonical bytes without that signature, and nothing else.
#[derive(Debug)]
pub struct SignedXml {
    bytes: String,
    /// What a second engine needs to look at the same signature.
    evidence: Option<Evidence>,
}

/// The signed element with the essential parts of its signature, as a document of its own.
#[derive(Debug)]
#[cfg_attr(not(feature = "xmlsec"), expect(dead_code, reason = "only the second opinion reads it"))]
pub(super) struct Evidence {
    pub document: String,
    pub certificate_der: Vec<u8>,
    pub signature_algorithm: String,
}

impl SignedXml {
    /// Verifies the signature of `element`, which is the root or was found by the caller in its schema place.
    ///
    /// # Errors
    /// A [`Rejection`] for the first check that fails; every check is noted.
    pub(super) fn verify(element: Element<'_>, part: Part, how: Verification<'_>, checks: &mut Checks<'_>) -> Result<Self, Rejection> {
        let signature = checks.outcome("signature-place", "one Signature, in its place", signature_of(element, part))?;
        // Canonical XML 1.3: a document with a relative namespace name has no canonical form.
        if !element.document().namespace_names().all(has_one_form) {
            return Err(Rejection::SignatureStructure { why: "a namespace name is not an absolute URI that has one form" });
        }
        let Verified { parts, method, signed_info, info, key } = verify_signed_info(signature, how, checks)?;

        let expected = checks.outcome("element-id", "an ID", element_id(element, part))?;
        checks.require("reference", info.reference.strip_prefix('#') == Some(expected), format!("#{expected}"), &info.reference, || {
            Rejection::WrongReference { expected: format!("#{expected}"), found: info.reference.clone() }
        })?;
        let bytes = info.transform.apply(element, &[signature]);
        let found = hash(info.digest.openssl(), bytes.as_bytes())
            .map_err(|_| Rejection::SignatureStructure { why: "the digest cannot be made" })?;
        let same = id::eq_constant_time(&found, &info.digest_value);
        let (expected, found) = (STANDARD.encode(&info.digest_value), STANDARD.encode(found));
        checks
            .require("digest", same, &expected, &found, || Rejection::DigestDiffers { expected: expected.clone(), found: found.clone() })?;

        let evidence = how.evidence.then(|| Evidence {
            document: evidence_document(element, signature, (&method, &signed_info, &parts.value), &info.transform),
            certificate_der: key.der.clone(),
            signature_algorithm: info.signature_algorithm,
        });
        Ok(Self { bytes, evidence })
    }

    /// The bytes that were hashed.
    pub fn bytes(&self) -> &str {
        &self.bytes
    }

    /// Reads the bytes that were hashed.
    ///
    /// # Errors
    /// Never for what the strict reader accepted before; the type says so anyway.
    pub fn document(&self) -> Result<Document<'_>, Rejection> {
        // Canonical bytes may be longer than what was read (declarations are repeated, characters escaped).
        parse(&self.bytes, Limits::METADATA).map_err(Rejection::from)
    }

    #[cfg_attr(not(feature = "xmlsec"), expect(dead_code, reason = "only the second opinion reads it"))]
    pub(super) const fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }
}

/// What a verified SignedInfo promises of an element that is hashed elsewhere, piece by piece.
#[derive(Debug)]
pub(super) struct Promise {
    /// The ID of the element that is promised.
    pub id: String,
    /// The PrefixList of its Exclusive C14N.
    pub prefixes: Vec<String>,
    pub digest: Digest,
    pub digest_value: Vec<u8>,
}

impl Promise {
    /// Verifies the signature of `signature` over its SignedInfo. Whoever calls this has seen that it stands in its place, and
    /// believes nothing before the digest was compared.
    ///
    /// # Errors
    /// A [`Rejection`] for the first check that fails, also where the form is not Exclusive C14N.
    pub fn verify(signature: Element<'_>, how: Verification<'_>, checks: &mut Checks<'_>) -> Result<Self, Rejection> {
        let Verified { info, .. } = verify_signed_info(signature, how, checks)?;
        if info.transform.inclusive {
            return Err(Rejection::TransformRefused { found: names::C14N.to_owned() });
        }
        let id = info.reference.strip_prefix('#').filter(|id| super::xml::is_ncname(id));
        let id = id.ok_or_else(|| Rejection::WrongReference { expected: "the root element".to_owned(), found: info.reference.clone() })?;
        Ok(Self { id: id.to_owned(), prefixes: info.transform.prefixes, digest: info.digest, digest_value: info.digest_value })
    }
}

/// A Signature whose value fits its SignedInfo.
struct Verified<'d, 'k> {
    parts: Parts<'d>,
    method: Method,
    /// The bytes that the key signed.
    signed_info: String,
    info: SignedInfo,
    key: &'k TrustedKey,
}

/// Verifies the value of a signature. SignedInfo is read only from the canonical bytes that it covers.
fn verify_signed_info<'d, 'k>(
    signature: Element<'d>,
    how: Verification<'k>,
    checks: &mut Checks<'_>,
) -> Result<Verified<'d, 'k>, Rejection> {
    let Verification { keys, allowed, .. } = how;
    let parts = checks.outcome("signature-structure", "SignedInfo, SignatureValue, at most one KeyInfo", Parts::of(signature))?;
    if parts.signed_info.range().len() > SIGNED_INFO {
        return Err(Rejection::TooComplex { what: "bytes in SignedInfo", limit: SIGNED_INFO });
    }
    let method = checks.outcome("signed-info-canonicalization", "Exclusive C14N", parts.canonicalization(allowed))?;
    let signed_info = method.apply(parts.signed_info, &[]);
    let document = parse(&signed_info, Limits::MESSAGE)?;
    let info = SignedInfo::read(document.root(), allowed, checks)?;
    let key = verify_value(&info, &signed_info, &parts, keys, checks)?;
    Ok(Verified { parts, method, signed_info, info, key })
}

/// An element with a signature, and what came of that.
pub type Judged<'d> = (Element<'d>, Result<SignedXml, Rejection>);

/// Verifies each Signature of a message by itself: that of its root, and those of the assertions right in it. This is the
/// engine alone, for those who compare it with others; what a message says is asked elsewhere.
///
/// # Errors
/// When IDs repeat or a Signature stands out of place, which is refused before any is verified.
pub fn verify_each<'d>(document: &'d Document<'d>, keys: &TrustedKeys, allowed: Allowed) -> Result<Vec<Judged<'d>>, Rejection> {
    let root = document.root();
    let places: Vec<_> = [root].into_iter().chain(root.children_named(names::SAML, "Assertion").take(8)).collect();
    let mut checks = Vec::new();
    check_document(document, &places, &mut Checks(&mut checks))?;
    let part = |place: Element<'_>| if place.is(names::SAML, "Assertion") { Part::Assertion } else { Part::Response };
    let how = Verification { keys, allowed, evidence: false };
    let signed = places.into_iter().filter(|place| is_signed(*place));
    Ok(signed.map(|place| (place, SignedXml::verify(place, part(place), how, &mut Checks(&mut checks)))).collect())
}

/// Whether `element` carries a Signature child.
pub(super) fn is_signed(element: Element<'_>) -> bool {
    element.child(names::DS, "Signature").is_some()
}

/// Refuses signatures anywhere but as a child of one of `places`, and IDs that occur twice.
pub(super) fn check_document(document: &Document<'_>, places: &[Element<'_>], checks: &mut Checks<'_>) -> Result<(), Rejection> {
    let misplaced = document
        .elements()
        .filter(|element| element.is(names::DS, "Signature"))
        .find(|signature| !signature.parent().is_some_and(|parent| places.contains(&parent)));
    let found = misplaced.map_or_else(
        || "only there".to_owned(),
        |signature| signature.parent().map_or_else(|| "the root".to_owned(), |parent| parent.local_name().to_owned()),
    );
    checks.require("signatures-in-place", misplaced.is_none(), "signatures only on the message and its assertion", &found, || {
        Rejection::SignatureMisplaced { found: found.clone() }
    })?;

    let mut ids: Vec<&str> = document
        .elements()
        .flat_map(|element| [element.attribute("ID"), element.attribute("Id"), element.attribute_ns(names::XML, "id")])
        .flatten()
        .collect();
    ids.sort_unstable();
    let twice = ids.windows(2).find_map(|pair| match pair {
        [one, two] if one == two => Some((*one).to_owned()),
        _ => None,
    });
    checks.require("ids-unique", twice.is_none(), "every ID once", twice.as_deref().unwrap_or("every ID once"), || Rejection::DuplicateId {
        id: twice.clone().unwrap_or_default(),
    })
}

// SAML Core 5.4.2: the element must have an ID; Core 1.3.4: of type xs:ID.
fn element_id<'d>(element: Element<'d>, part: Part) -> Result<&'d str, Rejection> {
    element.attribute("ID").filter(|id| super::xml::is_ncname(id)).ok_or(Rejection::IdMissing { on: part })
}

// SAML Core 5.4.1: enveloped. Schema: the Signature follows the Issuer (protocol, assertion) or is the first child (metadata).
fn signature_of(element: Element<'_>, part: Part) -> Result<Element<'_>, Rejection> {
    let mut signatures = element.children_named(names::DS, "Signature");
    let Some(signature) = signatures.next() else { return Err(Rejection::Unsigned { on: part }) };
    if signatures.next().is_some() {
        return Err(Rejection::SeveralSignatures { on: part });
    }
    let before = element.children().find(|child| !child.is(names::SAML, "Issuer"));
    if before != Some(signature) {
        return Err(Rejection::SignatureMisplaced { found: format!("{} after other elements", element.local_name()) });
    }
    Ok(signature)
}

/// The children of a Signature, by their fixed order.
struct Parts<'d> {
    signed_info: Element<'d>,
    value: Vec<u8>,
    key_info: Option<Element<'d>>,
}

impl<'d> Parts<'d> {
    fn of(signature: Element<'d>) -> Result<Self, Rejection> {
        let broken = |why| Rejection::SignatureStructure { why };
        let mut children = signature.children();
        let signed_info = children.next().filter(|e| e.is(names::DS, "SignedInfo")).ok_or_else(|| broken("SignedInfo must come first"))?;
        // It is canonicalised before anything of it is known to be true.
        if signed_info.range().len() > SIGNED_INFO_LIMIT {
            return Err(Rejection::TooComplex { what: "bytes in SignedInfo", limit: SIGNED_INFO_LIMIT });
        }
        let value =
            children.next().filter(|e| e.is(names::DS, "SignatureValue")).ok_or_else(|| broken("SignatureValue must come second"))?;
        if value.children().next().is_some() {
            return Err(broken("SignatureValue holds only text"));
        }
        let value = decode_base64(&value.text()).ok_or(Rejection::Encoding { what: "the SignatureValue is not base64" })?;
        let key_info = children.next();
        if key_info.is_some_and(|e| !e.is(names::DS, "KeyInfo")) || children.next().is_some() {
            return Err(broken("after SignatureValue only one KeyInfo may follow"));
        }
        Ok(Self { signed_info, value, key_info })
    }

    fn canonicalization(&self, allowed: Allowed) -> Result<Method, Rejection> {
        let method = self.signed_info.child(names::DS, "CanonicalizationMethod");
        let method = method.ok_or(Rejection::SignatureStructure { why: "CanonicalizationMethod is missing" })?;
        Method::read(method, allowed)
    }

    /// Fingerprints of the certificates that the message names.
    fn named_certificates(&self) -> Vec<String> {
        let Some(key_info) = self.key_info else { return Vec::new() };
        key_info
            .children_named(names::DS, "X509Data")
            .flat_map(|data| data.children_named(names::DS, "X509Certificate"))
            .take(8)
            .filter_map(|certificate| decode_base64(&certificate.text()))
            .map(|der| id::hex(&id::sha256(&der)))
            .collect()
    }
}

/// A canonicalisation method as named in a message.
#[derive(PartialEq, Eq)]
struct Method {
    inclusive: bool,
    prefixes: Vec<String>,
}

impl Method {
    fn read(element: Element<'_>, allowed: Allowed) -> Result<Self, Rejection> {
        let uri = element.attribute("Algorithm").unwrap_or_default();
        match uri {
            // With or without comments is the same here: a message with a comment is not read at all.
            names::EXC_C14N | names::EXC_C14N_WITH_COMMENTS => {}
            names::C14N | names::C14N_WITH_COMMENTS if allowed.inclusive_c14n => {
                return match element.children().next() {
                    None => Ok(Self { inclusive: true, prefixes: Vec::new() }),
                    Some(_) => Err(Rejection::SignatureStructure { why: "inclusive C14N takes no parameters" }),
                };
            }
            _ => return Err(Rejection::TransformRefused { found: uri.to_owned() }),
        }
        let mut children = element.children();
        let list = children.next();
        if list.is_some_and(|child| !child.is(names::EXC_C14N, "InclusiveNamespaces")) || children.next().is_some() {
            return Err(Rejection::SignatureStructure { why: "only one InclusiveNamespaces may stand in a transform" });
        }
        let list = list.and_then(|child| child.attribute("PrefixList")).unwrap_or_default();
        // White space that survived attribute normalisation was written as a reference; not everybody splits there. Where two
        // spaces are, or one before the first prefix, libxmlsec1 reads an empty prefix, and libxml2 takes that for #default.
        if list.contains(['\t', '\n', '\r']) || list.starts_with(' ') || list.contains("  ") {
            return Err(Rejection::SignatureStructure { why: "prefixes are separated by one space each" });
        }
        let prefixes: Vec<String> = list.split_ascii_whitespace().map(str::to_owned).collect();
        if prefixes.len() > 64 {
            return Err(Rejection::TooComplex { what: "prefixes in InclusiveNamespaces", limit: 64 });
        }
        Ok(Self { inclusive: false, prefixes })
    }

    fn apply(&self, element: Element<'_>, omit: &[Element<'_>]) -> String {
        if self.inclusive {
            return canonicalize(element, Canonicalization::Inclusive, omit);
        }
        let prefixes: Vec<&str> = self.prefixes.iter().map(String::as_str).collect();
        canonicalize(element, Canonicalization::Exclusive(&prefixes), omit)
    }
}

/// What a SignedInfo says, in its own canonical bytes.
struct SignedInfo {
    signature_algorithm: String,
    scheme: SignatureScheme,
    reference: String,
    transform: Method,
    digest: Digest,
    digest_value: Vec<u8>,
}

impl SignedInfo {
    fn read(info: Element<'_>, allowed: Allowed, checks: &mut Checks<'_>) -> Result<Self, Rejection> {
        let broken = |why| Rejection::SignatureStructure { why };
        let mut children = info.children();
        let canonicalization = children.next().filter(|e| e.is(names::DS, "CanonicalizationMethod"));
        canonicalization.ok_or_else(|| broken("CanonicalizationMethod must come first"))?;
        let method =
            children.next().filter(|e| e.is(names::DS, "SignatureMethod")).ok_or_else(|| broken("SignatureMethod must come second"))?;
        let algorithm = method.attribute("Algorithm").unwrap_or_default();
        let scheme = signature_scheme(algorithm, allowed);
        checks.require("signature-algorithm", scheme.is_ok(), "an allowed algorithm", algorithm, || Rejection::AlgorithmRefused {
            what: "signature",
            found: algorithm.to_owned(),
        })?;
        let scheme = scheme?;
        if method.children().next().is_some() {
            return Err(broken("SignatureMethod takes no parameters"));
        }

        let references: Vec<_> = children.collect();
        let [reference] = references.as_slice() else {
            return checks.outcome("one-reference", "one Reference", Err(Rejection::ReferenceCount { found: references.len() }));
        };
        checks.outcome("one-reference", "one Reference", Ok(()))?;
        if !reference.is(names::DS, "Reference") {
            return Err(broken("Reference must come third"));
        }
        let mut children = reference.children();
        let (transforms, digest, value) = (children.next(), children.next(), children.next());
        let transforms = transforms.filter(|e| e.is(names::DS, "Transforms")).ok_or_else(|| broken("Transforms are missing"))?;
        let digest = digest.filter(|e| e.is(names::DS, "DigestMethod")).ok_or_else(|| broken("DigestMethod is missing"))?;
        let value = value.filter(|e| e.is(names::DS, "DigestValue")).ok_or_else(|| broken("DigestValue is missing"))?;
        if children.next().is_some() {
            return Err(broken("something follows DigestValue"));
        }
        if digest.children().next().is_some() || value.children().next().is_some() {
            return Err(broken("DigestMethod takes no parameters, and DigestValue holds only text"));
        }
        let transform = checks.outcome("transforms", "enveloped signature, then Exclusive C14N", read_transforms(transforms, allowed))?;
        let algorithm_of_digest = digest.attribute("Algorithm").unwrap_or_default();
        let digest = digest_method(algorithm_of_digest, allowed);
        checks.require("digest-algorithm", digest.is_ok(), "an allowed algorithm", algorithm_of_digest, || {
            Rejection::AlgorithmRefused { what: "digest", found: algorithm_of_digest.to_owned() }
        })?;
        Ok(Self {
            signature_algorithm: algorithm.to_owned(),
            scheme,
            reference: reference.attribute("URI").unwrap_or_default().to_owned(),
            transform,
            digest: digest?,
            digest_value: decode_base64(&value.text()).ok_or(Rejection::Encoding { what: "the DigestValue is not base64" })?,
        })
    }
}

// SAML Core 5.4.4: enveloped signature and exclusive canonicalisation, nothing else.
fn read_transforms(transforms: Element<'_>, allowed: Allowed) -> Result<Method, Rejection> {
    let mut children = transforms.children();
    let (first, second) = match (children.next(), children.next(), children.next()) {
        (Some(first), Some(second), None) => (first, Some(second)),
        // XML Signature 4.4.3.2: a node-set that no transform has made octets of is canonicalised by Canonical XML 1.0.
        (Some(first), None, None) if allowed.inclusive_c14n => (first, None),
        _ => {
            let found = transforms.children().map(|e| e.attribute("Algorithm").unwrap_or("?").to_owned()).collect::<Vec<_>>().join(", ");
            return Err(Rejection::TransformRefused { found });
        }
    };
    if [Some(first), second].into_iter().flatten().any(|transform| !transform.is(names::DS, "Transform")) {
        return Err(Rejection::SignatureStructure { why: "only Transform may stand in Transforms" });
    }
    if first.attribute("Algorithm") != Some(names::ENVELOPED) || first.children().next().is_some() {
        return Err(Rejection::TransformRefused { found: first.attribute("Algorithm").unwrap_or_default().to_owned() });
    }
    second.map_or(Ok(Method { inclusive: true, prefixes: Vec::new() }), |second| Method::read(second, allowed))
}

/// Verifies the signature value, and when it fails says whether another certificate was named.
fn verify_value<'k>(
    info: &SignedInfo,
    signed_info: &str,
    parts: &Parts<'_>,
    keys: &'k TrustedKeys,
    checks: &mut Checks<'_>,
) -> Result<&'k TrustedKey, Rejection> {
    let key = keys.verify(info.scheme, signed_info.as_bytes(), &parts.value);
    if let Some(key) = key {
        checks.require("signature", true, keys.names(), &key.fingerprint, || Rejection::SignatureInvalid { keys: keys.names() })?;
        return Ok(key);
    }
    let named = parts.named_certificates();
    let foreign = named.first().filter(|_| !named.iter().any(|name| keys.fingerprints().any(|known| known == name)));
    let rejection = match foreign {
        Some(found) => Rejection::WrongKey { expected: keys.names(), found: found.clone() },
        None => Rejection::SignatureInvalid { keys: keys.names() },
    };
    let found = foreign.map_or_else(|| "no configured key fits".to_owned(), |found| format!("certificate {found}"));
    checks.require("signature", false, keys.names(), found, || rejection.clone())?;
    Err(rejection)
}

/// The element with its signature as a document of its own, from which both canonical forms come out the same.
///
/// Nothing that the signature does not cover goes to the second engine: it could make it fail, and so raise an alarm. The
/// Signature is therefore written anew, around the SignedInfo that was verified, before everything else: its place does not
/// matter for the digest.
fn evidence_document(
    element: Element<'_>,
    signature: Element<'_>,
    (first, signed_info, value): (&Method, &str, &[u8]),
    second: &Method,
) -> String {
    let omit = [signature];
    let mut document = if first.inclusive || second.inclusive {
        canonicalize(element, Canonicalization::Inclusive, &omit)
    } else {
        // A signature on an element inside has prefixes of its own.
        let (covered, left_out) = (element.range(), signature.range());
        let lists: Vec<&str> = element
            .document()
            .elements()
            .filter(|e| covered.contains(&e.range().start) && !left_out.contains(&e.range().start))
            .filter(|e| e.is(names::EXC_C14N, "InclusiveNamespaces"))
            .filter_map(|list| list.attribute("PrefixList"))
            .collect();
        let mut prefixes: Vec<&str> = first.prefixes.iter().chain(&second.prefixes).map(String::as_str).collect();
        prefixes.extend(lists.iter().flat_map(|list| list.split_ascii_whitespace()));
        prefixes.sort_unstable();
        prefixes.dedup();
        canonicalize(element, Canonicalization::Exclusive(&prefixes), &omit)
    };
    let begin = start_tag_end(&document);
    let (prefix, colon) = (signature.prefix(), if signature.prefix().is_empty() { "" } else { ":" });
    let written = format!(
        "<{prefix}{colon}Signature xmlns{colon}{prefix}=\"{ds}\">{signed_info}<{prefix}{colon}SignatureValue>{value}</{prefix}{colon}SignatureValue></{prefix}{colon}Signature>",
        ds = names::DS,
        value = STANDARD.encode(value),
    );
    document.insert_str(begin, &written);
    document
}

/// Where the start tag of the root ends, in canonical text: an attribute's value may have a `>` in it, and has no `"`.
fn start_tag_end(canonical: &str) -> usize {
    let mut quoted = false;
    let end = canonical.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b'>' && !quoted
    });
    end.map_or(canonical.len(), |end| end + 1)
}

/// Base64 with white space in it.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return STANDARD.decode(text).ok();
    }
    let compact: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).ok()
}

/// Real ones have less than 3 KB.
const SIGNED_INFO_LIMIT: usize = 16 * 1024;

#[cfg(all(test, feature = "xmlsec"))]
mod tests {
    use super::*;
    use crate::keys::{CertifiedKey, KeyKind, PrivateKey};
    use crate::saml::rejection::Check;
    use crate::saml::second_opinion::confirm;

    fn signed() -> SignedXml {
        let key = CertifiedKey::self_signed(PrivateKey::generate(KeyKind::EcP256).expect("a key"), "test").expect("a certificate");
        let xml = sign("<a ID=\"_a\"><b>genuine</b></a>", Signer::new(&key)).expect("signed");
        let document = parse(&xml, Limits::MESSAGE).expect("readable");
        let keys = TrustedKeys::new(std::slice::from_ref(key.certificate())).expect("usable");
        let how = Verification { keys: &keys, allowed: Allowed::default(), evidence: true };
        SignedXml::verify(document.root(), Part::Metadata, how, &mut Checks(&mut Vec::new())).expect("verified")
    }

    #[test]
    fn of_two_signatures_by_two_keys_each_is_looked_at() {
        let key = |kind| CertifiedKey::self_signed(PrivateKey::generate(kind).expect("a key"), "test").expect("a certificate");
        let (rsa, ec) = (key(KeyKind::Rsa), key(KeyKind::EcP256));
        let keys = TrustedKeys::new(&[rsa.certificate().clone(), ec.certificate().clone()]).expect("usable");
        let inner = sign("<b ID=\"_b\"><c>genuine</c></b>", Signer::new(&ec)).expect("signed");
        let whole = sign(&format!("<a ID=\"_a\" x=\">\">{inner}</a>"), Signer::new(&rsa)).expect("signed");
        let document = parse(&whole, Limits::MESSAGE).expect("readable");
        let verify = |element| {
            let how = Verification { keys: &keys, allowed: Allowed::default(), evidence: true };
            SignedXml::verify(element, Part::Metadata, how, &mut Checks(&mut Vec::new())).expect("verified")
        };
        let inner_element = document.root().children().nth(1).expect("the inner element");
        let both = || (verify(document.root()), verify(inner_element));
        let opinion = |(outer, inner): &(SignedXml, SignedXml)| confirm(outer, Some(inner), &mut Checks(&mut Vec::new()));
        assert_eq!(opinion(&both()), Ok(()));
        let changed = |signed: &mut SignedXml, from: &str, to: &str| {
            let evidence = signed.evidence.as_mut().expect("evidence");
            assert!(evidence.document.contains(from));
            evidence.document = evidence.document.replacen(from, to, 1);
        };
        let mut outer_changed = both();
        changed(&mut outer_changed.0, "genuine", "forged");
        assert_eq!(opinion(&outer_changed).expect_err("refused").name(), "second-opinion-refused");
        let mut inner_changed = both();
        changed(&mut inner_changed.1, "genuine", "forged");
        assert_eq!(opinion(&inner_changed).expect_err("refused").name(), "second-opinion-refused");
        let mut inner_differs = both();
        inner_differs.1.bytes = inner_differs.1.bytes.replace("genuine", "forged");
        assert_eq!(opinion(&inner_differs), Err(Rejection::SecondOpinionDiffers));
        let mut foreign = both();
        let of_inner = foreign.1.evidence.as_ref().expect("evidence").certificate_der.clone();
        let third = key(KeyKind::Rsa).certificate_der();
        foreign.0.evidence.as_mut().expect("evidence").certificate_der = third;
        assert_eq!(opinion(&foreign).expect_err("refused").name(), "second-opinion-refused");
        assert_ne!(of_inner, rsa.certificate_der());
    }

    fn opinion(signed: &SignedXml) -> (Result<(), Rejection>, Vec<Check>) {
        let mut checks = Vec::new();
        let outcome = confirm(signed, None, &mut Checks(&mut checks));
        (outcome, checks)
    }

    #[test]
    fn the_second_engine_sees_the_same_bytes() {
        let signed = signed();
        assert_eq!(signed.bytes(), "<a ID=\"_a\"><b>genuine</b></a>");
        assert_eq!(opinion(&signed).0, Ok(()));
    }

    #[test]
    fn were_the_first_engine_wrong_the_second_would_say_so() {
        let mut other_bytes = signed();
        other_bytes.bytes = other_bytes.bytes.replace("genuine", "forged");
        assert_eq!(opinion(&other_bytes).0, Err(Rejection::SecondOpinionDiffers));

        let mut changed = signed();
        if let Some(evidence) = &mut changed.evidence {
            evidence.document = evidence.document.replace("genuine", "forged");
        }
        let (outcome, checks) = opinion(&changed);
        assert_eq!(outcome.expect_err("refused").name(), "second-opinion-refused");
        assert!(checks.iter().any(|check| check.name == "second-opinion" && !check.passed));

        let mut foreign = signed();
        foreign.evidence = foreign.evidence.map(|evidence| Evidence { certificate_der: vec![0], ..evidence });
        assert_eq!(opinion(&foreign).0.expect_err("refused").name(), "second-opinion-refused");

        let silent = SignedXml { evidence: None, ..signed() };
        assert_eq!(opinion(&silent).0.expect_err("refused").name(), "second-opinion-refused");
    }
}
