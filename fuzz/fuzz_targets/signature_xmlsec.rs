//! A program of edits on well signed responses: whatever signature we accept, libxmlsec1 accepts over the same bytes.
#![no_main]

use isthmus_fuzz::differential::signed;
use libfuzzer_sys::fuzz_target;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What came out so far: unread, both, neither, only theirs, unknown; the last is the number of documents.
static TALLY: [AtomicUsize; 6] = [const { AtomicUsize::new(0) }; 6];

fuzz_target!(|data: &[u8]| {
    let Some(text) = signed::document(data) else { return };
    let found = signed::compare(&text);
    let counts = [usize::from(found.unread), found.both, found.neither, found.only_theirs, found.unknown];
    for (total, count) in TALLY.iter().zip(counts) {
        total.fetch_add(count, Relaxed);
    }
    if TALLY[5].fetch_add(1, Relaxed) % (1 << 16) == (1 << 16) - 1 {
        let [unread, both, neither, theirs, unknown, documents] = [0, 1, 2, 3, 4, 5].map(|at| TALLY[at].load(Relaxed));
        eprintln!(
            "{documents} documents, {unread} not read; signatures: {both} good for both, {neither} for neither, {theirs} only for libxmlsec1, {unknown} of an algorithm it does not have"
        );
    }
});
