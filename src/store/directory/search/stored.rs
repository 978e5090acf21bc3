//! What a search compares, as it is stored: keys of an identity, and the values in metadata.

use crate::store::directory::connect::Backend;
use crate::store::directory::users::{findable, written};
use crate::store::directory::{Trouble, without_nul};
use crate::user::metadata::Part;
use crate::user::search::{TextField, leaves_of};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

/// Rows of one INSERT.
const ROWS: usize = 100;

/// Identities that are read at once when a directory is brought up to date.
const BATCH: i64 = 500;

/// What is looked at in a profile. A member of another kind than is expected is as if it were not there.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Members<'p> {
    #[serde(borrow)]
    name: Option<&'p RawValue>,
    #[serde(borrow)]
    given_name: Option<&'p RawValue>,
    #[serde(borrow)]
    family_name: Option<&'p RawValue>,
    #[serde(borrow)]
    nickname: Option<&'p RawValue>,
    #[serde(borrow)]
    picture: Option<&'p RawValue>,
    #[serde(borrow)]
    username: Option<&'p RawValue>,
    #[serde(borrow)]
    phone_number: Option<&'p RawValue>,
    #[serde(borrow)]
    email_verified: Option<&'p RawValue>,
    #[serde(borrow)]
    phone_number_verified: Option<&'p RawValue>,
}

/// `identities.keys`: the JSON array that the migration describes.
pub(in crate::store::directory) fn keys(profile: &str, email: Option<&str>) -> Result<String, Trouble> {
    let members: Members<'_> = serde_json::from_str(profile).unwrap_or_default();
    let email = findable(email).map(|email| TextField::Email.compared(email));
    let domain = email.as_deref().and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
    let flag = |member: Option<&RawValue>| member.map(|raw| i64::from(raw.get() == "true"));
    written(&(
        &email,
        domain,
        key(TextField::Name, members.name),
        key(TextField::GivenName, members.given_name),
        key(TextField::FamilyName, members.family_name),
        key(TextField::Nickname, members.nickname),
        key(TextField::Username, members.username),
        key(TextField::PhoneNumber, members.phone_number),
        key(TextField::Picture, members.picture),
        flag(members.email_verified),
        flag(members.phone_number_verified),
    ))
}

/// `identities.root_keys`.
pub(in crate::store::directory) fn root_keys(root: &str) -> Result<String, Trouble> {
    let members: Members<'_> = serde_json::from_str(root).unwrap_or_default();
    written(&(
        key(TextField::Name, members.name),
        key(TextField::GivenName, members.given_name),
        key(TextField::FamilyName, members.family_name),
        key(TextField::Nickname, members.nickname),
        key(TextField::Picture, members.picture),
    ))
}

/// PostgreSQL cannot read a NUL character out of JSON.
fn key(field: TextField, member: Option<&RawValue>) -> Option<String> {
    let text: String = serde_json::from_str(member?.get()).ok()?;
    Some(without_nul(&field.compared(&text))).filter(|text| !text.is_empty())
}

/// Replaces what a search finds of one of a user's objects, given as JSON.
pub(in crate::store::directory) async fn put_values(
    statements: &mut AnyConnection,
    user_id: &str,
    part: Part,
    object: &str,
) -> Result<(), Trouble> {
    let (from, to) = (format!("{}.", part.name()), format!("{}/", part.name()));
    let delete = sqlx::query("DELETE FROM search_values WHERE user_id = $1 AND path >= $2 AND path < $3").bind(user_id).bind(from).bind(to);
    delete.execute(&mut *statements).await?;
    add_values(statements, user_id, part, object).await
}

/// Of a user who has no values of this object yet.
pub(in crate::store::directory) async fn add_values(
    statements: &mut AnyConnection,
    user_id: &str,
    part: Part,
    object: &str,
) -> Result<(), Trouble> {
    let object: Map<String, Value> = serde_json::from_str(object).unwrap_or_default();
    let leaves = leaves_of(part, &object);
    let mut place = 0_i64;
    for rows in leaves.chunks(ROWS) {
        let mut insert = sqlx::query(AssertSqlSafe(insert_of(rows.len()))).persistent(false);
        for leaf in rows {
            insert = insert.bind(user_id).bind(&leaf.path).bind(place).bind(&leaf.text).bind(leaf.number);
            place += 1;
        }
        insert.execute(&mut *statements).await?;
    }
    Ok(())
}

/// Safe, as there is nothing in it but the numbers of its places.
fn insert_of(rows: usize) -> String {
    let mut sql = "INSERT INTO search_values (user_id, path, place, text, number) VALUES ".to_owned();
    for row in 0..rows {
        let first = row * 5;
        let separator = if row == 0 { "" } else { ", " };
        sql += &format!("{separator}(${}, ${}, ${}, ${}, ${})", first + 1, first + 2, first + 3, first + 4, first + 5);
    }
    sql
}

/// For a directory from before there was a search: makes for everybody what is otherwise made at logins and changes.
pub(in crate::store::directory) async fn fill(statements: &mut AnyConnection, backend: Backend) -> Result<(), Trouble> {
    // What follows sets keys, upon which the triggers fill the table of those who have a name or an address. Here are the rest.
    sqlx::raw_sql(
        "INSERT INTO search_users SELECT * FROM search_sources; \
        INSERT INTO search_activity SELECT user_id, MAX(last_login), SUM(logins_count) FROM identities GROUP BY user_id",
    )
    .execute(&mut *statements)
    .await?;
    let mut last = (String::new(), -1_i64);
    loop {
        let select = "SELECT i.user_id, i.position, i.connection, i.subject, i.profile, i.root, i.email, \
                u.user_metadata, u.app_metadata, u.custom_fields \
            FROM identities i JOIN users u ON u.user_id = i.user_id \
            WHERE i.user_id > $1 OR (i.user_id = $1 AND i.position > $2) ORDER BY i.user_id, i.position LIMIT $3";
        let rows = sqlx::query(select).bind(&last.0).bind(last.1).bind(BATCH).fetch_all(&mut *statements).await?;
        for row in &rows {
            let update = "UPDATE identities SET keys = $3, root_keys = $4 WHERE connection = $1 AND subject = $2";
            let update = sqlx::query(update)
                .bind(row.try_get::<&str, _>("connection")?)
                .bind(row.try_get::<&str, _>("subject")?)
                .bind(keys(row.try_get("profile")?, row.try_get("email")?)?)
                .bind(root_keys(row.try_get("root")?)?);
            update.execute(&mut *statements).await?;
            last = (row.try_get("user_id")?, row.try_get("position")?);
            for part in Part::ALL.into_iter().filter(|_| last.1 == 0) {
                add_values(statements, &last.0, part, row.try_get(part.name())?).await?;
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    if backend == Backend::Postgres {
        // While triggers wait for their turn, a later migration could not change the table.
        sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE").execute(statements).await?;
    }
    Ok(())
}
