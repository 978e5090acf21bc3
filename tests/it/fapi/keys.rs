//! Keys of an application by every algorithm, what it signs with them, and DPoP proofs.

use crate::harness::idp::{now, unique_id};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sha::sha256;
use openssl::sign::{RsaPssSaltlen, Signer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct Key {
    alg: &'static str,
    key: PKey<Private>,
}

impl Key {
    pub fn new(alg: &'static str) -> Self {
        let key = match alg {
            "ES256" => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
                PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
            }
            "EdDSA" => PKey::generate_ed25519().unwrap(),
            _ => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        };
        Self { alg, key }
    }

    /// The same key by another algorithm.
    pub fn by(&self, alg: &'static str) -> Self {
        Self { alg, key: self.key.clone() }
    }

    pub const fn alg(&self) -> &'static str {
        self.alg
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        if let Ok(rsa) = self.key.rsa() {
            let number = |number: &BigNumRef| encode(&number.to_vec());
            return json!({"kty": "RSA", "n": number(rsa.n()), "e": number(rsa.e())});
        }
        let Ok(ec) = self.key.ec_key() else {
            return json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&self.key.raw_public_key().unwrap())});
        };
        let (mut x, mut y, mut context) = (BigNum::new().unwrap(), BigNum::new().unwrap(), BigNumContext::new().unwrap());
        ec.public_key().affine_coordinates(ec.group(), &mut x, &mut y, &mut context).unwrap();
        json!({"kty": "EC", "crv": "P-256", "x": encode(&x.to_vec_padded(32).unwrap()), "y": encode(&y.to_vec_padded(32).unwrap())})
    }

    /// RFC 7638.
    pub fn thumbprint(&self) -> String {
        let members: BTreeMap<String, Value> = self.jwk().as_object().cloned().unwrap().into_iter().collect();
        encode(&sha256(json!(members).to_string().as_bytes()))
    }

    pub fn sign(&self, more_header: &Value, claims: &Value) -> String {
        let mut header = json!({"alg": self.alg});
        header.as_object_mut().unwrap().extend(more_header.as_object().unwrap().clone());
        let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        format!("{message}.{}", encode(&self.signature(message.as_bytes())))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        match self.alg {
            "ES256" => {
                let signature = EcdsaSig::sign(&sha256(message), &self.key.ec_key().unwrap()).unwrap();
                [signature.r().to_vec_padded(32).unwrap(), signature.s().to_vec_padded(32).unwrap()].concat()
            }
            "EdDSA" => Signer::new_without_digest(&self.key).unwrap().sign_oneshot_to_vec(message).unwrap(),
            alg => {
                let mut signer = Signer::new(MessageDigest::sha256(), &self.key).unwrap();
                if alg == "PS256" {
                    signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                    signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
                    signer.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
                }
                signer.sign_oneshot_to_vec(message).unwrap()
            }
        }
    }

    /// A DPoP proof (RFC 9449 4.2); with the access token where it goes along with one.
    pub fn proof(&self, method: &str, url: &str, access_token: Option<&str>) -> String {
        let mut claims = json!({"htm": method, "htu": url, "iat": seconds(), "jti": unique_id()});
        if let Some(token) = access_token {
            claims["ath"] = encode(&sha256(token.as_bytes())).into();
        }
        self.sign(&json!({"typ": "dpop+jwt", "jwk": self.jwk()}), &claims)
    }
}

pub fn seconds() -> i64 {
    now().unix_timestamp()
}

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}
