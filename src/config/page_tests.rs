//! `[pages]`, and the files of texts beside it.

use super::tests::{GOOD, written};
use super::{Findings, check, load, render_human};
use crate::http::words::{Language, Words};
use std::fs;
use std::path::Path;

const PAGES: &str = r#"
[pages]
name = "Example University"
logo = "logo.svg"
stylesheet = "theme.css"
texts = "words"
[[pages.link]]
label = "Help"
address = "https://help.example.edu"
"#;

fn with_files(pages: &str, german: &str) -> tempfile::TempDir {
    let directory = written(&format!("{GOOD}{pages}"));
    let path = |name: &str| directory.path().join(name);
    fs::write(path("logo.svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").expect("written");
    fs::write(path("theme.css"), ":root { --accent: #7a0019; }").expect("written");
    fs::create_dir(path("words")).expect("made");
    fs::write(path("words/de.toml"), german).expect("written");
    directory
}

fn findings(directory: &Path) -> Findings {
    check(&directory.join("isthmus.toml"))
}

#[test]
fn a_house_gets_its_name_logo_colours_links_and_words() {
    let directory = with_files(PAGES, "choose_title = \"Willkommen bei {application}\"\n");
    let config = load(&directory.path().join("isthmus.toml")).unwrap_or_else(|found| panic!("{}", render_human(&found)));
    let look = config.http.look;
    assert_eq!(look.name, "Example University");
    assert_eq!(look.logo.as_ref().expect("a logo").media_type, "image/svg+xml");
    assert!(look.theme.as_ref().expect("a theme").bytes.starts_with(b":root"));
    assert_eq!(look.links, [("Help".to_owned(), "https://help.example.edu".to_owned())]);
    assert_eq!(look.texts.of(Language::German).choose_title, "Willkommen bei {application}");
    assert_eq!(look.texts.of(Language::German).choose_where, Words::of(Language::German).choose_where);
}

#[test]
fn wrong_texts_are_named_with_their_line() {
    let directory = with_files(PAGES, "choose_where = \"Woher?\"\nno_such = \"x\"\nlink_how = \"{application}\"\nlink_no = 1\n");
    let found = findings(directory.path());
    let places: Vec<_> = found.problems.iter().map(|problem| (problem.line, problem.path.as_str(), problem.message.as_str())).collect();
    let expected = [(2, "no_such", "no text"), (3, "link_how", "{application} is not known"), (4, "link_no", "text in quotes")];
    assert_eq!(places.len(), expected.len(), "{places:?}");
    for ((line, path, message), (expected_line, expected_path, word)) in places.into_iter().zip(expected) {
        assert!((line, path) == (expected_line, expected_path) && message.contains(word), "{line} {path} {message}");
    }
    assert!(found.problems.iter().all(|problem| problem.file.ends_with("words/de.toml")), "{}", render_human(&found));
}

#[test]
fn what_cannot_be_used_is_said() {
    for (from, to, path, word) in [
        ("logo.svg", "logo.exe", "pages.logo", "no image"),
        ("logo.svg", "none.png", "pages.logo", "cannot be read"),
        ("theme.css", "none.css", "pages.stylesheet", "cannot be read"),
        ("\"words\"", "\"none\"", "pages.texts", "no directory"),
        ("https://help", "http://help", "pages.link[0].address", "not https"),
        ("label = \"Help\"\n", "", "pages.link[0].label", "missing"),
        ("name =", "nmae =", "pages.nmae", "not known"),
    ] {
        let directory = with_files(&PAGES.replace(from, to), "");
        let found = findings(directory.path());
        assert!(
            found.problems.iter().any(|problem| problem.path == path && problem.message.contains(word)),
            "{to}: {}",
            render_human(&found)
        );
    }
    let directory = with_files(PAGES, "");
    fs::write(directory.path().join("theme.css"), vec![b' '; 256 * 1024 + 1]).expect("written");
    assert!(findings(directory.path()).problems.iter().any(|problem| problem.message.contains("too large")));
}
