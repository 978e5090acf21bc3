//! `[pages]`: how pages for people look, and what they say.

use super::application::check_uri;
use super::context::Context;
use crate::http::look::{Asset, Look};
use crate::http::words::Language;
use crate::toml_file::{Findings, Section, TomlFile};
use std::path::Path;

/// Bytes of a logo or a style sheet at most: every page loads them.
const ASSET_LIMIT: u64 = 256 * 1024;

/// Endings of the files that a logo may be.
const LOGOS: [(&str, &str); 5] =
    [("svg", "image/svg+xml"), ("png", "image/png"), ("webp", "image/webp"), ("jpg", "image/jpeg"), ("jpeg", "image/jpeg")];

/// Reads the section; what is wrong in the files of texts is reported with their names.
pub fn read(context: &Context<'_>, root: &Section<'_>) -> (Look, Findings) {
    let (mut look, mut findings) = (Look::default(), Findings::default());
    let Some(section) = root.section("pages") else { return (look, findings) };
    look.name = section.string("name").map(|at| at.value.to_owned()).unwrap_or_default();
    look.logo = logo(context, &section);
    look.theme = section.string("stylesheet").and_then(|at| {
        let bytes = bytes_of(context, &section, "stylesheet", at.value)?;
        Some(Asset::new("theme", "css", "text/css; charset=utf-8", bytes))
    });
    for link in section.sections("link") {
        let (label, address) = (link.required("label"), link.required("address"));
        if let Some(Err((message, help))) = address.as_ref().map(|at| check_uri(at.value, false)) {
            link.problem("address", message, help);
        }
        look.links.extend(label.zip(address).map(|(label, address)| (label.value.to_owned(), address.value.to_owned())));
        link.finish();
    }
    if let Some(at) = section.string("texts") {
        let directory = context.resolve(at.value);
        if directory.is_dir() {
            for language in Language::ALL {
                findings.extend(texts(&mut look, language, &directory.join(format!("{}.toml", language.tag()))));
            }
        } else {
            section.problem("texts", format!("{} is no directory", directory.display()), "name a directory with files such as en.toml");
        }
    }
    section.finish();
    (look, findings)
}

fn logo(context: &Context<'_>, section: &Section<'_>) -> Option<Asset> {
    let at = section.string("logo")?;
    let ending = at.value.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let Some((ending, media_type)) = LOGOS.into_iter().find(|(known, _)| *known == ending) else {
        section.problem("logo", format!("`{}` is no image that browsers show", at.value), "use a file that ends in svg, png, webp or jpg");
        return None;
    };
    Some(Asset::new("logo", ending, media_type, bytes_of(context, section, "logo", at.value)?))
}

fn bytes_of(context: &Context<'_>, section: &Section<'_>, key: &'static str, path: &str) -> Option<Vec<u8>> {
    let path = context.resolve(path);
    let length = std::fs::metadata(&path).map(|metadata| metadata.len());
    if length.as_ref().is_ok_and(|length| *length > ASSET_LIMIT) {
        let help = format!("make it smaller than {} kB", ASSET_LIMIT / 1024);
        section.problem(key, format!("{} is too large: every page loads it", path.display()), help);
        return None;
    }
    match length.and_then(|_| std::fs::read(&path)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            section.problem(
                key,
                format!("{} cannot be read: {error}", path.display()),
                "correct the path; it is relative to the configuration",
            );
            None
        }
    }
}

/// A file of texts: name = "words". One that is not there says nothing.
fn texts(look: &mut Look, language: Language, path: &Path) -> Findings {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Findings::default(),
        Err(error) => {
            let problem = super::read::whole_file(name, String::new(), format!("the file cannot be read: {error}"), "correct its mode");
            return Findings { problems: vec![problem], ..Findings::default() };
        }
    };
    let file = TomlFile::new(&name, &text);
    let table = file.parse();
    for (key, at) in file.root(&table).entries() {
        let taken = match at.value.as_str() {
            Some(words) => look.texts.with(language, key, words),
            None => Err("expected a text in quotes".to_owned()),
        };
        if let Err(why) = taken {
            file.problem(at.span.clone(), &at.path, why, "docs/pages.md lists the texts");
        }
    }
    file.into_findings()
}
