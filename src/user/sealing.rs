//! Free data that must not be read by everybody (S0-13): encrypted before they are stored, opened for trusted readers.
//!
//! In the store a sealed value is `{"$sealed": "<base64>"}`, encrypted under the keyring's seal key for one user and one
//! path, so that it does not open anywhere else. Nobody can write such an object: `$` is not allowed in names. The key
//! itself stays visible. Which paths are sealed is configured; whatever is found sealed is treated as sealed, configured
//! or not.

use super::metadata::Part;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::Sealer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::fmt;

/// A place in the free data, such as `user_metadata.ssn` or `app_metadata.partner.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPath {
    part: Part,
    /// Never empty.
    keys: Vec<String>,
}

impl SealedPath {
    /// Reads a dotted path; else says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut names = text.split('.');
        let part = names.next().and_then(Part::parse).ok_or("begins with none of user_metadata, app_metadata, custom_fields")?;
        let keys: Vec<String> = names.map(str::to_owned).collect();
        if keys.is_empty() {
            return Err("names a whole object; values are sealed one by one");
        }
        if keys.iter().any(|key| key.trim().is_empty() || key.contains(['$', '\0'])) {
            return Err("has a name that no metadata can have");
        }
        Ok(Self { part, keys })
    }

    /// Is the other the same place, or below this one?
    pub fn covers(&self, other: &Self) -> bool {
        self.part == other.part && other.keys.starts_with(&self.keys)
    }
}

impl fmt::Display for SealedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.part.name(), self.keys.join("."))
    }
}

/// Seals what stands in the clear at one of the paths. What is sealed already stays as it is; what is sealed below such
/// a path is sealed together with it.
pub fn seal(part: Part, object: &mut Map<String, Value>, paths: &[SealedPath], sealer: &Sealer, user_id: &str) -> Result<()> {
    for path in paths.iter().filter(|path| path.part == part) {
        let Some(value) = find(object, &path.keys).filter(|value| !is_sealed(value)) else { continue };
        let place = path.to_string();
        let mut lost = Vec::new();
        replace_below(value, &place, &mut opener(sealer, user_id, &mut lost));
        all_open(&lost)?;
        let plain =
            serde_json::to_vec(value).map_err(|error| Error::new(ErrorKind::Internal, "a value cannot be written").because(error))?;
        let sealed = sealer.seal(&context(user_id, &place), &plain)?;
        *value = Value::Object(Map::from_iter([(SEALED.to_owned(), Value::String(STANDARD.encode(sealed)))]));
    }
    Ok(())
}

/// For trusted readers: opens the sealed values of an object that has the three parts as members. What does not open
/// (it was sealed for another user or place, or by another key) is left out; the answer names these places.
#[must_use = "a value that does not open is a finding"]
pub fn open(parts: &mut Map<String, Value>, sealer: &Sealer, user_id: &str) -> Vec<String> {
    let mut lost = Vec::new();
    replace(parts, &mut opener(sealer, user_id, &mut lost));
    lost
}

/// For all other readers: leaves the sealed values out.
pub fn strip(parts: &mut Map<String, Value>) {
    replace(parts, &mut |_, _| None);
}

/// For people who look: `(sealed)` in place of each value.
pub fn mark(parts: &mut Map<String, Value>) {
    replace(parts, &mut |_, _| Some(Value::from(MARK)));
}

/// What a reader sees of an effective profile: everything, if it is trusted, else nothing that is sealed. The answer
/// names the places that do not open.
#[must_use = "a value that does not open is a finding"]
pub fn open_or_strip(profile: &mut Map<String, Value>, trusted: bool, sealer: &Sealer, user_id: &str) -> Vec<String> {
    if trusted {
        return open(profile, sealer, user_id);
    }
    strip(profile);
    Vec::new()
}

/// Opens the values of one part and says where they were; an error where one does not open.
pub fn open_part(part: Part, object: &mut Map<String, Value>, sealer: &Sealer, user_id: &str) -> Result<Vec<SealedPath>> {
    let mut found = Vec::new();
    let mut parts = Map::from_iter([(part.name().to_owned(), Value::Object(std::mem::take(object)))]);
    let places = |path: &str, found: &mut Vec<SealedPath>| found.extend(SealedPath::parse(path));
    replace(&mut parts, &mut |path, sealed| {
        places(path, &mut found);
        Some(Value::Object(sealed.clone()))
    });
    all_open(&open(&mut parts, sealer, user_id))?;
    if let Some(Value::Object(opened)) = parts.shift_remove(part.name()) {
        *object = opened;
    }
    Ok(found)
}

/// Seals the values of one part for another user.
pub fn reseal(part: Part, object: &mut Map<String, Value>, sealer: &Sealer, from: &str, to: &str) -> Result<()> {
    let places = open_part(part, object, sealer, from)?;
    seal(part, object, &places, sealer, to)
}

/// Does a part hold sealed values?
pub fn has_sealed(value: &Value) -> bool {
    match value {
        Value::Object(members) => is_sealed(value) || members.values().any(has_sealed),
        Value::Array(items) => items.iter().any(has_sealed),
        _ => false,
    }
}

fn is_sealed(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.contains_key(SEALED))
}

fn find<'o>(object: &'o mut Map<String, Value>, keys: &[String]) -> Option<&'o mut Value> {
    let (first, rest) = keys.split_first()?;
    let value = object.get_mut(first)?;
    if rest.is_empty() { Some(value) } else { find(value.as_object_mut()?, rest) }
}

/// User ids and names have no NUL character, so no two places have the same context.
fn context(user_id: &str, path: &str) -> String {
    format!("users\0{user_id}\0{path}")
}

/// Opens, and notes what does not open.
fn opener<'a>(
    sealer: &'a Sealer,
    user_id: &'a str,
    lost: &'a mut Vec<String>,
) -> impl FnMut(&str, &Map<String, Value>) -> Option<Value> + 'a {
    move |path, sealed| {
        let opened = opened(sealed, sealer, &context(user_id, path));
        if opened.is_none() {
            lost.push(path.to_owned());
        }
        opened
    }
}

fn all_open(lost: &[String]) -> Result<()> {
    match lost.first() {
        Some(place) => {
            Err(Error::new(ErrorKind::Conflict, format!("The sealed value {place} does not open, so it cannot be sealed anew.")))
        }
        None => Ok(()),
    }
}

fn opened(sealed: &Map<String, Value>, sealer: &Sealer, context: &str) -> Option<Value> {
    let bytes = STANDARD.decode(sealed.get(SEALED)?.as_str()?).ok()?;
    serde_json::from_slice(&sealer.open(context, &bytes).ok()?).ok()
}

/// What becomes of a sealed value at a path; `None` leaves it out.
type Replacement<'f> = dyn FnMut(&str, &Map<String, Value>) -> Option<Value> + 'f;

/// Replaces the sealed values in the three parts. A part that becomes empty by that is left out.
fn replace(parts: &mut Map<String, Value>, with: &mut Replacement<'_>) {
    for part in Part::ALL {
        let Some(value) = parts.get_mut(part.name()).filter(|value| has_sealed(value)) else { continue };
        replace_below(value, part.name(), with);
        if value.as_object().is_some_and(Map::is_empty) {
            parts.shift_remove(part.name());
        }
    }
}

/// Stored data are at most [`super::metadata::MAX_LEVELS`] deep, which bounds the recursion.
fn replace_below(value: &mut Value, path: &str, with: &mut Replacement<'_>) {
    let mut keep = |value: &mut Value, path: &str| {
        if let Some(sealed) = value.as_object().filter(|members| members.contains_key(SEALED)) {
            let Some(other) = with(path, sealed) else { return false };
            *value = other;
        } else {
            replace_below(value, path, with);
        }
        true
    };
    match value {
        Value::Object(members) => members.retain(|name, value| keep(value, &format!("{path}.{name}"))),
        // Nothing is sealed inside a list; what says that it is does not open.
        Value::Array(items) => items.retain_mut(|item| keep(item, &format!("{path}.$"))),
        _ => {}
    }
}

const SEALED: &str = "$sealed";
const MARK: &str = "(sealed)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use serde_json::json;

    fn sealer() -> Sealer {
        Sealer::new(&Secret::new(vec![7; 32])).expect("a sealer")
    }

    fn paths(texts: &[&str]) -> Vec<SealedPath> {
        texts.iter().map(|text| SealedPath::parse(text).expect("a path")).collect()
    }

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(members) => members,
            other => panic!("{other} is no object"),
        }
    }

    /// The three parts with two sealed values.
    fn stored(user_id: &str) -> Map<String, Value> {
        let mut user = object(json!({"ssn": "078-05-1120", "theme": "dark"}));
        let mut app = object(json!({"partner": {"key": {"id": 7, "text": "k"}, "name": "Acme"}}));
        let paths = paths(&["user_metadata.ssn", "app_metadata.partner.key", "app_metadata.nothing.here"]);
        seal(Part::UserMetadata, &mut user, &paths, &sealer(), user_id).expect("sealed");
        seal(Part::AppMetadata, &mut app, &paths, &sealer(), user_id).expect("sealed");
        object(json!({"name": "Jane", "user_metadata": user, "app_metadata": app}))
    }

    fn opened_for(mut parts: Map<String, Value>, user_id: &str) -> (Value, Vec<String>) {
        let lost = open(&mut parts, &sealer(), user_id);
        (Value::Object(parts), lost)
    }

    #[test]
    fn s0_13_a_sealed_value_cannot_be_read_in_the_store_and_its_key_can() {
        let text = Value::Object(stored("u1")).to_string();
        assert!(!text.contains("078") && !text.contains("\"k\""), "{text}");
        assert!(text.contains("\"ssn\":{\"$sealed\":\"") && text.contains("\"theme\":\"dark\"") && text.contains("\"Acme\""), "{text}");
    }

    #[test]
    fn s0_13_it_opens_for_trusted_readers_and_is_absent_for_others() {
        let (parts, lost) = opened_for(stored("u1"), "u1");
        let plain = json!({"name": "Jane", "user_metadata": {"ssn": "078-05-1120", "theme": "dark"},
            "app_metadata": {"partner": {"key": {"id": 7, "text": "k"}, "name": "Acme"}}});
        assert_eq!((&parts, lost), (&plain, vec![]));
        let without = json!({"name": "Jane", "user_metadata": {"theme": "dark"}, "app_metadata": {"partner": {"name": "Acme"}}});
        let mut profile = stored("u1");
        assert_eq!(open_or_strip(&mut profile, false, &sealer(), "u1"), Vec::<String>::new());
        assert_eq!(Value::Object(profile), without);
        let mut profile = stored("u1");
        assert_eq!(open_or_strip(&mut profile, true, &sealer(), "u1"), Vec::<String>::new());
        assert_eq!(Value::Object(profile), plain);
    }

    #[test]
    fn a_part_with_nothing_but_sealed_values_is_absent_for_others() {
        let mut user = object(json!({"ssn": 1}));
        seal(Part::UserMetadata, &mut user, &paths(&["user_metadata.ssn"]), &sealer(), "u1").expect("sealed");
        let mut parts = object(json!({"user_metadata": user}));
        strip(&mut parts);
        assert_eq!(Value::Object(parts), json!({}));
    }

    #[test]
    fn s0_13_a_value_moved_to_another_user_or_place_does_not_open() {
        let (parts, lost) = opened_for(stored("u1"), "u2");
        assert_eq!(lost, ["user_metadata.ssn", "app_metadata.partner.key"]);
        assert_eq!(parts, json!({"name": "Jane", "user_metadata": {"theme": "dark"}, "app_metadata": {"partner": {"name": "Acme"}}}));
        let mut moved = stored("u1");
        let value = moved["user_metadata"]["ssn"].clone();
        moved["user_metadata"]["theme"] = value.clone();
        moved["app_metadata"]["list"] = json!([value]);
        let (parts, lost) = opened_for(moved, "u1");
        assert_eq!(lost, ["user_metadata.theme", "app_metadata.list.$"]);
        assert_eq!(parts["user_metadata"], json!({"ssn": "078-05-1120"}));
    }

    #[test]
    fn what_is_sealed_stays_as_it_is_and_a_damaged_value_is_lost() {
        let mut parts = stored("u1");
        let before = parts["user_metadata"].clone();
        let user = parts["user_metadata"].as_object_mut().expect("an object");
        seal(Part::UserMetadata, user, &paths(&["user_metadata.ssn"]), &sealer(), "u1").expect("sealed");
        assert_eq!(parts["user_metadata"].to_string(), before.to_string());
        for damaged in [json!({"$sealed": 7}), json!({"$sealed": "!"}), json!({"$sealed": "AAAA"})] {
            parts["user_metadata"]["ssn"] = damaged;
            assert_eq!(opened_for(parts.clone(), "u1").1, ["user_metadata.ssn"]);
        }
    }

    #[test]
    fn a_wider_path_takes_in_what_was_sealed_below_it() {
        let mut app = object(stored("u1")["app_metadata"].clone());
        seal(Part::AppMetadata, &mut app, &paths(&["app_metadata.partner"]), &sealer(), "u1").expect("sealed");
        assert!(is_sealed(&app["partner"]));
        let (parts, lost) = opened_for(object(json!({ "app_metadata": app })), "u1");
        assert_eq!((parts, lost), (json!({"app_metadata": {"partner": {"key": {"id": 7, "text": "k"}, "name": "Acme"}}}), vec![]));
        let mut foreign = object(stored("u2")["app_metadata"].clone());
        assert!(seal(Part::AppMetadata, &mut foreign, &paths(&["app_metadata.partner"]), &sealer(), "u1").is_err());
    }

    #[test]
    fn resealed_for_another_user_it_opens_there_and_only_there() {
        let mut user = object(stored("u1")["user_metadata"].clone());
        reseal(Part::UserMetadata, &mut user, &sealer(), "u1", "u2").expect("sealed anew");
        let parts = object(json!({"user_metadata": user}));
        assert_eq!(opened_for(parts.clone(), "u1").1, ["user_metadata.ssn"]);
        assert_eq!(opened_for(parts, "u2").0, json!({"user_metadata": {"ssn": "078-05-1120", "theme": "dark"}}));
        let mut user = object(stored("u1")["user_metadata"].clone());
        assert!(reseal(Part::UserMetadata, &mut user, &sealer(), "u3", "u2").is_err());
    }

    #[test]
    fn people_who_look_see_that_there_is_something() {
        let mut parts = stored("u1");
        assert!(has_sealed(&parts["app_metadata"]));
        mark(&mut parts);
        assert_eq!(parts["user_metadata"], json!({"ssn": "(sealed)", "theme": "dark"}));
        assert!(!has_sealed(&Value::Object(parts)));
    }

    #[test]
    fn paths_are_read_strictly() {
        for text in ["profile.x", "user_metadata", "user_metadata.", "user_metadata..x", "user_metadata.$x", "", "ssn"] {
            assert!(SealedPath::parse(text).is_err(), "{text}");
        }
        let [outer, inner, sibling] =
            ["app_metadata.a", "app_metadata.a.b", "app_metadata.ab"].map(|text| SealedPath::parse(text).expect("a path"));
        assert!(outer.covers(&inner) && !inner.covers(&outer) && !outer.covers(&sibling));
        assert_eq!(SealedPath::parse("custom_data.iban").expect("an alias").to_string(), "custom_fields.iban");
    }
}
