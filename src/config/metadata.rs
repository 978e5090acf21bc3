//! `[metadata]`: which values of the free data are sealed (S0-13).

use crate::toml_file::Section;
use crate::user::sealing::SealedPath;

/// Reads the section of the root.
pub fn read(root: &Section<'_>) -> Vec<SealedPath> {
    let Some(section) = root.section("metadata") else { return Vec::new() };
    let mut paths: Vec<SealedPath> = Vec::new();
    for at in section.strings("sealed").unwrap_or_default() {
        let problem = |message: String, help: &str| section.file().problem(at.span.clone(), &at.path, message, help);
        match SealedPath::parse(at.value) {
            Err(why) => problem(format!("`{}` {why}", at.value), "write the path of one value, as in \"user_metadata.ssn\""),
            Ok(path) => match paths.iter().find(|known| known.covers(&path) || path.covers(known)) {
                Some(known) => {
                    problem(format!("`{path}` and `{known}` are one place, or one lies inside the other"), "keep one of the two")
                }
                None => paths.push(path),
            },
        }
    }
    section.finish();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_file::TomlFile;

    fn read_text(text: &str) -> (Vec<String>, Vec<(String, String)>) {
        let file = TomlFile::new("f.toml", text);
        let table = file.parse();
        let paths = read(&file.root(&table)).iter().map(ToString::to_string).collect();
        (paths, file.into_findings().problems.into_iter().map(|problem| (problem.path, problem.message)).collect())
    }

    #[test]
    fn s0_13_places_to_seal_are_read() {
        let (paths, problems) =
            read_text("[metadata]\nsealed = [\"user_metadata.ssn\", \"app_metadata.partner.key\", \"custom_fields.iban\"]");
        assert_eq!(paths, ["user_metadata.ssn", "app_metadata.partner.key", "custom_fields.iban"]);
        assert_eq!(problems, []);
    }

    #[test]
    fn other_places_and_overlaps_are_faults() {
        let text = "[metadata]\nseal = 1\nsealed = [\"profile.email\", \"user_metadata\", \"app_metadata.a\", \"app_metadata.a.b\", \"app_metadata.a\", 7]";
        let problems = read_text(text).1;
        let places: Vec<_> = problems.iter().map(|(path, _)| path.as_str()).collect();
        let expected =
            ["metadata.sealed[5]", "metadata.sealed[0]", "metadata.sealed[1]", "metadata.sealed[3]", "metadata.sealed[4]", "metadata.seal"];
        assert_eq!(places, expected);
        assert!(problems[1].1.contains("begins with none of"), "{problems:?}");
    }
}
