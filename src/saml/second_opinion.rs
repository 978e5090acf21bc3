//! The second opinion: libxmlsec1, through samael, looks at what the strict engine has verified and must see the same bytes.
//!
//! No unauthenticated byte comes here. What is handed over is the signed element, canonical, with a Signature written anew
//! around the verified SignedInfo and its value, so everything in it was covered by a verified signature. The library is
//! hardened all the same: it opens no URI, runs no XPath or XSLT, and does not write to stderr.

use super::rejection::{Checks, Rejection};
use super::signature::{Evidence, SignedXml};
use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _, ReduceMode};
use std::sync::Once;

/// Verifies `signed` again; `inner` is the verified assertion inside it that carries its own signature.
///
/// # Errors
/// When libxmlsec1 refuses, or verified other bytes.
pub(super) fn confirm(signed: &SignedXml, inner: Option<&SignedXml>, checks: &mut Checks<'_>) -> Result<(), Rejection> {
    let Some(evidence) = signed.evidence() else {
        return checks.require("second-opinion", false, "the same bytes", "nothing to look at", || Rejection::SecondOpinionRefused {
            why: "the first engine kept no evidence".to_owned(),
        });
    };
    harden();
    let of_inner = inner.and_then(SignedXml::evidence);
    let unknown = [Some(evidence), of_inner].into_iter().flatten().find(|evidence| !library::knows(&evidence.signature_algorithm));
    if let Some(unknown) = unknown {
        // libxmlsec1 before 1.3 does not have RSA-PSS. The strict engine has verified it; there is nobody else to ask.
        let found = format!("this libxmlsec1 does not know {}: not asked", unknown.signature_algorithm);
        return checks.require("second-opinion", true, "the same bytes", found, || Rejection::SecondOpinionDiffers);
    }
    if let Some(inner) = inner.filter(|_| of_inner.is_some_and(|inner| inner.certificate_der != evidence.certificate_der)) {
        confirm(inner, None, checks)?;
        return confirm_by_its_key(evidence, checks);
    }
    let bytes = reduce(evidence);
    let refused = bytes.as_ref().err().cloned();
    checks.require("second-opinion", refused.is_none(), "verified", refused.as_deref().unwrap_or("verified"), || {
        Rejection::SecondOpinionRefused { why: refused.clone().unwrap_or_default() }
    })?;
    let same = bytes.is_ok_and(|bytes| bytes == signed.bytes());
    checks.require("second-opinion-bytes", same, "the same bytes", if same { "the same bytes" } else { "other bytes" }, || {
        Rejection::SecondOpinionDiffers
    })
}

/// Where a signed response and the assertion inside it were signed by two keys. samael tries every key on every signature,
/// and gives up at one of another kind; so the assertion is looked at by itself, and of the response's signature is asked
/// whether its own key made it. That the library saw the same bytes follows from the digest: both engines compared theirs
/// with the one in the same verified SignedInfo.
fn confirm_by_its_key(evidence: &Evidence, checks: &mut Checks<'_>) -> Result<(), Rejection> {
    // It takes the first signature of the document, which is the one in question.
    let verified = Crypto::verify_signed_xml(&evidence.document, &certificate(evidence), Some("ID"));
    forget_openssl_errors();
    let refused = verified.map_err(|error| error.to_string()).err();
    checks.require("second-opinion", refused.is_none(), "verified", refused.as_deref().unwrap_or("verified"), || {
        Rejection::SecondOpinionRefused { why: refused.clone().unwrap_or_default() }
    })
}

fn certificate(evidence: &Evidence) -> CertificateDer {
    CertificateDer::from(evidence.certificate_der.clone())
}

fn reduce(evidence: &Evidence) -> Result<String, String> {
    // Only the certificate that did verify: trying others costs, and could not change the answer.
    let certificates = [certificate(evidence)];
    // samael's own list of algorithms couples digest and signature; ours was applied before and is narrower.
    let reduced = Crypto::reduce_xml_to_signed_with_allowed_algorithms(&evidence.document, &certificates, ReduceMode::PreDigest, None)
        .map_err(|error| error.to_string());
    forget_openssl_errors();
    reduced
}

/// libxmlsec1 leaves entries in OpenSSL's error queue of this thread, also where it succeeds. The next read of a TLS
/// connection on the thread would take them for its own and close that connection (`SSL_get_error`, Notes).
fn forget_openssl_errors() {
    drop(openssl::error::ErrorStack::get());
}

/// Once per process, before the first real use.
fn harden() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        library::silence();
        // The library initialises itself with the first verification, and that undoes what was set before.
        let dummy = r#"<r ID="r"><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/></r>"#;
        let nobody = [CertificateDer::from(vec![0])];
        drop(Crypto::reduce_xml_to_signed_with_allowed_algorithms(dummy, &nobody, ReduceMode::PreDigest, None));
        library::silence();
        library::forbid();
    });
}

/// The few functions of libxmlsec1 that samael does not offer.
#[expect(unsafe_code, reason = "libxmlsec1 is a C library; each call says why it is sound")]
mod library {
    use std::ffi::{CString, c_char, c_int, c_uint, c_void};

    type Klass = *const c_void;
    type List = *mut c_void;

    unsafe extern "C" {
        fn xmlSecIOCleanupCallbacks();
        fn xmlSecErrorsDefaultCallbackEnableOutput(enabled: c_int);
        fn xmlSecTransformIdsGet() -> List;
        fn xmlSecTransformIdListFindByHref(list: List, href: *const c_char, usage: c_uint) -> Klass;
        fn xmlSecPtrListGetSize(list: List) -> c_uint;
        fn xmlSecPtrListGetItem(list: List, position: c_uint) -> Klass;
        fn xmlSecPtrListSet(list: List, item: Klass, position: c_uint) -> c_int;
        fn xmlSecTransformXPathGetKlass() -> Klass;
        fn xmlSecTransformXPath2GetKlass() -> Klass;
        fn xmlSecTransformXPointerGetKlass() -> Klass;
        fn xmlSecTransformXsltGetKlass() -> Klass;
        fn xmlSecTransformInclC14NGetKlass() -> Klass;
    }

    /// `xmlSecTransformUsageAny`.
    const ANY_USAGE: c_uint = 0xFFFF;

    pub fn silence() {
        // SAFETY: sets one static int.
        unsafe { xmlSecErrorsDefaultCallbackEnableOutput(0) };
    }

    /// No external URIs; no transform that computes.
    pub fn forbid() {
        // SAFETY: called once, after the library initialised itself and before this program uses it again; the list is the
        // library's own, the positions are below its size, and klasses are statics that nobody owns.
        unsafe {
            xmlSecIOCleanupCallbacks();
            let list = xmlSecTransformIdsGet();
            let computing = [
                xmlSecTransformXPathGetKlass(),
                xmlSecTransformXPath2GetKlass(),
                xmlSecTransformXPointerGetKlass(),
                xmlSecTransformXsltGetKlass(),
            ];
            for position in 0..xmlSecPtrListGetSize(list) {
                if computing.contains(&xmlSecPtrListGetItem(list, position)) {
                    xmlSecPtrListSet(list, xmlSecTransformInclC14NGetKlass(), position);
                }
            }
        }
    }

    /// Whether the library has this algorithm.
    pub fn knows(algorithm: &str) -> bool {
        let Ok(href) = CString::new(algorithm) else { return false };
        // SAFETY: reads the library's list, which does not change after `forbid`; `href` is a C string that outlives the call.
        unsafe { !xmlSecTransformIdListFindByHref(xmlSecTransformIdsGet(), href.as_ptr(), ANY_USAGE).is_null() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::names;

    #[test]
    fn the_library_knows_no_transform_that_computes() {
        harden();
        for transform in [
            "http://www.w3.org/TR/1999/REC-xpath-19991116",
            "http://www.w3.org/2002/06/xmldsig-filter2",
            "http://www.w3.org/2001/04/xmldsig-more/xptr",
            "http://www.w3.org/TR/1999/REC-xslt-19991116",
        ] {
            assert!(!library::knows(transform), "{transform}");
        }
        for known in [names::RSA_SHA256, names::ECDSA_SHA256, names::EXC_C14N, names::ENVELOPED] {
            assert!(library::knows(known), "{known}");
        }
    }
}
