//! Our engine beside the C libraries on the same input: canonical forms beside libxml2's, signatures beside libxmlsec1's.
//!
//! Two questions, both answered by a panic that names the difference: [`canonical::compare`] (the same bytes for the same
//! subset of a document) and [`signed::compare`] (whatever we accept, libxmlsec1 accepts, and it hashed the same bytes).
//! Where ours is stricter, that is counted and fine. `tree`, `edits` and `resign` make the documents, `libxml2` and `xmlsec` are the
//! libraries; `tests/seeds.rs` of the gateway replays the seeds through the same two functions.

pub mod canonical;
pub mod edits;
pub mod libxml2;
pub mod resign;
pub mod signed;
pub mod tree;
pub mod words;
pub mod xmlsec;
