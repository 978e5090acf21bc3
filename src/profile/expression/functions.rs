//! Functions of expressions whose work or result could be much more than what they are given, with bounds.

use cel::common::types::{CelBool, CelBytes, CelInt, CelList, CelMap, CelMapKey, CelString, INT_TYPE, LIST_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use regex_lite::RegexBuilder;

/// The name in a source, and ours, which no source can spell.
pub const BOUNDED: &[(&str, &str)] = &[
    ("replace", "@replace"),
    ("join", "@join"),
    ("split", "@split"),
    ("indexOf", "@indexOf"),
    ("lastIndexOf", "@lastIndexOf"),
    ("matches", "@matches"),
];

/// Octets of a text that is made.
const MAX_TEXT: usize = 1 << 20;
/// Texts that one text is split into.
const MAX_PARTS: usize = 20_000;
/// Octets of a compiled pattern, and of the text it is tried on.
const MAX_PATTERN: usize = 16 << 10;
const MAX_MATCHED: usize = 4 << 10;

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

pub fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let text = || STRING_TYPE;
    env.add_member_overload("@replace", "replace", text(), vec![text(), text()], replace)?;
    env.add_member_overload("@replace", "replace_n", text(), vec![text(), text(), INT_TYPE], replace)?;
    env.add_member_overload("@join", "join", LIST_TYPE, vec![], join)?;
    env.add_member_overload("@join", "join_by", LIST_TYPE, vec![text()], join)?;
    env.add_member_overload("@split", "split", text(), vec![text()], split)?;
    env.add_member_overload("@split", "split_n", text(), vec![text(), INT_TYPE], split)?;
    env.add_member_overload("@indexOf", "index_of", text(), vec![text()], index_of)?;
    env.add_member_overload("@indexOf", "index_of_from", text(), vec![text(), INT_TYPE], index_of)?;
    env.add_member_overload("@lastIndexOf", "last_index_of", text(), vec![text()], last_index_of)?;
    env.add_member_overload("@lastIndexOf", "last_index_of_from", text(), vec![text(), INT_TYPE], last_index_of)?;
    env.add_member_overload("@matches", "matches_member", text(), vec![text()], matches)?;
    env.add_overload("@matches", "matches", vec![text(), text()], matches)
}

/// Octets of a value with everything inside it, roughly.
pub fn size(value: &dyn Val) -> usize {
    /// Of a value that is not long, and of what surrounds a long one.
    const EACH: usize = 32;
    if let Some(text) = value.downcast_ref::<CelString>() {
        EACH + text.inner().len()
    } else if let Some(bytes) = value.downcast_ref::<CelBytes>() {
        EACH + bytes.inner().len()
    } else if let Some(list) = value.downcast_ref::<CelList>() {
        EACH + list.inner().iter().map(|item| size(item.as_ref())).sum::<usize>()
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        let name = |key: &CelMapKey<'_>| if let CelMapKey::String(text) = key { text.inner().len() } else { 0 };
        EACH + map.inner().iter().map(|(key, value)| EACH + name(key) + size(value.as_ref())).sum::<usize>()
    } else {
        EACH
    }
}

fn replace<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (this, from, to) = (text(&arguments, 0)?, text(&arguments, 1)?, text(&arguments, 2)?);
    let most = number(&arguments, 3).map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let found = this.matches(from).take(most).count();
    bounded("replace", found.saturating_mul(to.len()).saturating_add(this.len()))?;
    answer(this.replacen(from, to, most))
}

fn join<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let separator = if arguments.len() > 1 { text(&arguments, 1)? } else { "" };
    let list = arguments.first().and_then(|list| list.as_iterable()).ok_or_else(|| wrong("join", "takes a list"))?;
    let mut parts = Vec::new();
    let mut total = 0_usize;
    let mut items = list.iter();
    while let Some(item) = items.next() {
        let part = item.downcast_ref::<CelString>().ok_or_else(|| wrong("join", "takes texts"))?.inner();
        total = total.saturating_add(part.len()).saturating_add(separator.len());
        parts.push(part);
    }
    bounded("join", total)?;
    answer(parts.join(separator))
}

/// Into at most `n` parts where it is given, the last with the rest; an empty separator splits between characters.
fn split<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (this, separator) = (text(&arguments, 0)?, text(&arguments, 1)?);
    let most = number(&arguments, 2).map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let mut parts: Vec<Box<dyn Val + 'v>> = Vec::new();
    let mut add = |part: &str| {
        parts.push(Box::new(CelString::from(part.to_owned())));
        if parts.len() > MAX_PARTS { Err(wrong("split", "gives too many parts")) } else { Ok(()) }
    };
    if separator.is_empty() {
        let mut rest = this;
        for n in 1..=most {
            let Some(first) = rest.chars().next() else { break };
            let end = if n == most { rest.len() } else { first.len_utf8() };
            let (part, more) = rest.split_at(end);
            add(part)?;
            rest = more;
        }
    } else {
        this.splitn(most, separator).try_for_each(&mut add)?;
    }
    Ok(CowVal::owned(CelList::from(parts)))
}

/// In characters, as everywhere in CEL; -1 where there is none.
fn index_of<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (this, needle) = (text(&arguments, 0)?, text(&arguments, 1)?);
    let start = match number(&arguments, 2) {
        Some(offset) => octet_of(this, needle, offset, "indexOf")?,
        None => 0,
    };
    let found = this.get(start..).and_then(|rest| rest.find(needle)).map(|at| start + at);
    Ok(CowVal::owned(characters_before(this, found)))
}

/// The last that begins at or before the offset.
fn last_index_of<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (this, needle) = (text(&arguments, 0)?, text(&arguments, 1)?);
    let end = match number(&arguments, 2) {
        Some(offset) => {
            let end = octet_of(this, needle, offset, "lastIndexOf")?.saturating_add(needle.len()).min(this.len());
            (0..=end).rev().find(|at| this.is_char_boundary(*at)).unwrap_or(0)
        }
        None => this.len(),
    };
    let found = this.get(..end).and_then(|rest| rest.rfind(needle));
    Ok(CowVal::owned(characters_before(this, found)))
}

/// RE2 in CEL; here the same syntax without Unicode classes.
fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (this, pattern) = (text(&arguments, 0)?, text(&arguments, 1)?);
    if this.len() > MAX_MATCHED {
        return Err(wrong("matches", &format!("takes texts of {MAX_MATCHED} octets at most")));
    }
    let compiled = RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build();
    let compiled = compiled.map_err(|error| wrong("matches", &format!("the pattern cannot be used: {error}")))?;
    Ok(CowVal::owned(CelBool::from(compiled.is_match(this))))
}

fn text<'a>(arguments: &'a [CowVal<'_, '_>], at: usize) -> Result<&'a str, ExecutionError> {
    let text = arguments.get(at).and_then(|value| value.downcast_ref::<CelString>());
    text.map(|text| text.inner()).ok_or_else(|| ExecutionError::invalid_argument_count(at + 1, arguments.len()))
}

fn number(arguments: &[CowVal<'_, '_>], at: usize) -> Option<i64> {
    arguments.get(at).and_then(|value| value.downcast_ref::<CelInt>()).map(|number| *number.inner())
}

/// Where the character with this number begins. One past the end is allowed for an empty needle only.
fn octet_of(text: &str, needle: &str, offset: i64, function: &str) -> Result<usize, ExecutionError> {
    let place = usize::try_from(offset).ok();
    let octet = place.and_then(|place| text.char_indices().nth(place)).map(|(octet, _)| octet);
    match octet {
        Some(octet) => Ok(octet),
        None if place.is_some() && needle.is_empty() => Ok(text.len()),
        None => Err(wrong(function, &format!("index out of range: {offset}"))),
    }
}

fn characters_before(text: &str, octet: Option<usize>) -> CelInt {
    let place = octet.and_then(|octet| text.get(..octet)).and_then(|before| i64::try_from(before.chars().count()).ok());
    CelInt::from(place.unwrap_or(-1))
}

fn bounded(function: &str, octets: usize) -> Result<(), ExecutionError> {
    if octets > MAX_TEXT { Err(wrong(function, &format!("gives more than {MAX_TEXT} octets"))) } else { Ok(()) }
}

fn answer<'b, 'v>(text: String) -> Answer<'b, 'v> {
    Ok(CowVal::owned(CelString::from(text)))
}

fn wrong(function: &str, why: &str) -> ExecutionError {
    ExecutionError::function_error(function, why)
}
