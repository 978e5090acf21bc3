//! One term: where its rows are, and what must hold of them.

use super::{Bound, Statement, text};
use crate::store::directory::connect::Backend;
use crate::user::search::{FlagField, IdentityField, Pattern, Range, Test, TextField, TimeField, ValueTest};
use std::ops::Bound as End;

/// The later of the last change and the last login, of `u` and `a`.
pub(super) const UPDATED_AT: &str = "CASE WHEN u.updated_at < a.last_login THEN a.last_login ELSE u.updated_at END";

pub(super) enum Term<'f> {
    Text(TextField, &'f Test<String>),
    /// One of several texts. Not one term each: SQLite puts no more than 500 sets together.
    Texts(Vec<(TextField, Test<String>)>),
    Flag(FlagField, bool),
    Time(TimeField, &'f Range<i64>),
    LoginsCount(&'f Range<i64>),
    Identity(IdentityField, &'f Test<String>),
    IsSocial(bool),
    Value(&'f str, Value<'f>),
}

/// What is asked of a value in metadata, by the column that answers.
pub(super) enum Value<'f> {
    Exists,
    Is(&'f str),
    IsNumber(f64),
    Like(&'f Pattern),
    Numbers(&'f Range<f64>),
    Texts(&'f Range<String>),
}

impl<'f> Term<'f> {
    /// A value may be asked for in two columns.
    pub(super) fn of_values(path: &'f str, test: &'f ValueTest) -> Vec<Self> {
        let value = |value| Self::Value(path, value);
        match test {
            ValueTest::Exists => vec![value(Value::Exists)],
            ValueTest::Is(text) => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite()).map(|number| value(Value::IsNumber(number)));
                [value(Value::Is(text))].into_iter().chain(number).collect()
            }
            ValueTest::Like(pattern) => vec![value(Value::Like(pattern))],
            ValueTest::Numbers(range) => vec![value(Value::Numbers(range))],
            ValueTest::Texts(range) => vec![value(Value::Texts(range))],
        }
    }

    /// As [`super::rank`].
    pub(super) fn rank(&self) -> Option<u8> {
        let bounded = |open: bool| (!open).then_some(3);
        match self {
            Self::Text(TextField::PhoneNumber | TextField::Picture, _) => None,
            Self::Text(_, test) => of_text(test),
            Self::Texts(texts) => texts.iter().map(|(_, test)| of_text(test)).max().flatten(),
            Self::Identity(IdentityField::Connection, Test::Is(_)) | Self::Flag(FlagField::Blocked, true) => Some(4),
            Self::Time(TimeField::CreatedAt | TimeField::LastLogin, range) | Self::LoginsCount(range) => bounded(**range == Range::ALL),
            Self::Value(_, Value::Is(_) | Value::IsNumber(_)) => Some(1),
            Self::Value(_, Value::Like(pattern)) => bounded(pattern.prefix().is_empty()),
            Self::Value(_, Value::Numbers(_) | Value::Texts(_)) => Some(3),
            Self::Value(_, Value::Exists)
            | Self::Flag(..)
            | Self::Time(TimeField::UpdatedAt, _)
            | Self::Identity(..)
            | Self::IsSocial(_) => None,
        }
    }

    /// The ids of the users of whom it holds.
    pub(super) fn set(&self, sql: &mut Statement) {
        sql.push("SELECT n.user_id FROM ");
        sql.push(self.source());
        sql.push(" n WHERE ");
        self.condition(sql, "n.");
    }

    /// That it holds of `s`.
    pub(super) fn holds(&self, sql: &mut Statement) {
        self.of_s(sql);
        sql.push(" IS TRUE");
    }

    /// That it does not hold of `s`, or cannot, as there is nothing.
    pub(super) fn fails(&self, sql: &mut Statement) {
        self.of_s(sql);
        sql.push(" IS NOT TRUE");
    }

    /// In parentheses. What comes after them keeps databases from making joins of an EXISTS: PostgreSQL plans a hundred
    /// joins for seconds, and SQLite (3.51) then counts a user with several such rows several times toward OFFSET.
    fn of_s(&self, sql: &mut Statement) {
        sql.push("(");
        if self.is_of_s() {
            self.condition(sql, "s.");
        } else if let Self::Time(TimeField::UpdatedAt, range) = self {
            sql.push("EXISTS (SELECT 1 FROM users u JOIN search_activity a ON a.user_id = u.user_id WHERE u.user_id = s.user_id AND ");
            within(sql, range, |sql| sql.push(UPDATED_AT), |number| Bound::Whole(*number));
            sql.push(")");
        } else {
            sql.push("EXISTS (SELECT 1 FROM ");
            sql.push(self.source());
            sql.push(" n WHERE n.user_id = s.user_id AND ");
            self.condition(sql, "n.");
            sql.push(")");
        }
        sql.push(")");
    }

    /// Is it about a column of `search_users`?
    fn is_of_s(&self) -> bool {
        self.source() == "search_users"
    }

    fn source(&self) -> &'static str {
        match self {
            Self::Text(..) | Self::Texts(_) | Self::Flag(FlagField::EmailVerified | FlagField::PhoneVerified, _) => "search_users",
            Self::Flag(FlagField::Blocked, _) | Self::Time(TimeField::CreatedAt | TimeField::UpdatedAt, _) => "users",
            Self::Time(TimeField::LastLogin, _) | Self::LoginsCount(_) => "search_activity",
            Self::Identity(..) | Self::IsSocial(_) => "identities",
            Self::Value(..) => "search_values",
        }
    }

    /// Of a row that goes by this name.
    fn condition(&self, sql: &mut Statement, row: &'static str) {
        match self {
            Self::Text(field, test) => text_passes(sql, row, *field, test),
            Self::Texts(texts) => {
                for (place, (field, test)) in texts.iter().enumerate() {
                    sql.push(if place == 0 { "((" } else { ") OR (" });
                    text_passes(sql, row, *field, test);
                }
                sql.push("))");
            }
            Self::Identity(field, test) => {
                let name = match field {
                    IdentityField::Connection => "connection",
                    IdentityField::Provider => "provider",
                    IdentityField::UserId => "subject",
                };
                column_passes(sql, Column { row, name, foreign: true }, test);
            }
            Self::Flag(field, flag) => {
                sql.push(row);
                // Written out, so that the index of those who are blocked can be used.
                sql.push(match (field, flag) {
                    (FlagField::Blocked, true) => "blocked = 1",
                    (FlagField::Blocked, false) => "blocked = 0",
                    (FlagField::EmailVerified, true) => "email_verified = 1",
                    (FlagField::EmailVerified, false) => "email_verified = 0",
                    (FlagField::PhoneVerified, true) => "phone_verified = 1",
                    (FlagField::PhoneVerified, false) => "phone_verified = 0",
                });
            }
            Self::IsSocial(social) => {
                sql.push(row);
                sql.push("is_social = ");
                sql.bind(Bound::Whole(i64::from(*social)));
            }
            Self::Time(TimeField::LastLogin, range) => {
                sql.push(row);
                sql.push("last_login <> 0 AND ");
                numbers(sql, row, "last_login", range);
            }
            Self::Time(_, range) => numbers(sql, row, "created_at", range),
            Self::LoginsCount(range) => numbers(sql, row, "logins_count", range),
            Self::Value(path, value) => value_passes(sql, row, path, value),
        }
    }
}

/// The column of `search_users`.
pub(super) const fn column(field: TextField) -> &'static str {
    match field {
        TextField::UserId => "user_id",
        TextField::Email => "email",
        TextField::EmailDomain => "domain",
        TextField::Name => "name",
        TextField::GivenName => "given_name",
        TextField::FamilyName => "family_name",
        TextField::Nickname => "nickname",
        TextField::Username => "username",
        TextField::PhoneNumber => "phone_number",
        TextField::Picture => "picture",
    }
}

fn of_text(test: &Test<String>) -> Option<u8> {
    match test {
        Test::Is(_) => Some(0),
        Test::Like(pattern) => (!pattern.prefix().is_empty()).then_some(2),
        Test::Within(range) => (*range != Range::ALL).then_some(3),
        Test::Exists => None,
    }
}

#[derive(Clone, Copy)]
struct Column {
    row: &'static str,
    name: &'static str,
    /// It sorts as the database does, and not by octets.
    foreign: bool,
}

impl Column {
    fn push(self, sql: &mut Statement) {
        sql.push(self.row);
        sql.push(self.name);
    }

    /// For comparing by octets.
    fn push_in_order(self, sql: &mut Statement) {
        self.push(sql);
        if self.foreign {
            sql.push_collation();
        }
    }
}

fn text_passes(sql: &mut Statement, row: &'static str, field: TextField, test: &Test<String>) {
    column_passes(sql, Column { row, name: column(field), foreign: field == TextField::UserId }, test);
}

fn column_passes(sql: &mut Statement, column: Column, test: &Test<String>) {
    match test {
        Test::Is(wanted) => {
            column.push(sql);
            sql.push(" = ");
            sql.bind(text(wanted));
        }
        Test::Like(pattern) => like(sql, column, pattern),
        Test::Within(range) => {
            // Where both ends are open there is still a text.
            column.push(sql);
            sql.push(" IS NOT NULL AND ");
            within(sql, range, |sql| column.push_in_order(sql), |end| text(end));
        }
        Test::Exists => {
            column.push(sql);
            sql.push(" IS NOT NULL");
        }
    }
}

fn value_passes(sql: &mut Statement, row: &'static str, path: &str, value: &Value<'_>) {
    sql.push("(");
    sql.push(row);
    sql.push("path = ");
    sql.bind(text(path));
    let texts = Column { row, name: "text", foreign: false };
    match value {
        Value::Exists => {
            sql.push(" OR ");
            // `/` follows `.`: everything that begins with the path and a dot.
            let below = Range { from: End::Included(format!("{path}.")), to: End::Excluded(format!("{path}/")) };
            within(sql, &below, |sql| Column { row, name: "path", foreign: false }.push(sql), |end| text(end));
        }
        Value::Is(wanted) => {
            sql.push(" AND ");
            column_passes(sql, texts, &Test::Is((*wanted).to_owned()));
        }
        Value::IsNumber(number) => {
            sql.push(" AND ");
            sql.push(row);
            sql.push("number = ");
            sql.bind(Bound::Number(*number));
        }
        Value::Like(pattern) => {
            sql.push(" AND ");
            like(sql, texts, pattern);
        }
        Value::Numbers(range) => {
            sql.push(" AND ");
            sql.push(row);
            sql.push("number IS NOT NULL AND ");
            let number = |sql: &mut Statement| Column { row, name: "number", foreign: false }.push(sql);
            within(sql, range, number, |end| Bound::Number(*end));
        }
        Value::Texts(range) => {
            sql.push(" AND ");
            sql.push(row);
            sql.push("number IS NULL AND ");
            within(sql, range, |sql| texts.push(sql), |end| text(end));
        }
    }
    sql.push(")");
}

fn numbers(sql: &mut Statement, row: &'static str, name: &'static str, range: &Range<i64>) {
    within(sql, range, |sql| Column { row, name, foreign: false }.push(sql), |end| Bound::Whole(*end));
}

fn within<T>(sql: &mut Statement, range: &Range<T>, column: impl Fn(&mut Statement), bound: impl Fn(&T) -> Bound) {
    let ends = [(&range.from, [" >= ", " > "]), (&range.to, [" <= ", " < "])];
    let mut several = false;
    sql.push("(");
    for (end, [with, without]) in ends {
        let (value, comparison) = match end {
            End::Included(value) => (value, with),
            End::Excluded(value) => (value, without),
            End::Unbounded => continue,
        };
        if several {
            sql.push(" AND ");
        }
        several = true;
        column(sql);
        sql.push(comparison);
        sql.bind(bound(value));
    }
    if !several {
        sql.push("1 = 1");
    }
    sql.push(")");
}

/// The beginning as a range, which an index can answer, and the rest in the words of the database.
fn like(sql: &mut Statement, column: Column, pattern: &Pattern) {
    let prefix = pattern.prefix();
    if !prefix.is_empty() {
        let to = successor(prefix).map_or(End::Unbounded, End::Excluded);
        within(sql, &Range { from: End::Included(prefix.to_owned()), to }, |sql| column.push_in_order(sql), |end| text(end));
    }
    if pattern.is_prefix() && !prefix.is_empty() {
        return;
    }
    if !prefix.is_empty() {
        sql.push(" AND ");
    }
    column.push(sql);
    match sql.backend {
        Backend::Sqlite => {
            sql.push(" GLOB ");
            sql.bind(text(&escaped(pattern, "*", |letter| match letter {
                '*' => Some("[*]"),
                '?' => Some("[?]"),
                '[' => Some("[[]"),
                _ => None,
            })));
        }
        Backend::Postgres => {
            sql.push(" LIKE ");
            sql.bind(text(&escaped(pattern, "%", |letter| match letter {
                '%' => Some("!%"),
                '_' => Some("!_"),
                '!' => Some("!!"),
                _ => None,
            })));
            sql.push(" ESCAPE '!'");
        }
    }
}

fn escaped(pattern: &Pattern, gap: &str, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let literal = |literal: &String| {
        let mut escaped = String::new();
        for letter in literal.chars() {
            match escape(letter) {
                Some(instead) => escaped.push_str(instead),
                None => escaped.push(letter),
            }
        }
        escaped
    };
    pattern.literals().iter().map(literal).collect::<Vec<_>>().join(gap)
}

/// The first text after all that begin with this one; `None` where there is none.
pub(super) fn successor(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // After U+D7FF comes U+E000: what lies between is no character.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}
