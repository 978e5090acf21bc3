//! The fields that can be searched, by their names in a query.

use super::{LONGEST_PATH, counting};
use crate::profile::Field;
use crate::user::folded;
use crate::user::metadata::Part;

/// A field with one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextField {
    UserId,
    Email,
    /// What follows the last `@` of the e-mail address.
    EmailDomain,
    Name,
    GivenName,
    FamilyName,
    Nickname,
    Username,
    PhoneNumber,
    Picture,
}

impl TextField {
    pub const ALL: [Self; 10] = [
        Self::UserId,
        Self::Email,
        Self::EmailDomain,
        Self::Name,
        Self::GivenName,
        Self::FamilyName,
        Self::Nickname,
        Self::Username,
        Self::PhoneNumber,
        Self::Picture,
    ];

    /// Where a term without a field is looked for.
    pub const WITHOUT_NAME: [Self; 7] =
        [Self::UserId, Self::Email, Self::Name, Self::GivenName, Self::FamilyName, Self::Nickname, Self::Username];

    /// Is an upper case letter the same as its lower case one?
    pub const fn ignores_case(self) -> bool {
        match self {
            Self::Email | Self::EmailDomain | Self::Name | Self::GivenName | Self::FamilyName | Self::Nickname => true,
            Self::UserId | Self::Username | Self::PhoneNumber | Self::Picture => false,
        }
    }

    /// What is compared of a text in this field.
    pub fn compared(self, text: &str) -> String {
        match self {
            // The key of a user counts as a whole.
            Self::UserId => text.to_owned(),
            _ if self.ignores_case() => folded(counting(text)),
            _ => counting(text).to_owned(),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Email => "email",
            Self::EmailDomain => "email.domain",
            Self::Name => "name",
            Self::GivenName => "given_name",
            Self::FamilyName => "family_name",
            Self::Nickname => "nickname",
            Self::Username => "username",
            Self::PhoneNumber => "phone_number",
            Self::Picture => "picture",
        }
    }
}

/// A field that is true or false, and never absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlagField {
    Blocked,
    EmailVerified,
    PhoneVerified,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeField {
    CreatedAt,
    UpdatedAt,
    /// Absent where nobody has come yet.
    LastLogin,
}

/// Of an identity, primary or linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdentityField {
    Connection,
    Provider,
    /// The subject.
    UserId,
}

/// Where in a user's free data: the object, then names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataPath {
    pub which: Part,
    /// The full path, beginning with the name of the object; the object alone only with [`super::ValueTest::Exists`].
    pub path: String,
}

/// A name in a query, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Named {
    Text(TextField),
    Flag(FlagField),
    Time(TimeField),
    LoginsCount,
    Identities,
    Identity(IdentityField),
    IsSocial,
    Metadata(MetadataPath),
}

/// Understands a name; the error is a sentence.
pub(super) fn named(name: &str) -> Result<Named, String> {
    if let Some(field) = TextField::ALL.into_iter().find(|field| field.name() == name) {
        return Ok(Named::Text(field));
    }
    Ok(match name {
        "blocked" => Named::Flag(FlagField::Blocked),
        "email_verified" => Named::Flag(FlagField::EmailVerified),
        "phone_verified" | "phone_number_verified" => Named::Flag(FlagField::PhoneVerified),
        "created_at" => Named::Time(TimeField::CreatedAt),
        "updated_at" => Named::Time(TimeField::UpdatedAt),
        "last_login" => Named::Time(TimeField::LastLogin),
        "logins_count" => Named::LoginsCount,
        "identities" => Named::Identities,
        "identities.connection" => Named::Identity(IdentityField::Connection),
        "identities.provider" => Named::Identity(IdentityField::Provider),
        "identities.user_id" => Named::Identity(IdentityField::UserId),
        "identities.isSocial" => Named::IsSocial,
        _ => return metadata(name),
    })
}

fn metadata(name: &str) -> Result<Named, String> {
    let (root, rest) = name.split_once('.').map_or((name, None), |(root, rest)| (root, Some(rest)));
    let Some(which) = Part::parse(root) else {
        return Err(match Field::parse(name) {
            Some(_) => format!("{name} cannot be searched"),
            None => format!("there is no field {name}; a colon in a value is written \\:"),
        });
    };
    let path = match rest {
        None => which.name().to_owned(),
        Some(rest) if rest.split('.').any(str::is_empty) => return Err(format!("{name} has an empty name between its dots")),
        Some(rest) => format!("{}.{rest}", which.name()),
    };
    if path.chars().nth(LONGEST_PATH).is_some() {
        return Err(format!("a path of more than {LONGEST_PATH} characters cannot be searched"));
    }
    Ok(Named::Metadata(MetadataPath { which, path }))
}

impl MetadataPath {
    /// The object itself, and no member of it?
    pub fn is_whole(&self) -> bool {
        self.path == self.which.name()
    }
}
