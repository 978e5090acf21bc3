//! Signs an element of a tree as it stands: with the identity provider's keys, so that a strange document is a good one, or
//! with the attacker's.

use super::edits::Bytes;
use super::libxml2::{self, Subset};
use super::tree::{Element, Node};
use super::words::{ALGORITHMS, LISTS};
use crate::keys;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use isthmus::keys::CertifiedKey;
use isthmus::saml::names;
use isthmus::saml::signature::{Allowed, signature_scheme};
use isthmus::saml::xml::{self, Canonicalization, Limits, canonicalize};
use openssl::hash::{MessageDigest, hash};

/// Signs one of the elements that have an ID; what its SignedInfo says is kept or made anew. Where that is not possible
/// the tree keeps a signature that is wrong.
pub fn sign(root: &mut Element, bytes: &mut Bytes<'_>) {
    let mut places: Vec<usize> =
        (0..root.count()).filter(|at| root.nth(*at).is_some_and(|element| element.attribute("ID").is_some())).collect();
    // The outer one last: it covers the inner.
    places.truncate(4);
    let Some(at) = bytes.pick(&places).copied() else { return };
    let how = bytes.next();
    let key: &CertifiedKey = match how % 8 {
        0 => &keys::ATTACKER_EC,
        1 => &keys::IDP_RSA,
        _ => &keys::IDP_EC,
    };
    let theirs = how & 0x10 != 0;
    let fresh = how & 0x60 != 0;
    let Some(target) = root.nth_mut(at) else { return };
    let present = target.elements().any(|child| child.local() == "Signature");
    if fresh || !present {
        let signature = template(target, how, bytes);
        target.children.retain(|child| !matches!(child, Node::Element(child) if child.local() == "Signature"));
        let issuer = target.children.iter().position(|child| matches!(child, Node::Element(child) if child.local() == "Issuer"));
        target.children.insert(issuer.map_or(0, |issuer| issuer + 1), Node::Element(signature));
    }
    root.declare_missing();
    if digest(root, at, theirs).is_some() {
        value(root, at, key, theirs);
    }
}

/// A Signature that says what the bytes choose; digest and value are not in it yet.
fn template(target: &Element, how: u8, bytes: &mut Bytes<'_>) -> Element {
    let prefix = match bytes.below(4) {
        0 => String::new(),
        1 => "x:".to_owned(),
        _ => "ds:".to_owned(),
    };
    let element = |local: &str| Element::new(&format!("{prefix}{local}"));
    let mut exclusive = |local: &str, usual: &'static str| {
        // Mostly what is allowed.
        let uri = match bytes.next() {
            byte @ 0..24 => ALGORITHMS[usize::from(byte) % ALGORITHMS.len()],
            24..56 => names::EXC_C14N_WITH_COMMENTS,
            56..80 => names::C14N,
            _ => usual,
        };
        let made = element(local).with("Algorithm", uri);
        match bytes.next() {
            byte @ 0..128 => made.child(
                Element::new("ec:InclusiveNamespaces")
                    .with("xmlns:ec", names::EXC_C14N)
                    .with("PrefixList", LISTS[usize::from(byte) % LISTS.len()]),
            ),
            _ => made,
        }
    };
    let (method, transform) = (exclusive("CanonicalizationMethod", names::EXC_C14N), exclusive("Transform", names::EXC_C14N));
    let rsa = how % 8 == 1;
    let algorithm = match (bytes.below(8), rsa) {
        (0, true) => names::RSA_SHA512,
        (0, false) => names::ECDSA_SHA384,
        (1, true) => names::RSA_SHA1,
        (1, false) => names::ECDSA_SHA1,
        (2, _) => names::RSA_PSS_SHA256,
        (_, true) => names::RSA_SHA256,
        (_, false) => names::ECDSA_SHA256,
    };
    let digest = bytes.pick(&[names::SHA256, names::SHA384, names::SHA512, names::SHA1]).copied().unwrap_or(names::SHA256);
    let id = target.attribute("ID").unwrap_or_default();
    let mut transforms = element("Transforms").child(element("Transform").with("Algorithm", names::ENVELOPED));
    if how & 0x88 != 0x88 {
        transforms = transforms.child(transform);
    }
    let reference = element("Reference")
        .with("URI", &format!("#{id}"))
        .child(transforms)
        .child(element("DigestMethod").with("Algorithm", digest))
        .child(element("DigestValue"));
    let info = element("SignedInfo").child(method).child(element("SignatureMethod").with("Algorithm", algorithm)).child(reference);
    let declaration = prefix.strip_suffix(':').map_or_else(|| "xmlns".to_owned(), |prefix| format!("xmlns:{prefix}"));
    element("Signature").with(&declaration, names::DS).child(info).child(element("SignatureValue"))
}

/// Number of the first element of that name in the Signature of the element `at`.
fn within(root: &Element, at: usize, local: &str) -> Option<usize> {
    let target = root.nth(at)?;
    let signature = (1..target.count()).find(|index| target.nth(*index).is_some_and(|element| element.local() == "Signature"))?;
    let inner = target.nth(signature)?.named(local).first().copied()?;
    Some(at + signature + inner)
}

fn signature_at(root: &Element, at: usize) -> Option<usize> {
    within(root, at, "Signature")
}

fn set_text(root: &mut Element, at: usize, text: &str) -> Option<()> {
    let element = root.nth_mut(at)?;
    let known = element.children.iter_mut().find(|child| matches!(child, Node::Text(_)));
    match known {
        Some(known) => *known = Node::Text(text.to_owned()),
        None => element.children.insert(0, Node::Text(text.to_owned())),
    }
    Some(())
}

fn digest(root: &mut Element, at: usize, theirs: bool) -> Option<()> {
    let transforms = root.nth(within(root, at, "Transforms")?)?;
    let method = transforms.elements().filter(|element| element.attribute("Algorithm") != Some(names::ENVELOPED)).last().cloned();
    // XML Signature 4.4.3.2: Canonical XML, where no transform makes octets.
    let method = method.unwrap_or_else(|| Element::default().with("Algorithm", names::C14N));
    let algorithm = root.nth(within(root, at, "DigestMethod")?)?.attribute("Algorithm")?.to_owned();
    let digest = match algorithm.as_str() {
        names::SHA384 => MessageDigest::sha384(),
        names::SHA512 => MessageDigest::sha512(),
        names::SHA1 => MessageDigest::sha1(),
        _ => MessageDigest::sha256(),
    };
    let bytes = canonical(root, at, &[signature_at(root, at)?], &method, theirs)?;
    let digest = hash(digest, bytes.as_bytes()).ok()?;
    set_text(root, within(root, at, "DigestValue")?, &STANDARD.encode(digest))
}

fn value(root: &mut Element, at: usize, key: &CertifiedKey, theirs: bool) -> Option<()> {
    let method = root.nth(within(root, at, "CanonicalizationMethod")?)?.clone();
    let algorithm = root.nth(within(root, at, "SignatureMethod")?)?.attribute("Algorithm")?.to_owned();
    let scheme = signature_scheme(&algorithm, Allowed { sha1: true, inclusive_c14n: true }).ok()?;
    let bytes = canonical(root, within(root, at, "SignedInfo")?, &[], &method, theirs)?;
    let value = key.key.sign(scheme, bytes.as_bytes()).ok()?;
    set_text(root, within(root, at, "SignatureValue")?, &STANDARD.encode(value))
}

/// The canonical bytes that `method` asks for, made by us or by libxml2.
fn canonical(root: &Element, apex: usize, omit: &[usize], method: &Element, theirs: bool) -> Option<String> {
    let text = root.write();
    let lists: Vec<&str> = method.elements().filter_map(|list| list.attribute("PrefixList")).collect();
    let prefixes: Vec<&str> = lists.iter().flat_map(|list| list.split_ascii_whitespace()).collect();
    let inclusive = matches!(method.attribute("Algorithm"), Some(names::C14N | names::C14N_WITH_COMMENTS));
    if theirs {
        let exclusive = (!inclusive).then_some(prefixes.as_slice());
        return libxml2::Document::read(&text)?.canonical(Subset { apex, omit, exclusive, comments: false });
    }
    let document = xml::parse(&text, Limits::MESSAGE).ok()?;
    let nth = |index: usize| document.elements().nth(index);
    let omit: Vec<_> = omit.iter().filter_map(|index| nth(*index)).collect();
    let method = if inclusive { Canonicalization::Inclusive } else { Canonicalization::Exclusive(&prefixes) };
    Some(canonicalize(nth(apex)?, method, &omit))
}
