//! Responses to no request of ours: what a connection does with them, where it takes them at all.
//!
//! Whoever gets hold of somebody's response can sign others in as that person, since nothing ties it to a browser. So it
//! is a hint by default: it says that somebody wants to sign in, and the login that follows begins here.

/// The rules of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsolicited {
    /// Client id of the only application that it can be for.
    pub application: String,
    pub mode: UnsolicitedMode,
    /// By which of its protocols the application is served; `None`: OpenID Connect if it speaks that.
    pub protocol: Option<ApplicationProtocol>,
    /// Parameters of the authorization request that stands in for the application's own.
    pub query: Vec<(String, String)>,
    /// What a RelayState may be, to be passed on; `None`: it is dropped.
    pub relay_states: Option<Vec<RelayState>>,
}

/// What becomes of a response that is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsolicitedMode {
    /// A login begins at the same identity provider.
    Hint,
    /// It is a login. Whoever gets hold of a response can plant a session.
    AcceptDirectly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationProtocol {
    Oidc,
    Saml,
}

/// A RelayState that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayState {
    Exactly(String),
    /// Whatever begins so; an https address with its host and a path.
    Below(String),
}

impl RelayState {
    fn takes(&self, found: &str) -> bool {
        match self {
            Self::Exactly(known) => found == known,
            Self::Below(prefix) => found.starts_with(prefix.as_str()),
        }
    }
}

impl Unsolicited {
    /// The RelayState to pass on; `Err` where it may not be what it is.
    pub fn relay_state<'a>(&self, found: Option<&'a str>) -> Result<Option<&'a str>, &'a str> {
        let (Some(known), Some(found)) = (&self.relay_states, found.filter(|found| !found.is_empty())) else { return Ok(None) };
        if known.iter().any(|known| known.takes(found)) { Ok(Some(found)) } else { Err(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_state_is_dropped_passed_on_or_refused() {
        let rules = |relay_states| Unsolicited {
            application: "notes".into(),
            mode: UnsolicitedMode::Hint,
            protocol: None,
            query: Vec::new(),
            relay_states,
        };
        assert_eq!(rules(None).relay_state(Some("https://evil.example/")), Ok(None));
        let listed = rules(Some(vec![RelayState::Exactly("start".into()), RelayState::Below("https://notes.example/".into())]));
        for good in ["start", "https://notes.example/", "https://notes.example/a?b#c"] {
            assert_eq!(listed.relay_state(Some(good)), Ok(Some(good)));
        }
        assert_eq!((listed.relay_state(None), listed.relay_state(Some(""))), (Ok(None), Ok(None)));
        for bad in
            ["start ", "Start", "https://notes.example", "https://notes.example.evil.example/", "http://notes.example/", "javascript:1"]
        {
            assert_eq!(listed.relay_state(Some(bad)), Err(bad));
        }
        assert_eq!(rules(Some(Vec::new())).relay_state(Some("x")), Err("x"));
    }
}
