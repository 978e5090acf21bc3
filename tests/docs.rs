//! Reads docs/profile.md and fails where it has fallen behind the program: a line of the profile without a row, a test or
//! a file that is not there, a promise that waits and is missing in docs/roadmap.md, an example that `isthmus check`
//! refuses. Of other pages with tables of tests, that these tests are there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The groups of lines, and how many each has.
const LINES: [(&str, usize); 5] = [("S0", 14), ("S1", 10), ("S2", 22), ("S3", 7), ("S4", 28)];

#[test]
fn the_table_has_every_line_and_names_what_exists() {
    let found = complaints(&read("docs/profile.md"), &read("docs/roadmap.md"), &tests_of_the_program());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// Each example of the settings alone, with all mapping tables of the page beside it.
#[test]
fn the_examples_are_good() {
    let page = read("docs/profile.md");
    let (settings, tables): (Vec<_>, Vec<_>) = examples(&page).into_iter().partition(|(file, _)| *file == "isthmus.toml");
    assert!(settings.len() > 2, "the page has lost its examples");
    for (_, text) in settings {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("isthmus.toml", &format!("issuer = \"https://login.example.org\"\n{text}"));
        tables.iter().for_each(|(name, text)| write(name, text));
        for idp in ["acme-idp.xml", "partners-idp.xml"] {
            write(idp, &read("tests/fixtures/config/acme-idp.xml"));
        }
        let check = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .arg("check")
            .current_dir(place.path())
            .env("GIGYA_PARTNER_SECRET", "YSBwYXJ0bmVyJ3Mgc2VjcmV0")
            .output()
            .unwrap();
        let said = [check.stdout, check.stderr].concat();
        assert!(check.status.success(), "{text}\n{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn the_page_about_rules_names_what_exists() {
    let (page, tests) = (read("docs/rules.md"), tests_of_the_program());
    let (_, table) = page.split_once("## Every promise and its tests").expect("a table");
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| line.split(" | ").collect()).collect();
    assert!(rows.len() > 10, "the table has lost its rows");
    for row in rows {
        let [.., places, evidence] = row.as_slice() else { panic!("{row:?}") };
        let unknown: Vec<&str> = quoted(evidence).into_iter().filter(|test| !tests.contains(*test)).collect();
        assert_eq!(unknown, Vec::<&str>::new(), "no tests of the program");
        for path in quoted(places) {
            assert!(is_there(path) || Path::new(env!("CARGO_MANIFEST_DIR")).join(path).is_dir(), "{path} is not there");
        }
    }
}

#[test]
fn the_page_about_saml_applications_names_what_exists_and_its_examples_are_good() {
    let (page, tests) = (read("docs/saml-applications.md"), tests_of_the_program());
    let (_, table) = page.split_once("## Every promise and its tests").expect("a table");
    let unknown: Vec<&str> = table.lines().flat_map(|line| quoted(line.rsplit(" | ").next().unwrap_or_default())).collect();
    let unknown: Vec<&str> = unknown.into_iter().filter(|test| !tests.contains(*test)).collect();
    assert_eq!(unknown, Vec::<&str>::new(), "no tests of the program");
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("mappings")).unwrap();
    for (name, text) in examples(&page) {
        let head = if name == "isthmus.toml" { "issuer = \"https://login.example.org\"\n" } else { "" };
        fs::write(place.path().join(name), format!("{head}{text}")).unwrap();
    }
    for fixture in ["wiki-sp.xml", "journal.pem"] {
        fs::write(place.path().join(fixture), read(&format!("tests/fixtures/config/{fixture}"))).unwrap();
    }
    let check = Command::new(env!("CARGO_BIN_EXE_isthmus")).arg("check").current_dir(place.path()).output().unwrap();
    let said = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success() && said.trim() == "The configuration is good.", "{said}");
}

#[test]
fn the_page_about_conformance_names_what_exists_and_every_test_of_a_module() {
    let page = read("docs/openid-conformance.md");
    assert!(read("docs/openid.md").contains("(openid-conformance.md)"), "docs/openid.md leads there");
    let named: HashSet<(&str, &str)> = quoted(&page).into_iter().filter_map(|test| test.split_once("::")).collect();
    assert!(named.len() > 150, "the tables have lost their rows");
    assert_eq!(unknown(&named), Vec::<String>::new(), "no tests of the program");
    let mut files = Vec::new();
    collect(&root().join("tests/it/conformance"), &mut files);
    for path in files {
        let file = path.strip_prefix(root().join("tests/it")).unwrap().to_string_lossy().into_owned();
        let tests = tests_in("", &fs::read_to_string(&path).unwrap());
        let forgotten: Vec<_> = tests.iter().filter(|test| !named.contains(&(file.as_str(), test.as_str()))).collect();
        assert_eq!(forgotten, Vec::<&String>::new(), "tests of {file} that the page does not name");
    }
    assert_eq!(unknown(&HashSet::from([("conformance/core.rs", "oidcc_servr"), ("nowhere.rs", "x")])).len(), 2, "the check can fail");
}

#[test]
fn the_page_about_connections_names_what_exists_and_every_test_of_the_files_that_it_names() {
    let page = read("docs/connections.md");
    let (_, table) = page.split_once("# Line by line").expect("tables");
    let named: HashSet<(&str, &str)> = quoted(table).into_iter().filter_map(|test| test.split_once("::")).collect();
    assert!(named.len() > 80, "the tables have lost their rows");
    assert_eq!(unknown(&named), Vec::<String>::new(), "no tests of the program");
    let files: HashSet<&str> = named.iter().map(|(file, _)| *file).filter(|file| file.starts_with("providers/")).collect();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let tests = tests_in("", &read(&format!("tests/it/{file}")));
        let forgotten: Vec<_> = tests.iter().filter(|test| !named.contains(&(file, test.as_str()))).collect();
        assert_eq!(forgotten, Vec::<&String>::new(), "tests of {file} that the page does not name");
    }
}

/// Those of `file::function` that are no tests: files stand below tests/it or src.
fn unknown(named: &HashSet<(&str, &str)>) -> Vec<String> {
    let is_one = |file: &str, test: &str| {
        let places = ["tests/it", "src"].map(|place| root().join(place).join(file));
        places.iter().filter_map(|path| fs::read_to_string(path).ok()).any(|text| tests_in("", &text).iter().any(|known| known == test))
    };
    named.iter().filter(|(file, test)| !is_one(file, test)).map(|(file, test)| format!("{file}::{test}")).collect()
}

/// What is wrong with the page.
fn complaints(page: &str, roadmap: &str, tests: &HashSet<String>) -> Vec<String> {
    let (rows, mut found) = (rows(page), Vec::new());
    for (group, count) in LINES {
        for number in 1..=count {
            let times = rows.iter().filter(|row| row.id == format!("{group}-{number}")).count();
            if times != 1 {
                found.push(format!("{group}-{number} has {times} rows"));
            }
        }
    }
    let on_the_roadmap: HashSet<&str> = roadmap.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect();
    for Row { id, places, evidence } in rows {
        let named = quoted(evidence);
        let waits = evidence.contains("*with ");
        found.extend(named.iter().filter(|test| !tests.contains(**test)).map(|test| format!("{id} names no test of the program: {test}")));
        found.extend(quoted(places).iter().filter(|path| !is_there(path)).map(|path| format!("{id} names no file of the program: {path}")));
        if named.is_empty() && !waits && !evidence.contains("](") {
            found.push(format!("{id} has neither a test nor a word on why not"));
        }
        if !named.is_empty() && quoted(places).is_empty() {
            found.push(format!("{id} does not say where it is done"));
        }
        if waits && !on_the_roadmap.contains(id) {
            found.push(format!("{id} waits for something, and docs/roadmap.md does not have it"));
        }
    }
    found
}

/// A row of the table: line, promise, where, tests.
struct Row<'a> {
    id: &'a str,
    places: &'a str,
    evidence: &'a str,
}

/// The rows whose first cell is the id of a line, such as `S2-14`.
fn rows(page: &str) -> Vec<Row<'_>> {
    let is_id = |cell: &str| {
        cell.split_once('-').is_some_and(|(group, number)| {
            group.starts_with(|c: char| c.is_ascii_uppercase()) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let lines = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = lines.map(|line| line.split(" | ").collect::<Vec<_>>()).filter(|cells| is_id(cells[0]));
    cells
        .map(|cells| {
            let [id, _, places, evidence] = cells.as_slice() else { panic!("{} has not four cells", cells[0]) };
            Row { id, places, evidence }
        })
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The examples of a page in TOML: the file that the first line names, and the text.
fn examples(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split_once("```").expect("an end of the example").0);
    blocks.map(|text| (text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the name of a file"), text)).collect()
}

/// A path below src, or below the root of the project.
fn is_there(path: &str) -> bool {
    root().join("src").join(path).exists() || root().join(path).exists()
}

/// The names of all tests: functions that are marked as one, promises of the suites that every store passes, and the
/// tests that a macro makes of people and dialects.
fn tests_of_the_program() -> HashSet<String> {
    let mut files = Vec::new();
    for directory in ["src", "tests"] {
        collect(&root().join(directory), &mut files);
    }
    files.iter().flat_map(|path| tests_in(&path.to_string_lossy(), &fs::read_to_string(path).unwrap())).collect()
}

fn tests_in(path: &str, text: &str) -> Vec<String> {
    let in_a_suite = path.contains("/conformance");
    let (mut names, mut marked) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        let code = ["pub(super) ", "async "].iter().fold(line, |code, word| code.strip_prefix(word).unwrap_or(code));
        if let Some(rest) = code.strip_prefix("fn ") {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // A promise of a suite counts when the suite calls it.
            let called = in_a_suite && text.matches(&format!("{name}(")).count() > 1;
            if marked || called {
                names.push(name);
            }
            marked = false;
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((name, _)) = code.split_once(": \"").filter(|(_, rest)| rest.contains("\" in ") && rest.ends_with(';')) {
            names.push(name.to_owned());
        }
    }
    names
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_checker_can_fail() {
    let tests = tests_in("src/x.rs", "#[test]\nfn proven() {\n}\nfn helper() {}\n#[tokio::test(flavor = \"x\")]\nasync fn awaited() {");
    assert_eq!(tests, ["proven", "awaited"]);
    let suite = "pub(super) async fn all(x: &X) {\n    kept(x).await;\n}\nasync fn kept(x: &X) {}\nasync fn forgotten(x: &X) {}\n";
    assert_eq!(tests_in("src/store/conformance/x.rs", suite), ["kept"]);
    assert_eq!(tests_in("src/x.rs", "    s2_1_in_auth0: \"acme\" in Auth0;\n    profile: \"x\",\n"), ["s2_1_in_auth0"]);

    let tests: HashSet<String> = HashSet::from(["proven".to_owned()]);
    let page = |row: &str| {
        let good = LINES.iter().flat_map(|(group, count)| (1..=*count).map(move |number| format!("{group}-{number}")));
        let good: String =
            good.filter(|id| !row.starts_with(&format!("{id} "))).map(|id| format!("| {id} | x | `lib.rs` | `proven` |\n")).collect();
        format!("{good}| {row} |\n")
    };
    let with_row = |row: &str| complaints(&page(row), "waits: S0-1, S0-2.", &tests);
    for good in [
        "S0-1 | x | `lib.rs` | `proven`",
        "S0-1 | x | `tests/docs.rs`, `lib.rs` | `proven`; the rest *with rules*",
        "S0-2 | x | - | *with rules*",
        "S4-28 | x | - | [above](#above)",
        "A-1 | x | `lib.rs` | `proven`",
    ] {
        assert_eq!(with_row(good), Vec::<String>::new(), "{good}");
    }
    for (bad, about) in [
        ("S0-99 | x | `lib.rs` | `provn`", "S0-99 names no test of the program: provn"),
        ("S0-1 | x | `nowhere.rs` | `proven`", "S0-1 names no file of the program: nowhere.rs"),
        ("S0-1 | x | - | `proven`", "S0-1 does not say where it is done"),
        ("S0-1 | x | `lib.rs` | -", "S0-1 has neither a test nor a word on why not"),
        ("S0-3 | x | - | *with rules*", "S0-3 waits for something, and docs/roadmap.md does not have it"),
    ] {
        assert_eq!(with_row(bad), [about], "{bad}");
    }
    let twice = format!("{}| S0-1 | x | `lib.rs` | `proven` |\n", page("A-1 | x | `lib.rs` | `proven`"));
    assert_eq!(complaints(&twice, "", &tests), ["S0-1 has 2 rows"]);
    assert_eq!(complaints(&twice.replace("| S4-28 |", "| S4-29 |"), "", &tests), ["S0-1 has 2 rows", "S4-28 has 0 rows"]);
}
