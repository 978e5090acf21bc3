//! Jobs, their leases and their parts.
//!
//! Every step of an owner begins with an update of the job that names owner and part; where it finds no row, somebody
//! else has the job, or the step was done before, and nothing is changed.

use super::transaction::{End, transaction};
use super::users::time;
use super::{Trouble, has_nul, unreadable, without_nul};
use crate::clock::Timestamp;
use crate::store::{ExportStep, Job, JobAges, JobKind, JobStatus, NewJob};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

macro_rules! columns {
    () => {
        "id, type, status, created_at, started_at, finished_at, connection_id, connection, external_id, settings, status_details, \
         parts, next_part, place, total, inserted, updated, failed"
    };
}

const BEGIN: &str = "INSERT INTO jobs (id, type, status, created_at, connection_id, connection, external_id, settings, \
        parts, next_part, total, inserted, updated, failed, lease_until, slot, finished_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0, 0, 0, $9, $10, $11) ON CONFLICT (slot) DO NOTHING";

const RECEIVE: &str = "UPDATE jobs SET parts = parts + 1, total = total + $3, lease_until = $4 \
    WHERE id = $1 AND parts = $2 AND status = 'receiving'";

const PUT_PART: &str = "INSERT INTO job_parts (job_id, part, body) VALUES ($1, $2, $3)";

const RECEIVED: &str = "UPDATE jobs SET status = 'pending', lease_until = 0 WHERE id = $1 AND status = 'receiving'";

/// The outer conditions are looked at again by whoever waited for somebody else's claim.
const CLAIM: &str = concat!(
    "UPDATE jobs SET status = 'processing', owner = $1, lease_until = $3, started_at = COALESCE(started_at, $2) \
     WHERE id = (SELECT j.id FROM jobs j WHERE j.status IN ('pending', 'processing') AND j.lease_until <= $2 \
            ORDER BY j.created_at, j.id LIMIT 1) \
        AND status IN ('pending', 'processing') AND lease_until <= $2 \
     RETURNING ",
    columns!()
);

const ONE: &str = concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1");

const KEEP: &str = "UPDATE jobs SET lease_until = $3 WHERE id = $1 AND owner = $2 AND status = 'processing'";

const TOTAL: &str = "UPDATE jobs SET total = $3 WHERE id = $1 AND owner = $2 AND status = 'processing'";

const END: &str = "UPDATE jobs SET status = $3, status_details = $4, finished_at = $5, owner = NULL, slot = NULL \
    WHERE id = $1 AND owner = $2 AND status = 'processing'";

const ERRORS: &str = "SELECT part, body FROM job_errors WHERE job_id = $1 AND part > $2 ORDER BY part LIMIT $3";

const TIME_OUT: &str = "UPDATE jobs SET status = 'failed', status_details = 'The job took too long.', finished_at = $2, \
        owner = NULL, slot = NULL \
    WHERE status IN ('receiving', 'pending', 'processing') AND created_at <= $1";

const BROKE_OFF: &str = "UPDATE jobs SET status = 'failed', status_details = 'The file stopped arriving.', finished_at = $1, \
        owner = NULL, slot = NULL \
    WHERE status = 'receiving' AND lease_until <= $1";

/// What is left of the file of an import that has failed: nobody will read it.
const REMAINS: &str =
    "DELETE FROM job_parts WHERE job_id IN (SELECT j.id FROM jobs j WHERE j.type = 'users_import' AND j.status = 'failed')";

const OVER: &str = "DELETE FROM jobs WHERE status IN ('completed', 'failed') AND finished_at <= $1";

const EXPORTED: &str = "UPDATE jobs SET parts = parts + 1, inserted = inserted + $4, place = $5, lease_until = $6 \
    WHERE id = $1 AND owner = $2 AND parts = $3 AND status = 'processing'";

pub(super) async fn begin(connection: &mut AnyConnection, job: &NewJob, at_once: i64) -> Result<bool, Trouble> {
    let has_ended = job.status.has_ended();
    for slot in 1..=at_once {
        let insert = sqlx::query(BEGIN)
            .bind(&job.id)
            .bind(job.kind.name())
            .bind(job.status.name())
            .bind(job.created_at.millis())
            .bind(job.connection_id.as_deref().map(without_nul))
            .bind(job.connection.as_deref().map(without_nul))
            .bind(job.external_id.as_deref().map(without_nul))
            .bind(without_nul(&job.settings))
            .bind(if job.status == JobStatus::Receiving { job.lease_until.millis() } else { 0 })
            .bind((!has_ended).then_some(slot))
            .bind(has_ended.then(|| job.created_at.millis()));
        if insert.execute(&mut *connection).await?.rows_affected() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) async fn receive_part(
    connection: &mut AnyConnection,
    (job_id, part): (&str, i64),
    users: i64,
    body: &str,
    lease_until: Timestamp,
) -> Result<bool, Trouble> {
    if has_nul(job_id) {
        return Ok(false);
    }
    transaction(connection, async |statements| {
        let update = sqlx::query(RECEIVE).bind(job_id).bind(part).bind(users).bind(lease_until.millis());
        if update.execute(&mut *statements).await?.rows_affected() == 0 {
            return Ok(End::RollBack(false));
        }
        sqlx::query(PUT_PART).bind(job_id).bind(part).bind(without_nul(body)).execute(statements).await?;
        Ok(End::Commit(true))
    })
    .await
}

pub(super) async fn received(connection: &mut AnyConnection, job_id: &str) -> Result<bool, Trouble> {
    if has_nul(job_id) {
        return Ok(false);
    }
    Ok(sqlx::query(RECEIVED).bind(job_id).execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn delete(connection: &mut AnyConnection, job_id: &str) -> Result<bool, Trouble> {
    if has_nul(job_id) {
        return Ok(false);
    }
    Ok(sqlx::query("DELETE FROM jobs WHERE id = $1").bind(job_id).execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn one(connection: &mut AnyConnection, job_id: &str) -> Result<Option<Job>, Trouble> {
    if has_nul(job_id) {
        return Ok(None);
    }
    sqlx::query(ONE).bind(job_id).fetch_optional(connection).await?.as_ref().map(job).transpose()
}

pub(super) async fn claim(
    connection: &mut AnyConnection,
    owner: &str,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<Option<Job>, Trouble> {
    let claim = sqlx::query(CLAIM).bind(owner).bind(now.millis()).bind(lease_until.millis());
    claim.fetch_all(connection).await?.first().map(job).transpose()
}

pub(super) async fn keep(connection: &mut AnyConnection, job_id: &str, owner: &str, lease_until: Timestamp) -> Result<bool, Trouble> {
    let update = sqlx::query(KEEP).bind(job_id).bind(owner).bind(lease_until.millis());
    Ok(update.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn set_total(connection: &mut AnyConnection, job_id: &str, owner: &str, total: i64) -> Result<bool, Trouble> {
    let update = sqlx::query(TOTAL).bind(job_id).bind(owner).bind(total);
    Ok(update.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn end(
    connection: &mut AnyConnection,
    (job_id, owner): (&str, &str),
    status: JobStatus,
    details: Option<&str>,
    now: Timestamp,
) -> Result<bool, Trouble> {
    let update = sqlx::query(END).bind(job_id).bind(owner).bind(status.name()).bind(details.map(without_nul)).bind(now.millis());
    Ok(update.execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn part(connection: &mut AnyConnection, job_id: &str, part: i64) -> Result<Option<String>, Trouble> {
    if has_nul(job_id) {
        return Ok(None);
    }
    let select = sqlx::query_scalar("SELECT body FROM job_parts WHERE job_id = $1 AND part = $2").bind(job_id).bind(part);
    Ok(select.fetch_optional(connection).await?)
}

pub(super) async fn errors(connection: &mut AnyConnection, job_id: &str, after: i64, limit: usize) -> Result<Vec<(i64, String)>, Trouble> {
    if has_nul(job_id) {
        return Ok(Vec::new());
    }
    let select = sqlx::query(ERRORS).bind(job_id).bind(after).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = select.fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

pub(super) async fn sweep(connection: &mut AnyConnection, ages: JobAges, now: Timestamp) -> Result<(), Trouble> {
    let too_old = now.plus_seconds(-ages.time_out).millis();
    sqlx::query(TIME_OUT).bind(too_old).bind(now.millis()).execute(&mut *connection).await?;
    sqlx::query(BROKE_OFF).bind(now.millis()).execute(&mut *connection).await?;
    sqlx::query(REMAINS).execute(&mut *connection).await?;
    sqlx::query(OVER).bind(now.plus_seconds(-ages.keep).millis()).execute(connection).await?;
    Ok(())
}

pub(super) async fn export_part(connection: &mut AnyConnection, step: &ExportStep<'_>) -> Result<bool, Trouble> {
    transaction(connection, async |statements| {
        let update = sqlx::query(EXPORTED)
            .bind(step.job_id)
            .bind(step.owner)
            .bind(step.part)
            .bind(step.users)
            .bind(step.place)
            .bind(step.lease_until.millis());
        if update.execute(&mut *statements).await?.rows_affected() == 0 {
            return Ok(End::RollBack(false));
        }
        sqlx::query(PUT_PART).bind(step.job_id).bind(step.part).bind(step.body).execute(statements).await?;
        Ok(End::Commit(true))
    })
    .await
}

fn job(row: &AnyRow) -> Result<Job, Trouble> {
    let moment = |column: &str| Ok::<_, Trouble>(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis));
    let unknown = |what: &'static str| move || unreadable(what);
    Ok(Job {
        id: row.try_get("id")?,
        kind: JobKind::parse(row.try_get("type")?).ok_or_else(unknown("a job of an unknown type"))?,
        status: JobStatus::parse(row.try_get("status")?).ok_or_else(unknown("a job of an unknown status"))?,
        created_at: time(row, "created_at")?,
        started_at: moment("started_at")?,
        finished_at: moment("finished_at")?,
        connection_id: row.try_get("connection_id")?,
        connection: row.try_get("connection")?,
        external_id: row.try_get("external_id")?,
        settings: row.try_get("settings")?,
        status_details: row.try_get("status_details")?,
        parts: row.try_get("parts")?,
        next_part: row.try_get("next_part")?,
        place: row.try_get("place")?,
        total: row.try_get("total")?,
        inserted: row.try_get("inserted")?,
        updated: row.try_get("updated")?,
        failed: row.try_get("failed")?,
    })
}
