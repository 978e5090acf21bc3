//! What keys are for, and where each stands in its life.

use super::{Digest, KeyKind, SignatureScheme};

/// What a key is for. Each purpose has one kind of key; SAML messages are signed by a key of the kind that a connection or
/// an application chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    OidcRs256,
    OidcEs256,
    OidcEdDsa,
    OidcPs256,
    OidcEs384,
    /// RSA, for what applications encrypt to us.
    OidcEncRsa,
    /// P-256, for the same.
    OidcEncEc,
    /// RSA, PKCS #1 v1.5 or PSS.
    SamlSigning,
    SamlSigningEs256,
    SamlSigningEs384,
    SamlSigningEs512,
    SamlEncryption,
}

impl Purpose {
    pub const ALL: [Self; 12] = [
        Self::OidcRs256,
        Self::OidcEs256,
        Self::OidcEdDsa,
        Self::OidcPs256,
        Self::OidcEs384,
        Self::OidcEncRsa,
        Self::OidcEncEc,
        Self::SamlSigning,
        Self::SamlSigningEs256,
        Self::SamlSigningEs384,
        Self::SamlSigningEs512,
        Self::SamlEncryption,
    ];

    /// The stem of its file names, and its name everywhere else.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OidcRs256 => "oidc-rs256",
            Self::OidcEs256 => "oidc-es256",
            Self::OidcEdDsa => "oidc-eddsa",
            Self::OidcPs256 => "oidc-ps256",
            Self::OidcEs384 => "oidc-es384",
            Self::OidcEncRsa => "oidc-enc-rsa",
            Self::OidcEncEc => "oidc-enc-ec",
            Self::SamlSigning => "saml-signing",
            Self::SamlSigningEs256 => "saml-signing-es256",
            Self::SamlSigningEs384 => "saml-signing-es384",
            Self::SamlSigningEs512 => "saml-signing-es512",
            Self::SamlEncryption => "saml-encryption",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    pub const fn kind(self) -> KeyKind {
        match self {
            Self::OidcRs256 | Self::OidcPs256 | Self::OidcEncRsa | Self::SamlSigning | Self::SamlEncryption => KeyKind::Rsa,
            Self::OidcEs256 | Self::OidcEncEc | Self::SamlSigningEs256 => KeyKind::EcP256,
            Self::OidcEs384 | Self::SamlSigningEs384 => KeyKind::EcP384,
            Self::SamlSigningEs512 => KeyKind::EcP521,
            Self::OidcEdDsa => KeyKind::Ed25519,
        }
    }

    /// Are its keys published by SAML metadata? Those of the other purposes are published by the JWKS.
    pub const fn is_saml(self) -> bool {
        matches!(self, Self::SamlSigning | Self::SamlSigningEs256 | Self::SamlSigningEs384 | Self::SamlSigningEs512 | Self::SamlEncryption)
    }

    /// Do its keys decrypt what others have encrypted to us?
    pub const fn is_encryption(self) -> bool {
        matches!(self, Self::SamlEncryption | Self::OidcEncRsa | Self::OidcEncEc)
    }

    /// Without such a key there is no gateway. The others came later: a directory that cannot be written may lack them.
    pub(super) const fn is_required(self) -> bool {
        matches!(self, Self::OidcRs256 | Self::OidcEs256 | Self::OidcEdDsa | Self::SamlSigning | Self::SamlEncryption)
    }

    /// Whose keys sign SAML messages in this way; `None`: nobody's.
    pub const fn for_saml_signature(scheme: SignatureScheme) -> Option<Self> {
        match scheme {
            SignatureScheme::RsaPkcs1(_) | SignatureScheme::RsaPss(_) => Some(Self::SamlSigning),
            SignatureScheme::Ecdsa(Digest::Sha1 | Digest::Sha256) => Some(Self::SamlSigningEs256),
            SignatureScheme::Ecdsa(Digest::Sha384) => Some(Self::SamlSigningEs384),
            SignatureScheme::Ecdsa(Digest::Sha512) => Some(Self::SamlSigningEs512),
            SignatureScheme::EdDsa => None,
        }
    }
}

/// Where a key stands in its life: published before use, in use, or only kept to verify and decrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    Active,
    Next,
    Previous,
}

impl KeyState {
    pub const ALL: [Self; 3] = [Self::Active, Self::Next, Self::Previous];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Previous => "previous",
        }
    }
}
