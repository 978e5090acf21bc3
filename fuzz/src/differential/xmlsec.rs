//! libxmlsec1 verifies the signature of one element of a document as it came.
//!
//! Its functions are called directly, since samael asks more than we want to know: that every Signature of the document is
//! good, and that no attribute of any namespace repeats an ID. The structures of the library stay opaque, because they change
//! between its versions; what it hashed is read out of the report that it writes about itself.
#![expect(unsafe_code, reason = "libxmlsec1 is a C library; each call says why it is sound")]

use super::libxml2;
use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _, ReduceMode};
use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::Once;

/// What the library says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes that it hashed.
    Verified(Vec<u8>),
    Refused,
    /// It does not have the algorithm.
    Unknown,
}

/// The beginning of an `xmlSecDSigCtx`, which is the same in all versions.
#[repr(C)]
struct Context {
    user: *mut c_void,
    flags: c_uint,
}

unsafe extern "C" {
    fn xmlHasNsProp(node: *mut libxml2::Node, name: *const c_char, namespace: *const c_char) -> *mut c_void;
    fn xmlGetNoNsProp(node: *mut libxml2::Node, name: *const c_char) -> *mut c_char;
    fn xmlAddID(context: *mut c_void, document: *mut c_void, value: *const c_char, attribute: *mut c_void) -> *mut c_void;
    fn xmlUnlinkNode(node: *mut libxml2::Node);
    fn xmlFreeNode(node: *mut libxml2::Node);
    fn xmlSecFindChild(parent: *mut libxml2::Node, name: *const c_char, namespace: *const c_char) -> *mut libxml2::Node;
    fn xmlSecErrorsDefaultCallbackEnableOutput(enabled: c_int);
    fn xmlSecIOCleanupCallbacks();
    fn xmlSecTransformIdsGet() -> *mut c_void;
    fn xmlSecTransformIdListFindByHref(list: *mut c_void, href: *const c_char, usage: c_uint) -> *const c_void;
    fn xmlSecKeysMngrCreate() -> *mut c_void;
    fn xmlSecOpenSSLAppDefaultKeysMngrInit(manager: *mut c_void) -> c_int;
    fn xmlSecOpenSSLAppDefaultKeysMngrAdoptKey(manager: *mut c_void, key: *mut c_void) -> c_int;
    fn xmlSecOpenSSLAppKeyLoadMemory(
        data: *const u8,
        size: usize,
        format: c_int,
        password: *const c_char,
        callback: *mut c_void,
        context: *mut c_void,
    ) -> *mut c_void;
    fn xmlSecDSigCtxCreate(manager: *mut c_void) -> *mut Context;
    fn xmlSecDSigCtxDestroy(context: *mut Context);
    fn xmlSecDSigCtxVerify(context: *mut Context, signature: *mut libxml2::Node) -> c_int;
    fn xmlSecDSigCtxDebugXmlDump(context: *mut Context, file: *mut c_void);
    fn open_memstream(buffer: *mut *mut c_char, size: *mut usize) -> *mut c_void;
    fn fclose(file: *mut c_void) -> c_int;
    fn free(pointer: *mut c_void);
}

/// `xmlSecKeyDataFormatCertDer`, `XMLSEC_DSIG_FLAGS_STORE_SIGNEDINFO_REFERENCES`, `xmlSecTransformUsageAny`.
const CERTIFICATE_DER: c_int = 8;
const STORE_REFERENCES: c_uint = 2;
const ANY_USAGE: c_uint = 0xFFFF;
const DS: &std::ffi::CStr = c"http://www.w3.org/2000/09/xmldsig#";

/// Whether `certificate` made the Signature that is a child of the element of that number.
pub fn verify(text: &str, element: usize, certificate: &[u8]) -> Verdict {
    initialise();
    let Some(document) = libxml2::Document::read(text) else { return Verdict::Refused };
    let Some(place) = document.elements().get(element).copied() else { return Verdict::Refused };
    // SAFETY: nodes of a document that lives until the end; names are C strings. KeyInfo is taken out, because it only names
    // keys, and the key is given; it is not covered by its own signature.
    let signature = unsafe {
        for node in document.elements() {
            let value = xmlGetNoNsProp(*node, c"ID".as_ptr());
            if !value.is_null() {
                xmlAddID(null_mut(), document.pointer(), value, xmlHasNsProp(*node, c"ID".as_ptr(), null()));
                free(value.cast());
            }
        }
        let signature = xmlSecFindChild(place, c"Signature".as_ptr(), DS.as_ptr());
        if signature.is_null() {
            return Verdict::Refused;
        }
        let key_info = xmlSecFindChild(signature, c"KeyInfo".as_ptr(), DS.as_ptr());
        if !key_info.is_null() {
            xmlUnlinkNode(key_info);
            xmlFreeNode(key_info);
        }
        signature
    };
    let verdict = report(signature, certificate).map_or(Verdict::Refused, |report| judge(&report));
    // Entries of the library in this thread's queue would be taken for those of whoever looks next.
    drop(openssl::error::ErrorStack::get());
    verdict
}

/// Whether the library has this algorithm.
pub fn knows(algorithm: &str) -> bool {
    initialise();
    let Ok(href) = CString::new(algorithm) else { return false };
    // SAFETY: reads a list that does not change any more; `href` outlives the call.
    unsafe { !xmlSecTransformIdListFindByHref(xmlSecTransformIdsGet(), href.as_ptr(), ANY_USAGE).is_null() }
}

thread_local! {
    /// One manager for each certificate, kept: with each new one the library reads all certificates of this machine.
    static MANAGERS: RefCell<Vec<(Vec<u8>, *mut c_void)>> = const { RefCell::new(Vec::new()) };
}

/// The manager that knows this certificate's key, and no other.
fn manager(certificate: &[u8]) -> *mut c_void {
    MANAGERS.with_borrow_mut(|managers| {
        if let Some((_, known)) = managers.iter().find(|(known, _)| known == certificate) {
            return *known;
        }
        // SAFETY: the bytes are copied; the manager adopts the key, and is never destroyed.
        let made = unsafe {
            let made = xmlSecKeysMngrCreate();
            assert!(!made.is_null() && xmlSecOpenSSLAppDefaultKeysMngrInit(made) >= 0, "libxmlsec1 does not start");
            let key =
                xmlSecOpenSSLAppKeyLoadMemory(certificate.as_ptr(), certificate.len(), CERTIFICATE_DER, null(), null_mut(), null_mut());
            assert!(!key.is_null() && xmlSecOpenSSLAppDefaultKeysMngrAdoptKey(made, key) >= 0, "libxmlsec1 does not read the key");
            made
        };
        managers.push((certificate.to_vec(), made));
        made
    })
}

/// What the library writes about a signature that it could process.
fn report(signature: *mut libxml2::Node, certificate: &[u8]) -> Option<Vec<u8>> {
    let manager = manager(certificate);
    // SAFETY: the context is made and destroyed here; the stream's buffer is copied after the stream was closed, which sets
    // pointer and size.
    unsafe {
        let context = xmlSecDSigCtxCreate(manager);
        assert!(!context.is_null(), "no memory");
        (*context).flags |= STORE_REFERENCES;
        let processed = xmlSecDSigCtxVerify(context, signature) >= 0;
        let report = processed.then(|| {
            let (mut buffer, mut size) = (null_mut(), 0);
            let stream = open_memstream(&raw mut buffer, &raw mut size);
            assert!(!stream.is_null(), "no memory");
            xmlSecDSigCtxDebugXmlDump(context, stream);
            fclose(stream);
            let report = std::slice::from_raw_parts(buffer.cast::<u8>(), size).to_vec();
            free(buffer.cast());
            report
        });
        xmlSecDSigCtxDestroy(context);
        report
    }
}

/// The status of the signature stands in the report's first tag, then comes the one reference with its bytes as they are.
fn judge(report: &[u8]) -> Verdict {
    let find = |text: &str| report.windows(text.len()).position(|window| window == text.as_bytes());
    let last = |text: &str| report.windows(text.len()).rposition(|window| window == text.as_bytes());
    let head = report.split(|byte| *byte == b'>').next().unwrap_or_default();
    if !head.windows(18).any(|window| window == b"status=\"succeeded\"") {
        return Verdict::Refused;
    }
    let (open, close) = ("<PreDigestData>", "</PreDigestData>");
    match (find(open), last(close)) {
        (Some(from), Some(to)) => Verdict::Verified(report.get(from + open.len()..to).unwrap_or_default().to_vec()),
        _ => panic!("libxmlsec1 does not say what it hashed: {}", String::from_utf8_lossy(report)),
    }
}

/// The library, without error output and without files or network.
fn initialise() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // samael initialises it with its first verification, once per process.
        let dummy = r#"<r ID="r"><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/></r>"#;
        // SAFETY: sets one static int.
        unsafe { xmlSecErrorsDefaultCallbackEnableOutput(0) };
        let nobody = [CertificateDer::from(vec![0])];
        drop(Crypto::reduce_xml_to_signed_with_allowed_algorithms(dummy, &nobody, ReduceMode::PreDigest, None));
        // SAFETY: after the initialisation and before the first use here.
        unsafe {
            xmlSecErrorsDefaultCallbackEnableOutput(0);
            xmlSecIOCleanupCallbacks();
        }
    });
}
