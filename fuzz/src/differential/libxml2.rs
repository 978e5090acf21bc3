//! libxml2: its parser and its canonical forms.
#![expect(unsafe_code, reason = "libxml2 is a C library; each call says why it is sound")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::null_mut;

/// The common beginning of every node, which is part of libxml2's interface.
#[repr(C)]
pub struct Node {
    private: *mut c_void,
    kind: c_int,
    name: *const c_char,
    children: *mut Node,
    last: *mut Node,
    parent: *mut Node,
    next: *mut Node,
    prev: *mut Node,
    document: *mut c_void,
}

type Silent = extern "C" fn(*mut c_void, *const c_void);
type IsVisible = extern "C" fn(*mut c_void, *mut Node, *mut Node) -> c_int;

unsafe extern "C" {
    fn xmlReadMemory(buffer: *const c_char, size: c_int, url: *const c_char, encoding: *const c_char, options: c_int) -> *mut c_void;
    fn xmlSetStructuredErrorFunc(context: *mut c_void, handler: Silent);
    fn xmlFreeDoc(document: *mut c_void);
    fn xmlDocGetRootElement(document: *mut c_void) -> *mut Node;
    fn xmlFirstElementChild(parent: *mut Node) -> *mut Node;
    fn xmlNextElementSibling(node: *mut Node) -> *mut Node;
    fn xmlAllocOutputBuffer(encoder: *mut c_void) -> *mut c_void;
    fn xmlOutputBufferGetContent(buffer: *mut c_void) -> *const u8;
    fn xmlOutputBufferGetSize(buffer: *mut c_void) -> usize;
    fn xmlOutputBufferClose(buffer: *mut c_void) -> c_int;
    fn xmlC14NExecute(
        document: *mut c_void,
        is_visible: IsVisible,
        user: *mut c_void,
        mode: c_int,
        prefixes: *mut *const c_char,
        with_comments: c_int,
        buffer: *mut c_void,
    ) -> c_int;
}

// xmlElementType, xmlParserOption, xmlC14NMode.
const ATTRIBUTE: c_int = 2;
const PROCESSING_INSTRUCTION: c_int = 7;
const NAMESPACE: c_int = 18;
const NO_ERROR: c_int = 1 << 5;
const NO_WARNING: c_int = 1 << 6;
const NO_NETWORK: c_int = 1 << 11;
const HUGE: c_int = 1 << 19;
const C14N_1_0: c_int = 0;
const C14N_EXCLUSIVE_1_0: c_int = 1;

/// A document as libxml2 read it.
pub struct Document {
    document: *mut c_void,
    elements: Vec<*mut Node>,
}

/// One form of one subset. Processing instructions are never part of it: our trees have none.
#[derive(Clone, Copy, Debug)]
pub struct Subset<'s> {
    /// The element, by its number in the order of the document.
    pub apex: usize,
    /// Elements left out, likewise.
    pub omit: &'s [usize],
    /// The PrefixList of the exclusive form; none for the inclusive form.
    pub exclusive: Option<&'s [&'s str]>,
    pub comments: bool,
}

impl Document {
    /// Strictly, without network; nothing where it is not well-formed to libxml2.
    pub fn read(text: &str) -> Option<Self> {
        let size = c_int::try_from(text.len()).ok()?;
        // SAFETY: a function of this thread that is there for ever; the buffer is read for `size` bytes and not kept; null pointers
        // mean "none" here.
        let document = unsafe {
            xmlSetStructuredErrorFunc(null_mut(), say_nothing);
            let options = NO_ERROR | NO_WARNING | NO_NETWORK | HUGE;
            xmlReadMemory(text.as_ptr().cast(), size, null_mut(), c"UTF-8".as_ptr(), options)
        };
        if document.is_null() {
            return None;
        }
        let mut this = Self { document, elements: Vec::new() };
        // SAFETY: the document lives as long as `this`.
        let root = unsafe { xmlDocGetRootElement(document) };
        this.collect(root);
        Some(this)
    }

    fn collect(&mut self, element: *mut Node) {
        if element.is_null() {
            return;
        }
        self.elements.push(element);
        // SAFETY: nodes of a living document.
        let mut child = unsafe { xmlFirstElementChild(element) };
        while !child.is_null() {
            self.collect(child);
            // SAFETY: as above.
            child = unsafe { xmlNextElementSibling(child) };
        }
    }

    /// The elements, in the order of the document.
    pub fn elements(&self) -> &[*mut Node] {
        &self.elements
    }

    pub fn pointer(&self) -> *mut c_void {
        self.document
    }

    /// The canonical bytes, or nothing where libxml2 refuses.
    pub fn canonical(&self, subset: Subset<'_>) -> Option<String> {
        let visible = Visible {
            apex: *self.elements.get(subset.apex)?,
            omit: subset.omit.iter().filter_map(|index| self.elements.get(*index).copied()).collect(),
            lives: PhantomData,
        };
        let names: Vec<CString> = subset.exclusive.unwrap_or_default().iter().filter_map(|name| CString::new(*name).ok()).collect();
        let mut prefixes: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).chain([std::ptr::null()]).collect();
        let mode = if subset.exclusive.is_some() { C14N_EXCLUSIVE_1_0 } else { C14N_1_0 };
        // SAFETY: document, nodes, names and `visible` live until the call returns; the prefixes end with a null pointer; the
        // buffer is ours until it is closed, and its content is copied before.
        unsafe {
            let buffer = xmlAllocOutputBuffer(null_mut());
            assert!(!buffer.is_null(), "no memory");
            let user = (&raw const visible).cast_mut().cast();
            let outcome =
                xmlC14NExecute(self.document, is_visible, user, mode, prefixes.as_mut_ptr(), c_int::from(subset.comments), buffer);
            let size = xmlOutputBufferGetSize(buffer);
            let bytes = match size {
                0 => Vec::new(),
                _ => std::slice::from_raw_parts(xmlOutputBufferGetContent(buffer), size).to_vec(),
            };
            xmlOutputBufferClose(buffer);
            (outcome >= 0).then(|| String::from_utf8(bytes).expect("canonical forms are UTF-8"))
        }
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        // SAFETY: made by xmlReadMemory, freed once, and no node outlives it.
        unsafe { xmlFreeDoc(self.document) };
    }
}

extern "C" fn say_nothing(_: *mut c_void, _: *const c_void) {}

struct Visible<'d> {
    apex: *mut Node,
    omit: Vec<*mut Node>,
    lives: PhantomData<&'d Document>,
}

extern "C" fn is_visible(user: *mut c_void, node: *mut Node, parent: *mut Node) -> c_int {
    // SAFETY: `user` is the `Visible` of `canonical`, which waits for this; nodes are those of its document. A namespace node
    // has its kind where others have theirs, and nothing else of it is read.
    unsafe {
        let visible = &*user.cast::<Visible<'_>>();
        let mut here = match (*node).kind {
            ATTRIBUTE | NAMESPACE => parent,
            PROCESSING_INSTRUCTION => return 0,
            _ => node,
        };
        while !here.is_null() {
            if visible.omit.contains(&here) {
                return 0;
            }
            if here == visible.apex {
                return 1;
            }
            here = (*here).parent;
        }
    }
    0
}

/// What makes libxml2 refuse a canonical form: it calls a namespace name relative that has no authority, and is neither a
/// `urn:` nor a `dav:`. Canonical XML 1.3 asks for an error only where there is no scheme.
pub fn calls_relative(uri: &str) -> bool {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    let known = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let urn = ["urn", "dav"].iter().any(|other| scheme.eq_ignore_ascii_case(other));
    let placed = urn || (!authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.'));
    !(known && placed && plain(uri))
}

/// libxml2 writes these characters of a namespace name as they stand, where Canonical XML 2.3 has them escaped.
pub fn does_not_escape(uri: &str) -> bool {
    uri.contains(['&', '<', '"', '\t', '\n', '\r'])
}

/// Made of what URIs are made of, and nothing unusual.
fn plain(uri: &str) -> bool {
    uri.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/#".contains(&byte)) && uri.matches('#').count() < 2
}
