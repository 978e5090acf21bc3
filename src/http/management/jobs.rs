//! Bulk imports and exports of users, and mails to them. A file is read while it arrives; what is exported is fetched by an address that is
//! good for a minute and needs no token.

mod verification;

use super::call::{Call, Reply, connection_name};
use super::problem::{self, Refusal};
use super::shape::{Kind, Shape, fault, may, must};
use super::{Answer, Body, Operation};
use crate::broker::jobs::{
    ExportField, ExportFormat, ExportRequest, ImportRequest, ImportUpload, export_link_token, job_json, verify_export_link,
};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::http::multipart::Multipart;
use crate::http::state::State;
use crate::store::{Job, JobKind, JobStatus};
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_core::Stream;
use serde_json::{Value, json};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use verification::{VERIFICATION, verification_email};

pub const JOB: Shape = Shape {
    name: "Job",
    members: &[
        must("id", Kind::Text(1, 64), ""),
        must("type", Kind::OneOf(&["users_import", "users_export", "verification_email"]), ""),
        must("status", Kind::OneOf(&["pending", "processing", "completed", "failed"]), ""),
        must("created_at", Kind::Formatted("date-time", 40), ""),
        may("connection", Kind::Text(1, 128), ""),
        may("connection_id", Kind::Text(1, 128), ""),
        may("external_id", Kind::Text(0, 256), ""),
        may("percentage_done", Kind::Integer(0, 100), ""),
        may("time_left_seconds", Kind::Integer(0, i64::MAX), ""),
        may("location", Kind::Formatted("uri", 2000), "Of a completed export: where the file is, for a minute"),
        may("summary", Kind::Object, "Of an import: failed, updated, inserted, total"),
    ],
    open: true,
    example: r#"{"id": "job_0f3b6f6d1f3e4c0b", "type": "users_import", "status": "pending", "created_at": "2026-11-21T09:00:00Z", "connection_id": "con_1", "connection": "people", "percentage_done": 0, "summary": {"failed": 0, "updated": 0, "inserted": 0, "total": 2}}"#,
};

const IMPORT: Shape = Shape {
    name: "UsersImport",
    members: &[
        must("users", Kind::Any, "A file: a JSON array of users"),
        must("connection_id", Kind::Text(1, 128), "Id or name of the connection; before a large file"),
        may("upsert", Kind::Boolean, "Update who is there already; before a large file"),
        may("external_id", Kind::Text(0, 256), "Your name for the job"),
        may("send_completion_email", Kind::Boolean, "No e-mail is sent by this version"),
    ],
    open: false,
    example: "",
};

const EXPORT: Shape = Shape {
    name: "UsersExport",
    members: &[
        may("connection_id", Kind::Text(1, 128), "Id or name of a connection; everybody if it is not said"),
        may("format", Kind::OneOf(&["json", "csv"]), "json, one user on each line, if it is not said"),
        may("limit", Kind::Integer(1, i64::MAX), "Not available: everybody is exported"),
        may("fields", Kind::List(&Kind::Record(&FIELD), 30), "Which members; the usual ones if it is not said"),
        may("external_id", Kind::Text(0, 256), "Your name for the job"),
    ],
    open: false,
    example: r#"{"connection_id": "people", "format": "csv", "fields": [{"name": "user_id"}, {"name": "user_metadata.theme", "export_as": "theme"}]}"#,
};

const FIELD: Shape = Shape {
    name: "ExportField",
    members: &[must("name", Kind::Text(1, 256), "Such as email or user_metadata.theme"), may("export_as", Kind::Text(1, 256), "")],
    open: false,
    example: r#"{"name": "email"}"#,
};

const JOB_ERROR: Shape = Shape {
    name: "JobError",
    members: &[
        must("user", Kind::Any, "As it was in the file, without what is secret"),
        must("errors", Kind::List(&Kind::Object, 1000), ""),
    ],
    open: false,
    example: r#"{"user": {"email": "jane"}, "errors": [{"code": "FORMAT", "message": "email is no e-mail address.", "path": "email"}]}"#,
};

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Jobs", POST "/jobs/users-imports" "post_users_imports" "Import users from a file",
        &["create:users"], &[], Body::Multipart(&IMPORT), (202, Answer::One(&JOB)), &[], import),
    operation!("Jobs", POST "/jobs/users-exports" "post_users_exports" "Export users into a file",
        &["read:users"], &[], Body::Json(&EXPORT), (200, Answer::One(&JOB)), &[], export),
    operation!("Jobs", POST "/jobs/verification-email" "post_verification_email" "Have somebody written to, to prove the address",
        &["update:users"], &[], Body::Json(&VERIFICATION), (201, Answer::One(&JOB)), &[404, 409], verification_email),
    operation!("Jobs", GET "/jobs/{id}" "get_jobs_by_id" "Read a job",
        &["create:users", "read:users", "update:users", "read:jobs"], &[], Body::Nothing, (200, Answer::One(&JOB)), &[404], get),
    operation!("Jobs", GET "/jobs/{id}/errors" "get_errors" "Users of an import that failed, and why",
        &["create:users", "read:users"], &[], Body::Nothing, (200, Answer::List(&JOB_ERROR)), &[404], errors),
];

/// Below the issuer; the token says which file.
pub const DOWNLOAD: &str = "/api/v2/downloads/{token}";

/// Bytes of a body beside its file.
const FIELDS: u64 = 64 * 1024;

/// Of a file that arrives before it is said where to.
const HELD: usize = 4 << 20;

/// Parts that wait for a slow reader.
const AHEAD: usize = 2;

async fn import(mut call: Call) -> Result<Reply, Refusal> {
    let limit = call.state.settings.api.import_file;
    let payload = call.payload.take().ok_or_else(|| Error::new(ErrorKind::Internal, "an import has no body"))?;
    let mut multipart = Multipart::new(&call.request, payload, limit.saturating_add(FIELDS))?;
    let (mut fields, mut file) = (Fields::default(), File::None);
    while let Some(name) = multipart.next_part().await.map_err(invalid)? {
        match name.as_str() {
            "users" if !matches!(file, File::None) => return Err(vec![fault("/users", "is there more than once")].into()),
            "users" => file = receive(&call, &mut multipart, &fields, limit).await?,
            "connection_id" => fields.connection = Some(multipart.text(1000).await.map_err(invalid)?),
            "external_id" => fields.external_id = Some(multipart.text(1000).await.map_err(invalid)?),
            "upsert" => fields.upsert = Some(flag("upsert", &multipart.text(10).await.map_err(invalid)?)?),
            "send_completion_email" => {
                if flag("send_completion_email", &multipart.text(10).await.map_err(invalid)?)? {
                    fields.mail = true;
                }
            }
            other => return Err(vec![fault(&super::shape::pointer("", other), "is not a field of an import")].into()),
        }
    }
    if let File::Held(bytes) = &file {
        let mut upload = begin(&call, &fields, limit).await?;
        upload.push(bytes).await.map_err(invalid)?;
        file = File::Uploaded { upload, fields: fields.clone() };
    }
    match file {
        File::Uploaded { upload, fields: known } if known == fields => {
            let job = upload.finish().await.map_err(invalid)?;
            Ok(Reply::Json { status: 202, body: shown(&call, &job)?, version: None })
        }
        File::Uploaded { .. } => Err(vec![fault("/users", "came before fields that say what to do with it: send it last")].into()),
        _ => Err(vec![fault("/users", "is missing")].into()),
    }
}

/// What is said beside the file.
#[derive(Clone, Default, PartialEq, Eq)]
struct Fields {
    connection: Option<String>,
    upsert: Option<bool>,
    external_id: Option<String>,
    mail: bool,
}

enum File {
    None,
    /// It came before it was said where to.
    Held(Vec<u8>),
    Uploaded {
        upload: Box<ImportUpload>,
        fields: Fields,
    },
}

/// Reads the file: into the directory, if it has been said already where it belongs, else into memory, as SDKs send it first.
async fn receive(call: &Call, multipart: &mut Multipart, fields: &Fields, limit: u64) -> Result<File, Refusal> {
    let held = usize::try_from(limit).unwrap_or(HELD).min(HELD);
    if fields.connection.is_none() || limit <= HELD as u64 {
        let mut bytes = Vec::new();
        while let Some(more) = multipart.next_bytes().await.map_err(invalid)? {
            if bytes.len() + more.len() > held {
                let message = format!("The file is larger than {held} octets; send connection_id and the other fields before a large file");
                return Err(Refusal::new(ErrorKind::PayloadTooLarge, message).with_code("payload_too_large"));
            }
            bytes.extend_from_slice(&more);
        }
        return Ok(File::Held(bytes));
    }
    let mut upload = begin(call, fields, limit).await?;
    while let Some(bytes) = multipart.next_bytes().await.map_err(invalid)? {
        upload.push(&bytes).await.map_err(invalid)?;
    }
    Ok(File::Uploaded { upload, fields: fields.clone() })
}

async fn begin(call: &Call, fields: &Fields, max_bytes: u64) -> Result<Box<ImportUpload>, Refusal> {
    if fields.mail {
        return Err(vec![fault("/send_completion_email", "cannot be asked for: this version sends no messages")].into());
    }
    let given = fields.connection.as_deref().ok_or_else(|| Refusal::from(vec![fault("/connection_id", "is missing")]))?;
    let (connection, connection_id) = connection(call, given).await?;
    let upsert = fields.upsert.unwrap_or(false);
    if upsert && !call.may("update:users") {
        let message = "Insufficient scope: update:users is needed to change who is there already";
        return Err(Refusal::new(ErrorKind::InsufficientScope, message).with_status(403).with_code("insufficient_scope"));
    }
    let request = ImportRequest { connection, connection_id, upsert, external_id: fields.external_id.clone(), max_bytes };
    call.state.jobs.begin_import(request, call.by()).await.map(Box::new).map_err(invalid)
}

async fn export(call: Call) -> Result<Reply, Refusal> {
    let text = |name: &str| call.body.get(name).and_then(Value::as_str);
    if call.body.get("limit").is_some() {
        return Err(vec![fault("/limit", "is not available: everybody is exported")].into());
    }
    let connection = match text("connection_id") {
        Some(given) => Some(connection(&call, given).await?),
        None => None,
    };
    let fields: Vec<ExportField> = call
        .body
        .get("fields")
        .map_or_else(|| Ok(Vec::new()), |fields| serde_json::from_value(fields.clone()))
        .map_err(|error| Refusal::from(vec![fault("/fields", &error.to_string())]))?;
    let format = if text("format") == Some("csv") { ExportFormat::Csv } else { ExportFormat::Json };
    let request = ExportRequest { connection, format, fields, external_id: text("external_id").map(str::to_owned) };
    let job = call.state.jobs.begin_export(request, call.by()).await.map_err(invalid)?;
    Ok(Reply::ok(shown(&call, &job)?))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    let job = call.state.jobs.job(call.name("id")).await.map_err(invalid)?;
    Ok(Reply::ok(shown(&call, &job)?))
}

async fn errors(call: Call) -> Result<Reply, Refusal> {
    let job = call.state.jobs.job(call.name("id")).await.map_err(invalid)?;
    let (sender, body) = stream();
    let jobs = std::sync::Arc::clone(&call.state.jobs);
    actix_web::rt::spawn(async move {
        let (mut after, mut text) = (-1, "[".to_owned());
        let mut first = true;
        loop {
            match jobs.errors(&job.id, after).await {
                Ok(Some((part, entries))) => {
                    after = part;
                    for entry in entries {
                        text.push_str(if first { "" } else { "," });
                        text.push_str(entry.get());
                        first = false;
                    }
                    if sender.send(Ok(Bytes::from(std::mem::take(&mut text)))).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                // The answer breaks off, so that nobody takes it for whole.
                Err(error) => return drop(sender.send(Err(error)).await),
            }
        }
        text.push(']');
        let _ = sender.send(Ok(Bytes::from(text))).await;
    });
    Ok(Reply::Raw(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).streaming(body)))
}

/// The file of an export: `gzip`, of JSON lines or CSV. The address is the permission.
pub async fn download(request: HttpRequest, state: Data<State>) -> HttpResponse {
    match file(&request, &state).await {
        Ok(response) => response,
        Err(refusal) => problem::render(&request, &refusal),
    }
}

async fn file(request: &HttpRequest, state: &Data<State>) -> Result<HttpResponse, Refusal> {
    let gateway = state.gateway();
    let token = request.match_info().get("token").unwrap_or_default();
    let refused = |error: Error| Refusal::from(error).with_status(403).with_code("expired_link");
    let job_id = verify_export_link(gateway.admin.sealer(), token, Timestamp::now()).map_err(refused)?;
    // Now and not in the middle of the answer.
    let first = state.jobs.export_part(&job_id, 0).await.map_err(invalid)?;
    let csv = job_json(&state.jobs.job(&job_id).await.map_err(invalid)?, Timestamp::now()).get("format") == Some(&json!("csv"));
    let (sender, body) = stream();
    let jobs = std::sync::Arc::clone(&state.jobs);
    let name = format!("attachment; filename=\"{job_id}.{}.gz\"", if csv { "csv" } else { "json" });
    actix_web::rt::spawn(async move {
        let (mut part, mut number) = (Ok(first), 0);
        loop {
            let piece = match part {
                Ok(Some(piece)) => Ok(Bytes::from(piece)),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            if sender.send(piece).await.is_err() || is_last {
                return;
            }
            number += 1;
            part = jobs.export_part(&job_id, number).await;
        }
    });
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/gzip")).insert_header((CONTENT_DISPOSITION, name)).streaming(body))
}

/// A job, and where its file is.
fn shown(call: &Call, job: &Job) -> Result<Value, Refusal> {
    let mut shown = job_json(job, call.now);
    let is_file = job.kind == JobKind::UsersExport && job.status == JobStatus::Completed;
    if let (true, true, Some(members)) = (is_file, call.may("read:users"), shown.as_object_mut()) {
        let token = export_link_token(call.gateway.admin.sealer(), &job.id, call.now)?;
        members.insert("location".to_owned(), format!("{}{}", call.gateway.issuer, DOWNLOAD.replace("{token}", &token)).into());
    }
    Ok(shown)
}

/// Name and id of a connection that is named by either.
async fn connection(call: &Call, given: &str) -> Result<(String, String), Refusal> {
    let name = connection_name(call, given).await?;
    if call.gateway.place_of(&name).is_none() {
        return Err(vec![fault("/connection_id", "is no connection of this gateway")].into());
    }
    Ok((name, given.to_owned()))
}

fn flag(name: &str, text: &str) -> Result<bool, Refusal> {
    text.parse().map_err(|_| vec![fault(&format!("/{name}"), "must be true or false")].into())
}

fn invalid(error: Error) -> Refusal {
    let code = match error.kind {
        ErrorKind::NotFound => "inexistent_job",
        ErrorKind::InvalidRequest | ErrorKind::InvalidUserData => "invalid_body",
        ErrorKind::TooManyRequests => "too_many_requests",
        _ => return error.into(),
    };
    Refusal::from(error).with_code(code)
}

fn stream() -> (mpsc::Sender<Result<Bytes, Error>>, Pieces) {
    let (sender, receiver) = mpsc::channel(AHEAD);
    (sender, Pieces(receiver))
}

/// A body whose pieces somebody else makes.
struct Pieces(mpsc::Receiver<Result<Bytes, Error>>);

impl Stream for Pieces {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
