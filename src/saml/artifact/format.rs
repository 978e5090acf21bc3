//! Artifacts of type 4 (SAML Bindings 3.6.4): which message, kept by whom.

use crate::id;
use crate::saml::rejection::Rejection;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// The TypeCode that SAML 2.0 defines.
const TYPE: [u8; 2] = [0, 4];
/// TypeCode, EndpointIndex, SourceID, MessageHandle.
const LENGTH: usize = 44;

/// A reference to a message that its sender keeps. Whoever may ask for it gets the message, so it is a secret until then.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    endpoint_index: u16,
    source_id: [u8; 20],
    handle: [u8; 20],
}

impl Artifact {
    /// A fresh one, of a message that `entity_id` keeps and gives out at its artifact resolution service of this index.
    pub fn new(entity_id: &str, endpoint_index: u16) -> Self {
        Self { endpoint_index, source_id: source_id(entity_id), handle: id::random_bytes() }
    }

    /// Reads the value of SAMLart, or of an Artifact element.
    ///
    /// # Errors
    /// [`Rejection::ArtifactUnreadable`].
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let unreadable = |why: String| Rejection::ArtifactUnreadable { why };
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        if text.len() > LENGTH * 2 {
            return Err(unreadable(format!("it has {} characters", text.len())));
        }
        let bytes = STANDARD.decode(text).map_err(|_| unreadable("it is not base64".to_owned()))?;
        let length = bytes.len();
        if length >= TYPE.len() && !bytes.starts_with(&TYPE) {
            return Err(unreadable(format!("its type is 0x{}, not 0x0004", id::hex(bytes.get(..2).unwrap_or_default()))));
        }
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| unreadable(format!("it has {length} bytes, not {LENGTH}")))?;
        let [_, _, high, low, rest @ ..] = bytes;
        let (mut source_id, mut handle) = ([0; 20], [0; 20]);
        let (source, message) = rest.split_at(20);
        source_id.copy_from_slice(source);
        handle.copy_from_slice(message);
        Ok(Self { endpoint_index: u16::from_be_bytes([high, low]), source_id, handle })
    }

    /// As it travels.
    pub fn encode(&self) -> String {
        let [high, low] = self.endpoint_index.to_be_bytes();
        STANDARD.encode([&TYPE[..], &[high, low], &self.source_id, &self.handle].concat())
    }

    /// Which artifact resolution service of its sender has the message.
    pub const fn endpoint_index(&self) -> u16 {
        self.endpoint_index
    }

    /// Whether `entity_id` is its sender.
    pub fn is_of(&self, entity_id: &str) -> bool {
        self.source_id == source_id(entity_id)
    }

    /// The SourceID in hex.
    pub fn source(&self) -> String {
        id::hex(&self.source_id)
    }

    /// Under which name the message is kept for one receiver. Nobody can go back from it to the artifact.
    pub fn store_key(&self, receiver: &str) -> String {
        format!("artifact:{}", id::digest(&format!("{} {receiver}", self.encode())))
    }

    /// The name under which an artifact is marked as used.
    pub fn digest(&self) -> String {
        id::digest(&self.encode())
    }
}

/// The handle does not print.
impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact").field("endpoint_index", &self.endpoint_index).field("source", &self.source()).finish_non_exhaustive()
    }
}

/// The SourceID of an entity, in hex.
pub(super) fn source_of(entity_id: &str) -> String {
    id::hex(&source_id(entity_id))
}

// SAML Bindings 3.6.4.2: SHA-1 of the entity ID. It names the sender and proves nothing, so that SHA-1 does no harm.
fn source_id(entity_id: &str) -> [u8; 20] {
    openssl::sha::sha1(entity_id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDP: &str = "https://idp.example.edu/entity";

    #[test]
    fn an_artifact_is_what_the_binding_says() {
        let artifact = Artifact::new(IDP, 258);
        let bytes = STANDARD.decode(artifact.encode()).expect("base64");
        assert_eq!((bytes.len(), &bytes[..4]), (44, [0, 4, 1, 2].as_slice()));
        assert_eq!(bytes[4..24], openssl::sha::sha1(IDP.as_bytes()));
        assert_eq!(Artifact::parse(&artifact.encode()), Ok(artifact.clone()));
        assert!(artifact.is_of(IDP) && !artifact.is_of("https://idp.example.edu/entity2"));
        assert_eq!((artifact.endpoint_index(), artifact.source()), (258, source_of(IDP)));
        assert_ne!(artifact, Artifact::new(IDP, 258), "the handle is random");
    }

    #[test]
    fn other_texts_are_no_artifacts() {
        let good = STANDARD.decode(Artifact::new(IDP, 0).encode()).expect("base64");
        let (mut longer, mut type1) = (good.clone(), good.clone());
        longer.push(0);
        type1[1] = 1;
        let texts = ["", "AAQ", "AAQ=", "not base64!", "AAEAAA=="].map(str::to_owned);
        let broken = [&good[..43], &longer, &type1].map(|bytes| STANDARD.encode(bytes));
        for text in texts.into_iter().chain(broken).chain([STANDARD.encode(vec![0; 1 << 20])]) {
            let refused = Artifact::parse(&text).expect_err("no artifact");
            assert_eq!(refused.name(), "artifact-unreadable", "{refused}");
        }
    }

    #[test]
    fn the_handle_does_not_print_and_names_differ_by_receiver() {
        let artifact = Artifact::new(IDP, 0);
        let printed = format!("{artifact:?} {} {}", artifact.store_key("a"), artifact.digest());
        assert!(!printed.contains(&id::hex(&artifact.handle)) && !printed.contains(&artifact.encode()), "{printed}");
        assert_ne!(artifact.store_key("https://a.example"), artifact.store_key("https://b.example"));
    }
}
