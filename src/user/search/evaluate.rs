//! For tests: a filter asked of a user in memory, written apart from what the databases do.

use super::{Filter, FlagField, IdentityField, Pattern, Test, TextField, TimeField, ValueTest, counting, leaves};
use crate::user::{ROOT_ATTRIBUTES, User, folded};
use serde_json::Value;

/// Would a search with this filter find this user?
pub fn holds(filter: &Filter, user: &User) -> bool {
    match filter {
        Filter::All(all) => all.iter().all(|filter| holds(filter, user)),
        Filter::Any(any) => any.iter().any(|filter| holds(filter, user)),
        Filter::Not(filter) => !holds(filter, user),
        Filter::Text(field, test) => text_of(*field, user).is_some_and(|text| passes(test, &text)),
        Filter::Flag(FlagField::Blocked, is) => user.blocked == *is,
        Filter::Flag(FlagField::EmailVerified, is) => flag_of("email_verified", user) == *is,
        Filter::Flag(FlagField::PhoneVerified, is) => flag_of("phone_number_verified", user) == *is,
        Filter::Time(field, range) => {
            let latest = user.identities.iter().filter_map(|stored| stored.last_login).max();
            let time = match field {
                TimeField::CreatedAt => Some(user.created_at),
                TimeField::UpdatedAt => latest.max(Some(user.updated_at)),
                TimeField::LastLogin => latest,
            };
            time.is_some_and(|time| range.contains(&time.millis()))
        }
        Filter::LoginsCount(range) => range.contains(&user.identities.iter().map(|stored| stored.logins_count).sum()),
        Filter::Identity(field, test) => user.identities.iter().any(|stored| {
            let identity = &stored.identity;
            passes(
                test,
                match field {
                    IdentityField::Connection => &identity.connection,
                    IdentityField::Provider => &identity.provider,
                    IdentityField::UserId => &identity.user_id,
                },
            )
        }),
        Filter::IsSocial(is) => user.identities.iter().any(|stored| stored.identity.is_social == *is),
        Filter::Metadata(path, test) => leaves(user).iter().any(|leaf| {
            let here = leaf.path == path.path;
            match test {
                ValueTest::Exists => here || leaf.path.starts_with(&format!("{}.", path.path)),
                ValueTest::Is(text) => here && (leaf.text == *text || same_number(leaf.number, text)),
                ValueTest::Like(pattern) => here && matches(pattern, &leaf.text),
                ValueTest::Numbers(range) => here && leaf.number.is_some_and(|number| range.contains(&number)),
                ValueTest::Texts(range) => here && leaf.number.is_none() && range.contains(&leaf.text),
            }
        }),
        Filter::Anywhere(test) => TextField::WITHOUT_NAME.iter().any(|field| {
            let Some(text) = text_of(*field, user) else { return false };
            match test {
                Test::Is(wanted) if *field == TextField::UserId => *wanted == text,
                Test::Is(wanted) if field.ignores_case() => folded(counting(wanted)) == text,
                Test::Is(wanted) => counting(wanted) == text,
                Test::Like(pattern) if field.ignores_case() => matches(&pattern.folded(), &text),
                test => passes(test, &text),
            }
        }),
    }
}

fn same_number(number: Option<f64>, text: &str) -> bool {
    number.is_some_and(|number| text.parse::<f64>().is_ok_and(|wanted| wanted == number))
}

fn passes(test: &Test<String>, text: &str) -> bool {
    match test {
        Test::Is(wanted) => text == wanted,
        Test::Like(pattern) => matches(pattern, text),
        Test::Within(range) => range.contains(&text.to_owned()),
        Test::Exists => true,
    }
}

fn text_of(field: TextField, user: &User) -> Option<String> {
    let text = match field {
        TextField::UserId => return Some(user.user_id.clone()),
        TextField::EmailDomain => {
            let email = text_of(TextField::Email, user)?;
            return email.rsplit_once('@').map(|(_, domain)| domain.to_owned());
        }
        field => {
            let primary = user.primary()?;
            let root = primary.root.get(field.name()).filter(|_| ROOT_ATTRIBUTES.contains(&field.name()));
            let is_text = |value: &&Value| value.as_str().is_some_and(|text| !text.is_empty());
            root.filter(is_text).or_else(|| primary.profile.get(field.name()).filter(is_text))?.as_str()?.replace('\0', "\u{fffd}")
        }
    };
    let text = if field.ignores_case() { folded(&text) } else { text };
    Some(counting(&text).to_owned())
}

fn flag_of(name: &str, user: &User) -> bool {
    user.primary().and_then(|primary| primary.profile.get(name)?.as_bool()).unwrap_or(false)
}

/// The slow and simple way.
fn matches(pattern: &Pattern, text: &str) -> bool {
    let literals = pattern.literals();
    let Some((first, rest)) = literals.split_first() else { return false };
    let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
    let Some((last, inner)) = rest.split_last() else { return left.is_empty() };
    for literal in inner {
        let Some(at) = left.find(literal.as_str()) else { return false };
        left = left.get(at + literal.len()..).unwrap_or_default();
    }
    left.ends_with(last.as_str())
}

/// xorshift64*, not seeded with 0: the same choices in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap_or(0) % limit.max(1)
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
