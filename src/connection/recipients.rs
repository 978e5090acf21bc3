//! Who is given what a connection keeps: our secret at a provider, the password of our account at a directory, and what comes
//! of them, as the tokens of people.
//!
//! Whoever changes a connection and keeps its secret must not send it elsewhere by that; see `broker/admin/kept.rs`.

use super::config::{ConnectionConfig, ConnectionKind, OAuth2Connection, OidcConnection};
use super::ldap::LdapSettings;
use url::Url;

/// Everybody to whom a connection sends a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Scheme, host and port of each.
    places: Vec<String>,
    /// Documents that say where further ones are. Who may write at another path of the same host may say something else.
    documents: Vec<Url>,
}

impl Recipients {
    /// Those of a connection, as it is configured.
    pub fn of(config: &ConnectionConfig) -> Self {
        match &config.kind {
            ConnectionKind::Oidc(oidc) => Self::of_oidc(oidc),
            ConnectionKind::OAuth2(oauth2) => Self::of_oauth2(oauth2),
            ConnectionKind::Ldap(ldap) => Self::of_ldap(ldap),
            ConnectionKind::Database(database) => Self::at(database.custom.iter().map(|custom| &custom.endpoint)),
            // What SAML signs with never leaves.
            ConnectionKind::Saml(_) => Self::default(),
        }
    }

    fn of_oidc(oidc: &OidcConnection) -> Self {
        let pinned = &oidc.pinned;
        let places = [&pinned.token_endpoint, &pinned.pushed_authorization_request_endpoint, &pinned.userinfo_endpoint];
        let documents = if pinned.are_whole() { Vec::new() } else { vec![oidc.metadata.clone()] };
        Self { documents, ..Self::at(places.into_iter().flatten()) }
    }

    fn of_oauth2(oauth2: &OAuth2Connection) -> Self {
        Self::at([&oauth2.token_endpoint, &oauth2.userinfo_endpoint].into_iter().chain(oauth2.more.iter().map(|(_, url)| url)))
    }

    /// With StartTLS and without it are two: without, everybody on the way is given it.
    fn of_ldap(ldap: &LdapSettings) -> Self {
        let mut all = Self::at(&ldap.servers);
        if ldap.start_tls {
            all.places.iter_mut().for_each(|place| *place = format!("{place} by StartTLS"));
        }
        all
    }

    fn at<'u>(urls: impl IntoIterator<Item = &'u Url>) -> Self {
        Self { places: urls.into_iter().map(place).collect(), documents: Vec::new() }
    }

    /// The first that is not among `known`.
    pub fn beyond(&self, known: &Self) -> Option<String> {
        let document = self.documents.iter().find(|document| !known.documents.contains(document)).map(Url::to_string);
        let is_known = |wanted: &String| known.places.contains(wanted) || known.documents.iter().any(|document| place(document) == *wanted);
        document.or_else(|| self.places.iter().find(|place| !is_known(place)).cloned())
    }
}

/// Scheme, host and port; the ports of directories are known here and not to the crate.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(if url.scheme() == "ldaps" { 636 } else { 389 });
    format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(urls: &[&str]) -> Recipients {
        let urls: Vec<Url> = urls.iter().map(|url| Url::parse(url).expect("an address")).collect();
        Recipients::at(&urls)
    }

    fn described(by: &str) -> Recipients {
        Recipients { places: Vec::new(), documents: vec![Url::parse(by).expect("an address")] }
    }

    #[test]
    fn scheme_host_and_port_make_a_recipient_and_spelling_does_not() {
        let known = at(&["https://op.example/token", "ldaps://DC.acme.example"]);
        for same in ["https://op.example/other", "https://OP.example:443/token?x", "ldaps://dc.acme.example:636"] {
            assert_eq!(at(&[same]).beyond(&known), None, "{same}");
        }
        for (other, told) in [
            ("https://op.example.evil/token", "https://op.example.evil:443"),
            ("https://op.example@evil.example/token", "https://evil.example:443"),
            ("https://op.example:8443/token", "https://op.example:8443"),
            ("http://op.example/token", "http://op.example:80"),
            ("http://op.example:443/token", "http://op.example:443"),
            ("ldap://dc.acme.example", "ldap://dc.acme.example:389"),
            ("ldap://dc.acme.example:636", "ldap://dc.acme.example:636"),
        ] {
            assert_eq!(at(&[other]).beyond(&known).as_deref(), Some(told), "{other}");
        }
        // One that is new among those that are known.
        assert_eq!(at(&["https://op.example", "https://x.example"]).beyond(&known).as_deref(), Some("https://x.example:443"));
        assert_eq!(at(&[]).beyond(&known), None);
    }

    #[test]
    fn a_document_that_says_where_secrets_go_is_known_by_its_whole_address() {
        let known = described("https://op.example/.well-known/openid-configuration");
        assert_eq!(known.beyond(&known), None);
        let other = "https://op.example/~eve/openid-configuration";
        assert_eq!(described(other).beyond(&known).as_deref(), Some(other));
        // Whoever answers there could have said so.
        assert_eq!(at(&["https://op.example/token"]).beyond(&known), None);
        assert_eq!(at(&["https://eve.example/token"]).beyond(&known).as_deref(), Some("https://eve.example:443"));
        // Nothing was asked of it before.
        let pinned = at(&["https://op.example/token"]);
        assert_eq!(known.beyond(&pinned).as_deref(), Some("https://op.example/.well-known/openid-configuration"));
    }
}
