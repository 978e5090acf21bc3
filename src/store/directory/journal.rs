//! The link journal: who was joined to whom, and what is needed to take it back.
//!
//! A line belongs to the user who has its identities, and moves with them. An identity counts as being *here*, in a
//! line, until it leaves the line's user: what left and came back came by another line.

use super::users::{self, time, touch_linked, written};
use super::{Trouble, has_nul, without_nul};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::store::{LinkEntry, LinkedBy};
use crate::user::Identity;
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// The number is larger than all that either user has seen: of two lines about one identity, the larger came later.
const WRITE: &str = "INSERT INTO links (link_id, number, at, user_id, former_user_id, how, actor, correlation_id, kept, undone_at) \
    VALUES ($1, (SELECT COALESCE(MAX(l.number), 0) + 1 FROM links l WHERE l.user_id = $3 OR l.user_id = $4), \
        $2, $3, $4, $5, $6, $7, $8, NULL) ON CONFLICT (link_id) DO NOTHING";

const WRITE_IDENTITY: &str = "INSERT INTO link_identities (link_id, position, connection, subject, here) VALUES ($1, $2, $3, $4, 1)";

const OF_USER: &str = "SELECT l.link_id, l.at, l.user_id, l.former_user_id, l.how, l.actor, l.correlation_id, l.kept, l.undone_at, \
        i.connection, i.subject \
    FROM links l JOIN link_identities i ON i.link_id = l.link_id WHERE l.user_id = $1 \
    ORDER BY l.at DESC, l.number DESC, l.link_id, i.position";

const BY_ID: &str = "SELECT link_id, number, former_user_id, kept, undone_at FROM links WHERE link_id = $1 AND user_id = $2";

/// At most one: an identity is first in a line when its user ends, and becomes primary again only by leaving.
const BY_FIRST: &str = "SELECT l.link_id, l.number, l.former_user_id, l.kept, l.undone_at \
    FROM links l JOIN link_identities i ON i.link_id = l.link_id \
    WHERE i.connection = $1 AND i.subject = $2 AND i.position = 0 AND i.here = 1 AND l.user_id = $3 AND l.undone_at IS NULL \
    ORDER BY l.number DESC LIMIT 1";

const MOVE_ALL: &str = "UPDATE links SET user_id = $2 WHERE user_id = $1";

/// Lines older than `$3`: they came along with the identity.
const MOVE_ALONG: &str = "UPDATE links SET user_id = $2 WHERE user_id = $1 AND number < $3 AND link_id IN \
    (SELECT i.link_id FROM link_identities i WHERE i.connection = $4 AND i.subject = $5 AND i.here = 1)";

const LEAVE: &str = "UPDATE link_identities SET here = 0 WHERE connection = $1 AND subject = $2 AND link_id IN \
    (SELECT l.link_id FROM links l WHERE l.user_id = $3)";

const ALL_LEAVE: &str = "UPDATE link_identities SET here = 0 WHERE link_id = $1";

const UNDONE: &str = "UPDATE links SET undone_at = $2, kept = '{}' WHERE link_id = $1";

/// What a line says about taking it back.
pub(super) struct Line {
    pub(super) link_id: String,
    pub(super) number: i64,
    pub(super) former_user_id: Option<String>,
    pub(super) kept: Map<String, Value>,
    pub(super) undone: bool,
}

/// The journal of a user, newest first.
pub(super) async fn of_user(connection: &mut AnyConnection, user_id: &str) -> Result<Vec<LinkEntry>, Trouble> {
    if has_nul(user_id) {
        return Ok(Vec::new());
    }
    let mut entries: Vec<LinkEntry> = Vec::new();
    for row in &sqlx::query(OF_USER).bind(user_id).fetch_all(connection).await? {
        let identity = (row.try_get("connection")?, row.try_get("subject")?);
        let link_id: &str = row.try_get("link_id")?;
        match entries.last_mut() {
            Some(entry) if entry.by.link_id == link_id => entry.identities.push(identity),
            _ => entries.push(entry(row, identity)?),
        }
    }
    Ok(entries)
}

pub(super) async fn write(statements: &mut AnyConnection, entry: &LinkEntry) -> Result<(), Trouble> {
    let by = &entry.by;
    let insert = sqlx::query(WRITE)
        .bind(&by.link_id)
        .bind(entry.at.millis())
        .bind(&entry.user_id)
        .bind(entry.former_user_id.as_deref())
        .bind(&by.how)
        .bind(&by.actor)
        .bind(&by.correlation_id)
        .bind(written(&entry.kept)?);
    if insert.execute(&mut *statements).await?.rows_affected() == 0 {
        return Err(Error::new(ErrorKind::Conflict, "There is a link of this id.").into());
    }
    for ((name, subject), position) in entry.identities.iter().zip(0_i64..) {
        let insert = sqlx::query(WRITE_IDENTITY).bind(&by.link_id).bind(position).bind(name).bind(subject);
        insert.execute(&mut *statements).await?;
    }
    Ok(())
}

/// As it can be stored.
pub(super) fn storable(by: &LinkedBy) -> LinkedBy {
    let [link_id, how, actor, correlation_id] = [&by.link_id, &by.how, &by.actor, &by.correlation_id].map(|text| without_nul(text));
    LinkedBy { link_id, how, actor, correlation_id }
}

/// All lines of a user who ends belong to another one.
pub(super) async fn move_all(statements: &mut AnyConnection, from: &str, to: &str) -> Result<(), Trouble> {
    sqlx::query(MOVE_ALL).bind(from).bind(to).execute(statements).await?;
    Ok(())
}

/// The line by which an identity that was somebody's primary came to a user.
pub(super) async fn of_first(statements: &mut AnyConnection, user_id: &str, identity: &Identity) -> Result<Option<Line>, Trouble> {
    let find = sqlx::query(BY_FIRST).bind(&identity.connection).bind(&identity.user_id).bind(user_id);
    find.fetch_optional(statements).await?.as_ref().map(line).transpose()
}

/// A line, with its user locked; `None` when there is none.
pub(super) async fn lock(statements: &mut AnyConnection, link_id: &str, now: Timestamp) -> Result<Option<(users::Touched, Line)>, Trouble> {
    let Some(user) = touch_linked(statements, link_id, now).await? else { return Ok(None) };
    let find = sqlx::query(BY_ID).bind(link_id).bind(&user.user_id);
    match find.fetch_optional(statements).await? {
        Some(row) => Ok(Some((user, line(&row)?))),
        None => Err(Trouble::Overtaken),
    }
}

/// An identity leaves a user. With a line that is taken back, older lines about it go where it goes.
pub(super) async fn leave(
    statements: &mut AnyConnection,
    identity: &Identity,
    from: &str,
    along: Option<(&Line, &str)>,
) -> Result<(), Trouble> {
    let Identity { connection, user_id: subject, .. } = identity;
    if let Some((line, to)) = along {
        let older = sqlx::query(MOVE_ALONG).bind(from).bind(to).bind(line.number).bind(connection).bind(subject);
        older.execute(&mut *statements).await?;
    }
    sqlx::query(LEAVE).bind(connection).bind(subject).bind(from).execute(statements).await?;
    Ok(())
}

/// What was kept has been given back, and is not kept any longer. Nobody is here by this line any more.
pub(super) async fn undone(statements: &mut AnyConnection, line: &Line, now: Timestamp) -> Result<(), Trouble> {
    sqlx::query(UNDONE).bind(&line.link_id).bind(now.millis()).execute(&mut *statements).await?;
    sqlx::query(ALL_LEAVE).bind(&line.link_id).execute(statements).await?;
    Ok(())
}

fn entry(row: &AnyRow, first: (String, String)) -> Result<LinkEntry, Trouble> {
    Ok(LinkEntry {
        by: LinkedBy {
            link_id: row.try_get("link_id")?,
            how: row.try_get("how")?,
            actor: row.try_get("actor")?,
            correlation_id: row.try_get("correlation_id")?,
        },
        at: time(row, "at")?,
        user_id: row.try_get("user_id")?,
        former_user_id: row.try_get("former_user_id")?,
        identities: vec![first],
        kept: users::json(row, "kept")?,
        undone_at: row.try_get::<Option<i64>, _>("undone_at")?.map(Timestamp::from_millis),
    })
}

fn line(row: &AnyRow) -> Result<Line, Trouble> {
    Ok(Line {
        link_id: row.try_get("link_id")?,
        number: row.try_get("number")?,
        former_user_id: row.try_get("former_user_id")?,
        kept: users::json(row, "kept")?,
        undone: row.try_get::<Option<i64>, _>("undone_at")?.is_some(),
    })
}
