//! How pages for people look, where an operator wants them otherwise: name, logo, colours, links and words.

use super::cookies;
use super::state::State;
use super::words::{Language, Texts, Words};
use crate::oidc::Params;
use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderMap};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage, HttpRequest};
use std::sync::Arc;

/// What all pages share.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub texts: Texts,
    /// Whose sign-in service this is, for people; empty: not said.
    pub name: String,
    pub logo: Option<Asset>,
    /// A style sheet that comes after ours.
    pub theme: Option<Asset>,
    /// Label and address of what stands below every page.
    pub links: Vec<(String, String)>,
}

/// A file that pages load. Its path changes with its content, so it may be kept for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub path: String,
    pub media_type: &'static str,
    pub bytes: Bytes,
}

impl Asset {
    pub fn new(name: &str, ending: &str, media_type: &'static str, bytes: Vec<u8>) -> Self {
        let digest = crate::id::hex(&crate::id::sha256(&bytes));
        let path = format!("/assets/{name}-{}.{ending}", digest.get(..16).unwrap_or_default());
        Self { path, media_type, bytes: Bytes::from(bytes) }
    }
}

impl Look {
    pub fn asset(&self, path: &str) -> Option<&Asset> {
        [&self.logo, &self.theme].into_iter().flatten().find(|asset| asset.path == path)
    }

    /// What the content policy has to allow for it, with what `page` shows from elsewhere.
    pub fn images(&self, page: &str) -> String {
        match (self.logo.is_some(), page) {
            (false, "") => String::new(),
            (true, "") => "img-src 'self'; ".to_owned(),
            (false, page) => format!("img-src {page}; "),
            (true, page) => format!("img-src 'self' {page}; "),
        }
    }
}

/// Words and look for one request.
#[derive(Clone)]
pub struct Setting {
    pub words: Arc<Words>,
    pub look: Arc<Look>,
}

impl Setting {
    pub fn of(request: &HttpRequest) -> Self {
        let look = request.app_data::<Data<State>>().map(|state| Arc::clone(&state.settings.look)).unwrap_or_default();
        Self { words: look.texts.of(language(request)), look }
    }
}

/// The language of a page: what the application asked for (`ui_locales`), now or when this login began; then what the
/// browser prefers; then English.
pub fn language(request: &HttpRequest) -> Language {
    let noticed = request.extensions().get::<Language>().copied();
    noticed
        .or_else(|| asked_in(request.query_string().as_bytes()))
        .or_else(|| cookies::language(request.headers()))
        .or_else(|| preferred(request.headers()))
        .unwrap_or(Language::English)
}

/// The language of `ui_locales` among these parameters (OpenID Connect Core 3.1.2.1), if it is one of ours.
pub fn asked_in(octets: &[u8]) -> Option<Language> {
    // Most requests name none: reading all of them again would cost each.
    if !octets.windows(10).any(|window| window == b"ui_locales") {
        return None;
    }
    let params = Params::parse_noting_repeats(octets).ok()?;
    Language::of_tags(params.get("ui_locales")?.split(' '))
}

fn preferred(headers: &HeaderMap) -> Option<Language> {
    Language::of_header(headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn the_application_decides_before_the_browser() {
        let of =
            |path: &str, header: &str| language(&TestRequest::with_uri(path).insert_header((ACCEPT_LANGUAGE, header)).to_http_request());
        assert_eq!(of("/", "fr"), Language::French);
        assert_eq!(of("/authorize?ui_locales=nl+ja-JP+de", "fr"), Language::Japanese);
        assert_eq!(of("/authorize?ui_locales=nl", "pt-BR, en;q=0.1"), Language::Portuguese);
        assert_eq!(of("/authorize?ui_locales=%ff", "xx"), Language::English);
        assert_eq!(of("/?ui_locales=de&ui_locales=fr", "es"), Language::Spanish);
    }

    #[test]
    fn an_asset_has_another_path_when_it_changes() {
        let (one, two) = (Asset::new("logo", "png", "image/png", vec![1]), Asset::new("logo", "png", "image/png", vec![2]));
        assert!(one.path.starts_with("/assets/logo-") && one.path.ends_with(".png") && one.path != two.path);
        let look = Look { logo: Some(one.clone()), ..Look::default() };
        assert_eq!(look.asset(&one.path), Some(&one));
        assert!(look.asset(&two.path).is_none());
        assert_eq!(look.images("https:"), "img-src 'self' https:; ");
        assert_eq!(Look::default().images(""), "");
    }
}
