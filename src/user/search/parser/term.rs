//! What stands after the colon, and what it means for the field before it.

use super::{Reader, Result};
use crate::user::folded;
use crate::user::metadata::Part;
use crate::user::search::field::{FlagField, MetadataPath, Named, TextField, named};
use crate::user::search::{Filter, Pattern, Range, SearchError, Test, ValueTest, counting, date};
use std::ops::Bound;

/// A pattern that begins with a gap needs this many characters in one of its literals.
const SHORTEST_INNER: usize = 3;

/// Gaps in one pattern.
const MOST_GAPS: usize = 8;

/// What a term asks of its field, before the field has its say.
enum Asked {
    Text(String),
    Like(Pattern),
    /// A `*` alone.
    Anything,
    Within(Range<String>),
}

impl Reader {
    /// A value of a field.
    pub(super) fn value(&mut self, field: &Named) -> Result<Filter> {
        let begin = self.at;
        self.count_term(begin)?;
        let asked = self.asked()?;
        filter(field, asked).map_err(|message| SearchError::at(begin, message))
    }

    /// A value without a field.
    pub(super) fn without_field(&mut self) -> Result<Filter> {
        let begin = self.at;
        self.count_term(begin)?;
        Ok(match self.asked()? {
            Asked::Text(text) => Filter::Anywhere(Test::Is(text)),
            Asked::Like(pattern) => Filter::Anywhere(Test::Like(pattern)),
            Asked::Anything => Filter::All(Vec::new()),
            Asked::Within(_) => return Err(SearchError::at(begin, "a range needs a field before it")),
        })
    }

    /// `_exists_:field`.
    pub(super) fn exists(&mut self) -> Result<Filter> {
        let begin = self.at;
        self.count_term(begin)?;
        let Asked::Text(name) = self.asked()? else {
            return Err(SearchError::at(begin, "_exists_ needs the name of a field"));
        };
        let field = named(&name).map_err(|message| SearchError::at(begin, message))?;
        Ok(filter(&field, Asked::Anything).unwrap_or(Filter::All(Vec::new())))
    }

    /// `*:*`.
    pub(super) fn everything(&mut self) -> Result<Filter> {
        let begin = self.at;
        self.count_term(begin)?;
        match self.asked()? {
            Asked::Anything => Ok(Filter::All(Vec::new())),
            _ => Err(SearchError::at(begin, "the name of a field holds no wildcard")),
        }
    }

    fn asked(&mut self) -> Result<Asked> {
        let asked = match self.peek() {
            Some('"') => Asked::Text(self.phrase()?),
            Some('[' | '{') => Asked::Within(self.range()?),
            Some('<' | '>') => return Err(self.wrong("a comparison is written as a range, such as [10 TO *]")),
            Some('/') => return Err(self.wrong("regular expressions are not supported; a / at the beginning of a value is written \\/")),
            _ => self.word()?,
        };
        self.no_suffix()?;
        Ok(asked)
    }

    /// A term ends where it ends: fuzzy and weighted terms are not for a search without ranks.
    pub(super) fn no_suffix(&self) -> Result<()> {
        match self.peek() {
            Some('~') => Err(self.wrong("fuzzy terms are not supported; a ~ in a value is written \\~")),
            Some('^') => Err(self.wrong("weights are not supported; a ^ in a value is written \\^")),
            _ => Ok(()),
        }
    }

    /// From quote to quote; a backslash takes the next character for itself.
    fn phrase(&mut self) -> Result<String> {
        let open = self.at;
        let mut text = String::new();
        loop {
            self.at += 1;
            match self.peek() {
                None => return Err(SearchError::at(open, "this quotation mark is not closed")),
                Some('"') => break,
                Some('\\') => {
                    self.at += 1;
                    text.extend(self.peek());
                }
                Some(letter) => text.push(letter),
            }
        }
        self.at += 1;
        Ok(text)
    }

    /// Text up to a blank or a parenthesis, perhaps with gaps.
    fn word(&mut self) -> Result<Asked> {
        let begin = self.at;
        let mut literals = vec![String::new()];
        loop {
            let after_gap = literals.len() > 1 && literals.last().is_some_and(String::is_empty);
            let literal = literals.last_mut();
            match self.peek() {
                None | Some('(' | ')' | '"' | '~' | '^') => break,
                Some(letter) if letter.is_whitespace() => break,
                Some(letter @ ('[' | ']' | '{' | '}')) => return Err(self.wrong(format!("in a value a {letter} is written \\{letter}"))),
                Some('?') => return Err(self.wrong("? is no wildcard here; the character itself is written \\?")),
                Some('*') if after_gap => {}
                Some('*') => literals.push(String::new()),
                Some('\\') => {
                    self.at += 1;
                    let Some(letter) = self.peek() else { return Err(self.wrong("a backslash needs a character after it")) };
                    literal.into_iter().for_each(|literal| literal.push(letter));
                }
                Some(letter) => literal.into_iter().for_each(|literal| literal.push(letter)),
            }
            self.at += 1;
        }
        if self.at == begin {
            return Err(self.wrong("a value is missing here"));
        }
        gaps(literals).map_err(|message| SearchError::at(begin, message))
    }

    /// `[a TO b]` and its kin.
    fn range(&mut self) -> Result<Range<String>> {
        let open = self.at;
        let with_first = self.peek() == Some('[');
        self.at += 1;
        let from = self.bound(open)?;
        self.blanks();
        if !self.operator(&["TO"]) {
            return Err(self.wrong("a range is written [a TO b]"));
        }
        let to = self.bound(open)?;
        self.blanks();
        let with_last = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            None => return Err(SearchError::at(open, "this range is not closed")),
            Some(_) => return Err(self.wrong("a range is written [a TO b]")),
        };
        self.at += 1;
        let bound = |text: Option<String>, with: bool| match text {
            None => Bound::Unbounded,
            Some(text) if with => Bound::Included(text),
            Some(text) => Bound::Excluded(text),
        };
        Ok(Range { from: bound(from, with_first), to: bound(to, with_last) })
    }

    /// One end of a range; `None` for a `*`.
    fn bound(&mut self, open: usize) -> Result<Option<String>> {
        self.blanks();
        if self.peek() == Some('"') {
            return self.phrase().map(Some);
        }
        let begin = self.at;
        let (mut text, mut gap) = (String::new(), false);
        loop {
            match self.peek() {
                None => return Err(SearchError::at(open, "this range is not closed")),
                Some(']' | '}') => break,
                Some(letter) if letter.is_whitespace() => break,
                Some('*') => gap = true,
                Some('\\') => {
                    self.at += 1;
                    text.extend(self.peek());
                }
                Some(letter) => text.push(letter),
            }
            self.at += 1;
        }
        match (gap, text.is_empty()) {
            (true, true) => Ok(None),
            (true, false) => Err(SearchError::at(begin, "the end of a range is a value or a * alone")),
            (false, true) => Err(SearchError::at(begin, "the end of a range is missing; an open one is written *")),
            (false, false) => Ok(Some(text)),
        }
    }
}

fn gaps(mut literals: Vec<String>) -> std::result::Result<Asked, String> {
    if literals.len() == 1 {
        return Ok(Asked::Text(literals.pop().unwrap_or_default()));
    }
    if literals.iter().all(String::is_empty) {
        return Ok(Asked::Anything);
    }
    if literals.len() > MOST_GAPS + 1 {
        return Err(format!("a value has at most {MOST_GAPS} wildcards"));
    }
    let longest = literals.iter().map(|literal| literal.chars().count()).max().unwrap_or(0);
    if literals.first().is_some_and(String::is_empty) && longest < SHORTEST_INNER {
        return Err(format!("a wildcard at the beginning needs at least {SHORTEST_INNER} characters after it"));
    }
    Ok(Asked::Like(Pattern { literals }))
}

/// What the field makes of it; the error is a sentence.
fn filter(field: &Named, asked: Asked) -> std::result::Result<Filter, String> {
    let everybody = || Filter::All(Vec::new());
    Ok(match field {
        Named::Text(field) => Filter::Text(*field, text_test(asked, Some(*field))),
        Named::Identity(field) => Filter::Identity(*field, text_test(asked, None)),
        Named::Identities => return Err("identities needs a member, such as identities.connection".into()),
        Named::Flag(field) => match asked {
            Asked::Anything => everybody(),
            asked => Filter::Flag(*field, flag(&asked, flag_name(*field))?),
        },
        Named::IsSocial => match asked {
            Asked::Anything => everybody(),
            asked => Filter::IsSocial(flag(&asked, "identities.isSocial")?),
        },
        Named::Time(field) => Filter::Time(*field, time_range(asked)?),
        Named::LoginsCount => Filter::LoginsCount(count_range(asked)?),
        Named::Metadata(path) => Filter::Metadata(path.clone(), value_test(path, asked)?),
    })
}

/// Subjects, like user ids, count as a whole.
fn text_test(asked: Asked, field: Option<TextField>) -> Test<String> {
    let ignores_case = field.is_some_and(TextField::ignores_case);
    let fold = |text: String| if ignores_case { folded(&text) } else { text };
    match asked {
        Asked::Text(text) => Test::Is(match field {
            Some(field) => field.compared(&text),
            None => text,
        }),
        Asked::Like(pattern) => Test::Like(if ignores_case { pattern.folded() } else { pattern }),
        Asked::Anything => Test::Exists,
        Asked::Within(range) => Test::Within(Range { from: range.from.map(fold), to: range.to.map(fold) }),
    }
}

fn flag(asked: &Asked, name: &str) -> std::result::Result<bool, String> {
    match asked {
        Asked::Text(text) if text == "true" => Ok(true),
        Asked::Text(text) if text == "false" => Ok(false),
        _ => Err(format!("{name} is true or false")),
    }
}

const fn flag_name(field: FlagField) -> &'static str {
    match field {
        FlagField::Blocked => "blocked",
        FlagField::EmailVerified => "email_verified",
        FlagField::PhoneVerified => "phone_verified",
    }
}

/// A date names a span of time: a bound with it lies at its far end, one without at its near end.
fn time_range(asked: Asked) -> std::result::Result<Range<i64>, String> {
    let span = |text: &str| date::span(text).ok_or_else(|| format!("{text} is no date, such as 2017-12-31 or 2017-12-31T23:59:59Z"));
    Ok(match asked {
        Asked::Anything => Range::ALL,
        Asked::Like(_) => return Err("a date cannot be searched with a wildcard; 2017-12 means the whole month".into()),
        Asked::Text(text) => {
            let (begin, end) = span(&text)?;
            Range { from: Bound::Included(begin), to: Bound::Excluded(end) }
        }
        Asked::Within(range) => Range {
            from: match range.from {
                Bound::Included(text) => Bound::Included(span(&text)?.0),
                Bound::Excluded(text) => Bound::Included(span(&text)?.1),
                Bound::Unbounded => Bound::Unbounded,
            },
            to: match range.to {
                Bound::Included(text) => Bound::Excluded(span(&text)?.1),
                Bound::Excluded(text) => Bound::Excluded(span(&text)?.0),
                Bound::Unbounded => Bound::Unbounded,
            },
        },
    })
}

fn count_range(asked: Asked) -> std::result::Result<Range<i64>, String> {
    let count = |text: &str| text.parse::<i64>().map_err(|_| format!("{text} is no whole number"));
    Ok(match asked {
        Asked::Anything => Range::ALL,
        Asked::Like(_) => return Err("a number cannot be searched with a wildcard".into()),
        Asked::Text(text) => {
            let count = count(&text)?;
            Range { from: Bound::Included(count), to: Bound::Included(count) }
        }
        Asked::Within(range) => both(range, count)?,
    })
}

fn value_test(path: &MetadataPath, asked: Asked) -> std::result::Result<ValueTest, String> {
    let name = path.which.name();
    if path.is_whole() && !matches!(asked, Asked::Anything) {
        return Err(format!("{name} needs a member, such as {name}.plan"));
    }
    let refused = path.which == Part::UserMetadata;
    Ok(match asked {
        Asked::Anything => ValueTest::Exists,
        Asked::Text(text) => ValueTest::Is(counting(&text).to_owned()),
        Asked::Like(_) if refused => return Err(format!("{name} cannot be searched with a wildcard")),
        Asked::Within(_) if refused => return Err(format!("{name} cannot be searched with a range")),
        Asked::Like(pattern) => ValueTest::Like(pattern),
        Asked::Within(range) => match both(range.clone(), number) {
            Ok(numbers) => ValueTest::Numbers(numbers),
            Err(()) => ValueTest::Texts(range),
        },
    })
}

/// A number that is one: `inf` and `nan` are texts.
fn number(text: &str) -> std::result::Result<f64, ()> {
    text.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or(())
}

fn both<T, E>(range: Range<String>, read: impl Fn(&str) -> std::result::Result<T, E>) -> std::result::Result<Range<T>, E> {
    let bound = |bound: Bound<String>| match bound {
        Bound::Included(text) => read(&text).map(Bound::Included),
        Bound::Excluded(text) => read(&text).map(Bound::Excluded),
        Bound::Unbounded => Ok(Bound::Unbounded),
    };
    Ok(Range { from: bound(range.from)?, to: bound(range.to)? })
}
