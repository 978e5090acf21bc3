//! Mutations of XML as an attacker makes them: whole elements are copied, moved, wrapped, renamed and identified anew.
//!
//! libFuzzer's own mutations break well-formedness nearly always. These keep it nearly always, so that what stands
//! behind the reader is reached: which element is verified, and which is read.

use std::ops::Range;

/// What these mutations make is not larger; libFuzzer's own may be.
const GROWTH: usize = 24 * 1024;

const WRAPPERS: &[(&str, &str)] = &[
    ("<samlp:Extensions>", "</samlp:Extensions>"),
    ("<saml:Advice>", "</saml:Advice>"),
    ("<saml:EncryptedAssertion>", "</saml:EncryptedAssertion>"),
    ("<saml:AttributeStatement>", "</saml:AttributeStatement>"),
    ("<saml:AttributeValue>", "</saml:AttributeValue>"),
    ("<ds:Object xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">", "</ds:Object>"),
    ("<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">", "</ds:Signature>"),
    ("<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_evil\" Version=\"2.0\">", "</saml:Assertion>"),
    (
        "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_evil\" Version=\"2.0\" InResponseTo=\"_request1\">",
        "</samlp:Response>",
    ),
    ("<x xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\">", "</x>"),
    ("<x xmlns:saml=\"urn:other\" xmlns:samlp=\"urn:other\">", "</x>"),
    ("<x xml:lang=\"de\" xml:base=\"u\" xml:id=\"_ada\">", "</x>"),
];

const PIECES: &[&str] = &[
    "<!---->",
    "<!-- x -->",
    "<?x y?>",
    "<![CDATA[]]>",
    "<![CDATA[root]]>",
    "<!DOCTYPE x [<!ENTITY e \"root\">]>",
    "&e;",
    "&amp;",
    "&#13;",
    "&#x9;",
    "&#xA;",
    "&#x0;",
    "&#xD800;",
    "&#xFFFE;",
    "]]>",
    "\r",
    "\r\n",
    "\t",
    " ",
    "\u{feff}",
    "\u{a0}",
    "root",
    "<x/>",
    "<saml:NameID>root</saml:NameID>",
    "<saml:Attribute Name=\"groups\"><saml:AttributeValue>root</saml:AttributeValue></saml:Attribute>",
];

const ATTRIBUTES: &[&str] = &[
    " ID=\"_ada\"",
    " ID=\"_bob\"",
    " ID=\"_evil\"",
    " Id=\"_ada\"",
    " xml:id=\"_ada\"",
    " Version=\"2.0\"",
    " InResponseTo=\"_request1\"",
    " xmlns=\"\"",
    " xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
    " xmlns:saml=\"urn:other\"",
    " xmlns:x=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
    " xmlns:xml=\"http://www.w3.org/XML/1998/namespace\"",
    " xmlns:xmlns=\"http://www.w3.org/2000/xmlns/\"",
    " PrefixList=\"#default saml samlp\"",
    " URI=\"\"",
    " URI=\"#_ada\"",
    " xsi:nil=\"true\"",
    " Name=\"groups\"",
];

const URIS: &[&str] = &[
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://www.w3.org/2000/09/xmldsig#sha1",
    "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2001/04/xmlenc#aes128-cbc",
    "http://www.w3.org/2001/04/xmlenc#rsa-1_5",
];

const WORDS: &[(&str, &str)] = &[
    ("_ada", "_evil"),
    ("_ada", "_bob"),
    ("_bob", "_ada"),
    ("_evil", "_ada"),
    ("_response1", "_ada"),
    ("ada", "root"),
    ("bob", "root"),
    ("bob", "ada"),
    ("saml:", "x:"),
    ("xmlns:saml", "xmlns:x"),
    ("saml:", ""),
    ("xmlns:saml", "xmlns"),
    ("2026-11-21T02:42:00Z", "2026-11-21T02:42:00.000Z"),
    ("_request2", "_request1"),
    ("other.example.com/sp", "gateway.example.com/saml/metadata/acme"),
    ("\"", "'"),
    (">", " >"),
    ("></", "> </"),
];

/// Marsaglia's xorshift; libFuzzer gives the seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (limit.max(1) as u64)).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

/// Mutates the first `size` bytes of `data`, whose length is the room; returns the new size. For `fuzz_mutator!`.
///
/// Most of a corpus is refused early. Every other time it begins anew with one of the `genuine` messages instead.
pub fn xml(data: &mut [u8], size: usize, max_size: usize, seed: u32, genuine: &[String], fallback: Fallback) -> usize {
    let mut random = Random(u64::from(seed) << 1 | 1 << 40 | 1);
    random.below(1);
    let text = data.get(..size).and_then(|bytes| str::from_utf8(bytes).ok()).filter(|text| text.contains('<'));
    let (Some(text), true) = (text, random.below(4) != 0) else { return fallback(data, size, max_size) };
    let text = if random.below(2) == 0 { random.pick(genuine).map_or(text, String::as_str) } else { text };
    let mut text = text.to_owned();
    for _ in 0..=random.below(3) {
        text = once(&text, &mut random);
    }
    // Copies of copies only slow the run down.
    store(&text, data, max_size.min(GROWTH)).unwrap_or_else(|| fallback(data, size, max_size))
}

/// libFuzzer's own mutations.
type Fallback = fn(&mut [u8], usize, usize) -> usize;

/// Puts an element of one document into another, or in the place of another. For `fuzz_crossover!`.
pub fn cross(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut random = Random(u64::from(seed) << 1 | 1 << 41 | 1);
    random.below(1);
    let (Ok(one), Ok(other)) = (str::from_utf8(one), str::from_utf8(other)) else { return 0 };
    let (places, donors) = (elements(one), elements(other));
    let (Some(place), Some(donor)) = (random.pick(&places), random.pick(&donors)) else { return 0 };
    let donor = &other[donor.clone()];
    let text = match random.below(3) {
        0 => replaced(one, place.start..place.start, donor),
        1 => replaced(one, place.end..place.end, donor),
        _ => replaced(one, place.clone(), donor),
    };
    let room = out.len();
    store(&text, out, room).unwrap_or(0)
}

fn once(text: &str, random: &mut Random) -> String {
    let all = elements(text);
    let (Some(one), Some(two)) = (random.pick(&all).cloned(), random.pick(&all).cloned()) else { return text.to_owned() };
    let element = &text[one.clone()];
    match random.below(13) {
        0 => replaced(text, two.start..two.start, element),
        1 => replaced(text, inside(text, &two), element),
        // Moved, or swapped with what contains it.
        2 if one.end <= two.start => [&text[..one.start], &text[one.end..two.start], element, &text[two.start..]].concat(),
        2 => replaced(text, two, element),
        3 => replaced(text, one, ""),
        4 | 5 => {
            let Some((open, close)) = random.pick(WRAPPERS) else { return text.to_owned() };
            let wrapped = [open, element, close].concat();
            if random.below(2) == 0 { replaced(text, one, &wrapped) } else { replaced(text, inside(text, &two), &wrapped) }
        }
        // A changed copy beside the original: what wrapping attacks begin with.
        6 => {
            let changed = reworded(element, random);
            let at = if random.below(2) == 0 { one.start } else { one.end };
            replaced(text, at..at, &changed)
        }
        7 => replaced(text, one, &reworded(element, random)),
        8 => {
            let Some(piece) = random.pick(PIECES) else { return text.to_owned() };
            let at = boundary(text, one.start + random.below(one.len() + 1));
            replaced(text, at..at, piece)
        }
        11 | 12 => twin(text, &all, random),
        9 => {
            let Some(attribute) = random.pick(ATTRIBUTES) else { return text.to_owned() };
            let name = text[one.start + 1..one.end].find([' ', '>', '/']).map_or(one.end, |at| one.start + 1 + at);
            replaced(text, name..name, attribute)
        }
        _ => {
            let used: Vec<_> = URIS
                .iter()
                .flat_map(|uri| text.match_indices(&format!("\"{uri}\"")).map(|(at, m)| at..at + m.len()).collect::<Vec<_>>())
                .collect();
            let (Some(place), Some(uri)) = (random.pick(&used), random.pick(URIS)) else { return text.to_owned() };
            replaced(text, place.clone(), &format!("\"{uri}\""))
        }
    }
}

/// The wrapping attack itself: beside, around or inside what is signed stands a twin without signature that says something else.
fn twin(text: &str, all: &[Range<usize>], random: &mut Random) -> String {
    let signed: Vec<_> = all.iter().filter(|place| identity(&text[(*place).clone()]).is_some()).collect();
    let Some(place) = random.pick(&signed).copied() else { return text.to_owned() };
    let original = &text[place.clone()];
    let mut twin = original.to_owned();
    let within = elements(original);
    if let Some(signature) = within.iter().find(|inner| original[(*inner).clone()].starts_with("<ds:Signature ")) {
        twin.replace_range(signature.clone(), "");
    }
    if let Some(id) = identity(original).filter(|_| random.below(4) != 0) {
        twin = twin.replace(&format!("\"{id}\""), "\"_evil\"");
    }
    if random.below(3) == 0 {
        twin = reworded(&twin, random);
    }
    let original = match random.pick(WRAPPERS) {
        Some((open, close)) if random.below(2) == 0 => [open, original, close].concat(),
        _ => original.to_owned(),
    };
    let both = match random.below(3) {
        0 => [original.as_str(), &twin].concat(),
        1 => [twin.as_str(), &original].concat(),
        _ => {
            let host = random.pick(&elements(&twin)).map_or(twin.len()..twin.len(), |host| inside(&twin, host));
            replaced(&twin, host, &original)
        }
    };
    replaced(text, place.clone(), &both)
}

/// The ID in the start tag.
fn identity(element: &str) -> Option<&str> {
    let tag = element.get(..element.find('>')?)?;
    let (_, rest) = tag.split_once(" ID=\"")?;
    rest.split_once('"').map(|(id, _)| id)
}

/// One word replaced, in one place or in all.
fn reworded(text: &str, random: &mut Random) -> String {
    let fitting: Vec<_> = WORDS.iter().filter(|(from, _)| text.contains(from)).collect();
    let Some((from, to)) = random.pick(&fitting) else { return text.to_owned() };
    if random.below(2) == 0 {
        return text.replace(from, to);
    }
    let places: Vec<_> = text.match_indices(from).map(|(at, found)| at..at + found.len()).collect();
    random.pick(&places).map_or_else(|| text.to_owned(), |place| replaced(text, place.clone(), to))
}

fn replaced(text: &str, place: Range<usize>, by: &str) -> String {
    [&text[..place.start], by, &text[place.end..]].concat()
}

/// The place behind the start tag.
fn inside(text: &str, element: &Range<usize>) -> Range<usize> {
    let tag = text[element.clone()].find('>').map_or(element.end, |at| element.start + at + 1);
    tag..tag
}

fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The elements, as far as the text looks like some.
fn elements(text: &str) -> Vec<Range<usize>> {
    let mut open: Vec<usize> = Vec::new();
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = text[rest..].find('<').map(|at| rest + at) {
        let Some(end) = text[start..].find('>').map(|at| start + at + 1) else { break };
        let tag = &text[start..end];
        if tag.starts_with("</") {
            found.extend(open.pop().map(|start| start..end));
        } else if tag.ends_with("/>") {
            found.push(start..end);
        } else if !tag.starts_with("<!") && !tag.starts_with("<?") {
            open.push(start);
        }
        rest = end;
    }
    found
}

fn store(text: &str, out: &mut [u8], max_size: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    out.get_mut(..bytes.len()).filter(|_| bytes.len() <= max_size && !bytes.is_empty())?.copy_from_slice(bytes);
    Some(bytes.len())
}
