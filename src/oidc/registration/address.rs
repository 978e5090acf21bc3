//! Addresses that a client may register. What an operator writes is trusted more; here anybody may be at work.

use url::{Host, Url};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Where answers go.
    Redirect,
    /// Where browsers go after a logout.
    AfterLogout,
    /// Where browsers go for other reasons.
    Page,
    /// What this gateway asks itself: it must not be led into its own network.
    Fetched,
    /// The same; a fragment may say what is there (OpenID Connect Core 6.2).
    RequestObject,
}

/// Schemes that browsers understand as something else than a place.
const NO_PLACE: [&str; 9] = ["javascript", "data", "file", "vbscript", "blob", "about", "ftp", "ws", "wss"];

impl Address {
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, text: &str, native: bool, development: bool) -> Result<(), &'static str> {
        let url = Url::parse(text).map_err(|_| "is no absolute address")?;
        // Parsing forgives blanks and line ends, and an answer's Location header cannot carry anything else.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has a blank or a character that is not ASCII");
        }
        if self != Self::RequestObject && text.contains('#') {
            return Err("has a fragment");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("contains credentials");
        }
        match self {
            Self::Redirect | Self::AfterLogout if native => of_native(&url),
            // A loopback address is nobody's: each machine has its own there.
            Self::Fetched | Self::RequestObject if !development && is_address(&url) => {
                Err("names a machine by its number, not by its name")
            }
            _ => of_web(&url, development),
        }
    }
}

/// Registration 2, `application_type`: https, and not this machine; in development http to this machine too.
fn of_web(url: &Url, development: bool) -> Result<(), &'static str> {
    match (url.scheme(), is_loopback(url)) {
        ("https" | "http", true) if development => Ok(()),
        ("https", false) => Ok(()),
        (_, true) => Err("is on the person's own machine, which is for native applications"),
        _ => Err("is not https"),
    }
}

/// Registration 2: a scheme of its own, or http on the person's machine. RFC 8252 7.1: the scheme has a dot.
fn of_native(url: &Url) -> Result<(), &'static str> {
    match url.scheme() {
        "http" if is_loopback(url) => Ok(()),
        "http" | "https" => Err("is not on the person's own machine, and native applications return there or to a scheme of their own"),
        scheme if NO_PLACE.contains(&scheme) => Err("has a scheme that is no place to return to"),
        scheme if scheme.contains('.') => Ok(()),
        _ => Err("has a scheme without a dot: use a domain of yours turned around, as in org.example.app"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local_name(name),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => {
            let mapped = address.to_ipv4_mapped().is_some_and(|address| address.is_loopback() || address.is_unspecified());
            address.is_loopback() || address.is_unspecified() || mapped
        }
        None => false,
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_address(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local_name(name),
        _ => true,
    }
}
