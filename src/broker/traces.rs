//! Reading a login's trace.

use super::{Gateway, decode};
use crate::error::Result;
use crate::login::Trace;

impl Gateway {
    /// All that was recorded of a login, in order; `None` when nothing was, or it is more than seven days ago.
    pub async fn trace(&self, correlation_id: &str) -> Result<Option<Trace>> {
        let well_formed = correlation_id.len() == 16 && correlation_id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !well_formed {
            return Ok(None);
        }
        let mut whole = Trace::default();
        for part in self.sessions.get_many(&Trace::keys(correlation_id)).await?.into_iter().flatten() {
            whole.entries.extend(decode::<Trace>(&part)?.entries);
        }
        Ok((!whole.entries.is_empty()).then_some(whole))
    }
}
