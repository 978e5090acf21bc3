//! Jobs over embedded directories, with a clock of their own.

use super::*;
use crate::store::{CredentialKind, IdentityLogin, open_directory};
use crate::user::sealing;
use crate::user::{Identity, User};
use flate2::read::MultiGzDecoder;
use std::io::Read as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Making keys takes a while, and nobody changes them.
static KEYRING: LazyLock<Arc<Keyring>> = LazyLock::new(|| {
    let certs = tempfile::tempdir().expect("a directory");
    Arc::new(Keyring::open_or_create(certs.path()).expect("keys"))
});

const BY: By<'static> = By { actor: "cli:root", correlation_id: "abcdefghjkmnpqrs" };
const BCRYPT: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

struct World {
    directory: Arc<dyn Directory>,
    time: Arc<AtomicI64>,
}

impl World {
    async fn new() -> Self {
        let directory = open_directory("sqlite::memory:").await.expect("a directory");
        Self { directory, time: Arc::new(AtomicI64::new(1_800_000_000_000)) }
    }

    /// What one process has: of several each has its own leases.
    fn node(&self) -> Arc<Jobs> {
        self.node_with(&["people", "acme", "first"])
    }

    fn node_with(&self, connections: &[&str]) -> Arc<Jobs> {
        let target = |name: &&str| {
            let sync = if *name == "first" { ProfileSync::OnFirstLogin } else { ProfileSync::OnEachLogin };
            let provider = if *name == "people" { "auth0" } else { "samlp" }.to_owned();
            (
                (*name).to_owned(),
                ImportTarget {
                    provider,
                    is_social: false,
                    link_only: *name == "first",
                    sync,
                    subject_comparison: SubjectComparison::Exact,
                },
            )
        };
        let connections: HashMap<String, ImportTarget> = connections.iter().map(target).collect();
        let time = Arc::clone(&self.time);
        let clock: Clock = Arc::new(move || Timestamp::from_millis(time.load(Ordering::Relaxed)));
        let sealed = ["user_metadata.ssn", "user_metadata.diagnosis"].map(|path| SealedPath::parse(path).expect("a path")).to_vec();
        Arc::new(Jobs::new(Arc::clone(&self.directory), Arc::clone(&KEYRING), Arc::new(connections), sealed, clock))
    }

    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    async fn user(&self, user_id: &str) -> User {
        self.directory.user(user_id).await.expect("read").unwrap_or_else(|| panic!("there is no {user_id}"))
    }

    async fn login(&self, connection: &str, subject: &str, profile: Value) {
        let identity = Identity { connection: connection.into(), provider: "samlp".into(), user_id: subject.into(), is_social: false };
        let profile = serde_json::value::to_raw_value(&profile).expect("JSON");
        self.directory
            .record_login(&IdentityLogin::plain(&identity, &profile, Timestamp::from_seconds(1_800_000_000)))
            .await
            .expect("recorded");
    }
}

fn request(connection: &str, upsert: bool) -> ImportRequest {
    ImportRequest {
        connection: connection.into(),
        connection_id: format!("con_{connection}"),
        upsert,
        external_id: None,
        max_bytes: 64 << 20,
    }
}

async fn upload(jobs: &Arc<Jobs>, connection: &str, upsert: bool, users: &Value) -> Job {
    let mut upload = jobs.begin_import(request(connection, upsert), BY).await.expect("begun");
    for chunk in users.to_string().as_bytes().chunks(1000) {
        upload.push(chunk).await.expect("taken");
    }
    upload.finish().await.expect("a job")
}

/// Lets a node work until the job has ended.
async fn worked(jobs: &Arc<Jobs>, job: &Job) -> Job {
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(jobs).run(stopped));
    let ended = wait_until(jobs, &job.id, |job| job.status.has_ended()).await;
    stop.send(true).expect("running");
    running.await.expect("stopped");
    ended
}

async fn wait_until(jobs: &Jobs, job_id: &str, done: impl Fn(&Job) -> bool) -> Job {
    for _ in 0..6000 {
        let job = jobs.job(job_id).await.expect("a job");
        if done(&job) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the job does not get there: {:?}", jobs.job(job_id).await);
}

async fn import(jobs: &Arc<Jobs>, connection: &str, upsert: bool, users: &Value) -> Job {
    let job = upload(jobs, connection, upsert, users).await;
    worked(jobs, &job).await
}

async fn report(jobs: &Jobs, job: &Job) -> Vec<Value> {
    let (mut after, mut entries) = (-1, Vec::new());
    while let Some((part, found)) = jobs.errors(&job.id, after).await.expect("read") {
        entries.extend(found.iter().map(|entry| serde_json::from_str::<Value>(entry.get()).expect("JSON")));
        after = part;
    }
    entries
}

fn summary(job: &Job) -> (i64, i64, i64, i64) {
    (job.inserted, job.updated, job.failed, job.total)
}

fn codes(entries: &[Value]) -> Vec<(&str, &str)> {
    let code = |entry: &'_ Value, name: &str| entry["errors"][0][name].as_str().map(str::to_owned).unwrap_or_default().leak() as &str;
    entries.iter().map(|entry| (code(entry, "code"), code(entry, "path"))).collect()
}

fn many(count: usize) -> Value {
    (0..count)
        .map(
            |number| json!({"user_id": format!("u{number:06}"), "email": format!("u{number}@acme.example"), "name": format!("U {number}")}),
        )
        .collect()
}

#[tokio::test]
async fn details_e_s3_7_an_import_makes_users_with_all_they_have() {
    let (world, jane) = (World::new().await, "auth0|jane");
    let jobs = world.node();
    let users = json!([
        {"user_id": "auth0|jane", "email": "Jane@acme.example", "email_verified": true, "username": "Jane", "name": "Jane Doe",
         "given_name": "Jane", "phone_number": "+4930123", "phone_verified": true, "blocked": true, "password_hash": BCRYPT,
         "mfa_factors": [{"totp": {"secret": "JBSWY3DPEHPK3PXP"}}],
         "user_metadata": {"theme": "dark", "ssn": "078-05"}, "app_metadata": {"plan": "gold"}},
        {"email": "bob@acme.example"},
    ]);
    let job = import(&jobs, "people", false, &users).await;
    assert_eq!((job.status, summary(&job)), (JobStatus::Completed, (2, 0, 0, 2)));
    assert_eq!(report(&jobs, &job).await, Vec::<Value>::new());
    let user = world.user(jane).await;
    assert!(user.blocked && user.identities[0].last_login.is_none());
    assert_eq!((user.identities[0].identity.connection.as_str(), user.identities[0].identity.user_id.as_str()), ("people", "jane"));
    let profile = crate::user::effective::effective_of_user(&user, ProfileSync::OnEachLogin).expect("in limits").expect("a profile");
    assert_eq!((profile.str("name"), profile.str("given_name"), profile.str("username")), (Some("Jane Doe"), Some("Jane"), Some("Jane")));
    assert_eq!((profile.str("email"), profile.bool("email_verified")), (Some("Jane@acme.example"), Some(true)));
    assert_eq!((profile.str("phone_number"), profile.bool("phone_number_verified")), (Some("+4930123"), Some(true)));
    assert_eq!((&user.app_metadata["plan"], &user.user_metadata["theme"]), (&json!("gold"), &json!("dark")));
    assert!(sealing::has_sealed(&user.user_metadata["ssn"]));
    assert_eq!(world.directory.users_by_email("jane@acme.example", 5).await.expect("read")[0].user_id, jane);
    for (kind, plain) in [
        (CredentialKind::Password, json!({"bcrypt": BCRYPT}).to_string()),
        (CredentialKind::Factors, json!([{"totp": {"secret": "JBSWY3DPEHPK3PXP"}}]).to_string()),
    ] {
        let sealed = world.directory.credential("people", "jane", kind).await.expect("read").expect("kept");
        assert!(!sealed.contains("N9qo8u") && !sealed.contains("JBSW"));
        assert_eq!(*open_credential(jobs.sealer(), "people", "jane", kind, &sealed).expect("opens").expose(), plain);
        assert!(open_credential(jobs.sealer(), "people", "jane ", kind, &sealed).is_err());
    }
    let shown = job_json(&job, job.created_at);
    assert_eq!(
        (&shown["percentage_done"], &shown["summary"]["inserted"], &shown["type"]),
        (&json!(100), &json!(2), &json!("users_import"))
    );
    let bob = &world.directory.users_by_email("bob@acme.example", 5).await.expect("read")[0];
    assert_eq!((bob.user_id.len(), &bob.user_id[..6]), (30, "auth0|"));
}

#[tokio::test]
async fn details_e_who_is_there_is_refused_and_bad_users_do_not_fail_the_job() {
    let world = World::new().await;
    let jobs = world.node();
    let first = json!([
        {"user_id": "jane", "email": "jane@acme.example", "username": "jane"},
        {"user_id": "bob", "email": "bob@acme.example"},
    ]);
    import(&jobs, "people", false, &first).await;
    let job = import(
        &jobs,
        "people",
        false,
        &json!([
            {"user_id": "jane", "email": "other@acme.example"},
            {"email": "JANE@acme.example"},
            {"user_id": "bob2", "email": "bob@acme.example"},
            {"user_id": "jane3", "email": "jane3@acme.example", "username": "Jane"},
            {"user_id": "new", "email": "new@acme.example"},
            {"user_id": "auth0|new", "email": "new2@acme.example"},
            {"user_id": "new3", "email": "NEW@acme.example", "password_hash": "topsecret", "user_metadata": {"ssn": "078-05"}},
            5,
            {"email": "x", "password_hash": "topsecret", "user_metadata": {"ssn": "078-05", "diagnosis": "measles", "theme": "dark"}},
        ]),
    )
    .await;
    assert_eq!((job.status, summary(&job)), (JobStatus::Completed, (1, 0, 8, 9)));
    let entries = report(&jobs, &job).await;
    let expected = [
        ("CONFLICT", "user_id"),
        ("CONFLICT_EMAIL", "email"),
        ("CONFLICT_EMAIL", "email"),
        ("CONFLICT_USERNAME", "username"),
        ("DUPLICATED_USER", ""),
        ("DUPLICATED_USER", ""),
        ("INVALID_TYPE", ""),
        ("FORMAT", "email"),
    ];
    assert_eq!(codes(&entries), expected);
    let text = json!(entries).to_string();
    assert!(!text.contains("topsecret") && !text.contains("078-05") && !text.contains("measles"), "{text}");
    assert_eq!(entries[7]["user"]["user_metadata"]["theme"], "dark");
}

#[tokio::test]
async fn details_e_the_same_file_twice_changes_nothing_even_where_values_are_sealed() {
    let world = World::new().await;
    let jobs = world.node();
    let custom = json!({"algorithm": "md5", "hash": {"value": "ab".repeat(16), "encoding": "hex"}});
    let users = json!([
        {"user_id": "jane", "email": "jane@acme.example", "name": "Jane", "user_metadata": {"ssn": "078-05", "gone": null},
         "custom_password_hash": custom, "email_verified": true},
        {"email": "bob@acme.example", "nickname": "b", "app_metadata": {"plan": {"a": [1, null]}}},
    ]);
    import(&jobs, "people", true, &users).await;
    let before = (world.user("auth0|jane").await, world.directory.users_by_email("bob@acme.example", 2).await.expect("read"));
    world.pass(100);
    let job = import(&jobs, "people", true, &users).await;
    assert_eq!(summary(&job), (0, 2, 0, 2));
    let after = (world.user("auth0|jane").await, world.directory.users_by_email("bob@acme.example", 2).await.expect("read"));
    assert_eq!(after, before);
    let now = jobs.clock.as_ref()();
    assert!(after.0.updated_at < now);
}

#[tokio::test]
async fn details_e_b_an_upsert_updates_what_may_be_and_overwrites_metadata() {
    let world = World::new().await;
    let jobs = world.node();
    let old = json!([{"user_id": "jane", "email": "jane@acme.example", "name": "Jane", "nickname": "j", "password_hash": BCRYPT,
        "user_metadata": {"theme": "dark", "a": 1}, "app_metadata": {"plan": "gold"}}]);
    import(&jobs, "people", false, &old).await;
    world.pass(100);
    let custom = json!({"algorithm": "md5", "hash": {"value": "ab".repeat(16), "encoding": "hex"}});
    let new = json!([{"user_id": "jane", "email": "other@acme.example", "name": "Jane Doe", "email_verified": true, "blocked": true,
        "phone_number": "+1", "user_metadata": {"theme": "light"}, "custom_password_hash": custom}]);
    let job = import(&jobs, "people", true, &new).await;
    assert_eq!(summary(&job), (0, 1, 0, 1));
    let user = world.user("auth0|jane").await;
    assert_eq!((user.blocked, Value::Object(user.user_metadata.clone())), (false, json!({"theme": "light"})));
    assert_eq!(Value::Object(user.app_metadata.clone()), json!({"plan": "gold"}));
    let expected = json!({"email": "jane@acme.example", "email_verified": true, "name": "Jane Doe", "nickname": "j"});
    assert_eq!(Value::Object(user.identities[0].profile.clone()), expected);
    assert_eq!(Value::Object(user.identities[0].root.clone()), json!({"name": "Jane Doe", "nickname": "j"}));
    assert_eq!(user.updated_at, jobs.clock.as_ref()());
    let sealed = world.directory.credential("people", "jane", CredentialKind::Password).await.expect("read").expect("kept");
    let plain = open_credential(jobs.sealer(), "people", "jane", CredentialKind::Password, &sealed).expect("opens");
    assert_eq!(*plain.expose(), json!({ "custom": custom }).to_string());
}

#[tokio::test]
async fn s1_6_s4_14_what_a_connection_refreshes_is_not_imported_over_what_it_said() {
    let world = World::new().await;
    let jobs = world.node();
    for connection in ["acme", "first"] {
        world.login(connection, "jane", json!({"name": "Jane", "email": "jane@acme.example", "email_verified": true})).await;
    }
    let users = json!([
        {"user_id": "samlp|acme|jane", "email": "jane@acme.example", "name": "Mallory", "email_verified": false},
        {"user_id": "ann", "email": "ann@acme.example", "name": "Ann"},
        {"email": "nobody@acme.example"},
        {"user_id": "eve", "email": "eve@acme.example", "password_hash": BCRYPT},
    ]);
    let job = import(&jobs, "acme", true, &users).await;
    assert_eq!(summary(&job), (1, 0, 3, 4));
    let entries = report(&jobs, &job).await;
    assert_eq!(codes(&entries), [("NOT_PASSED", "name"), ("OBJECT_REQUIRED", "user_id"), ("NOT_PASSED", "password_hash")]);
    assert_eq!(entries[0]["errors"][1]["path"], "email_verified");
    assert_eq!(world.user("samlp|acme|jane").await.identities[0].profile["name"], "Jane");
    assert_eq!(world.user("samlp|acme|ann").await.identities[0].profile["name"], "Ann");
    // Where it does not, the root attributes are the operators'.
    let job = import(&jobs, "first", true, &json!([{"user_id": "jane", "email": "jane@acme.example", "name": "Jane Roe"}])).await;
    assert_eq!(summary(&job), (0, 1, 0, 1));
    let stored = world.user("samlp|first|jane").await.identities.remove(0);
    assert_eq!((&stored.root["name"], &stored.profile["name"]), (&json!("Jane Roe"), &json!("Jane")));
    // It is a connection that is only linked, and what is imported for it no less.
    import(&jobs, "first", false, &json!([{"user_id": "ann", "email": "ann@acme.example"}])).await;
    assert!(!world.user("samlp|first|ann").await.identities[0].allows_login);
    assert!(world.user("samlp|acme|ann").await.identities[0].allows_login);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn details_e_after_a_kill_another_node_goes_on_and_nothing_is_lost_or_repeated() {
    let world = World::new().await;
    let (first, second) = (world.node(), world.node());
    let mut users = many(5_000);
    users[4_000] = json!({"email": "bad"});
    let job = upload(&first, "people", false, &users).await;
    assert_eq!((job.parts, job.total), (10, 5_000));
    // The first is killed in the middle of a part, again and again.
    for parts in [1, 4, 6] {
        let (_stop, stopped) = watch::channel(false);
        let running = tokio::spawn(Arc::clone(&first).work_for_tests(stopped));
        let seen = wait_until(&second, &job.id, |job| job.next_part >= parts).await;
        running.abort();
        assert!(running.await.expect_err("killed").is_cancelled());
        assert!(!seen.status.has_ended(), "too fast to be killed: {seen:?}");
        // Within the lease nobody else may touch it.
        let (now, until) = ((second.clock)(), (second.clock)().plus_seconds(20));
        assert_eq!(world.directory.claim_job("other", now, until).await.expect("an answer"), None);
        world.pass(21);
    }
    let ended = worked(&second, &job).await;
    assert_eq!((ended.status, summary(&ended)), (JobStatus::Completed, (4_999, 0, 1, 5_000)));
    assert_eq!(world.directory.count_users(None).await.expect("counted"), 4_999);
    assert_eq!(report(&second, &ended).await.len(), 1);
    assert_eq!(world.directory.job_part(&job.id, 3).await.expect("read"), None, "what is imported is not kept twice");
}

impl Jobs {
    /// All that a process does, in one task that can be killed.
    async fn work_for_tests(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let until = (self.clock)().plus_seconds(20);
        let job = self.directory.claim_job(&self.owner, (self.clock)(), until).await.expect("an answer").expect("a job");
        self.work(job, stop).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_gives_the_job_back_at_once() {
    let world = World::new().await;
    let (first, second) = (world.node(), world.node());
    let job = upload(&first, "people", false, &many(3_000)).await;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::clone(&first).run(stopped));
    wait_until(&second, &job.id, |job| job.next_part >= 1).await;
    stop.send(true).expect("running");
    running.await.expect("stopped");
    let seen = second.job(&job.id).await.expect("a job");
    assert!(!seen.status.has_ended() && seen.next_part < seen.parts, "{seen:?}");
    // The clock has not moved.
    assert_eq!(summary(&worked(&second, &job).await), (3_000, 0, 0, 3_000));
}

#[tokio::test]
async fn details_e_two_jobs_at_once_and_an_upload_that_breaks_off_frees_its_place() {
    let world = World::new().await;
    let jobs = world.node();
    let one = jobs.begin_import(request("people", false), BY).await.expect("begun");
    let export = ExportRequest { connection: None, format: ExportFormat::Json, fields: Vec::new(), external_id: None };
    let two = jobs.begin_export(export.clone(), BY).await.expect("begun");
    let refused = jobs.begin_import(request("people", false), BY).await.err().expect("refused");
    assert_eq!(refused.kind, ErrorKind::TooManyRequests);
    assert_eq!(jobs.begin_export(export, BY).await.expect_err("refused").kind, ErrorKind::TooManyRequests);
    let id = one.job_id().to_owned();
    assert_eq!(job_json(&jobs.job(&id).await.expect("a job"), two.created_at)["status"], "pending");
    drop(one);
    for _ in 0..100 {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(jobs.job(&id).await.expect_err("gone").kind, ErrorKind::NotFound);
    let mut broken = jobs.begin_import(request("people", false), BY).await.expect("there is a place again");
    let error = broken.push(b"[{\"email\": }]").await.expect_err("no JSON");
    assert!(error.detail.contains("line 1, column 12"), "{}", error.detail);
    assert_eq!(broken.finish().await.expect_err("over").kind, ErrorKind::Conflict);
    assert_eq!(jobs.begin_import(request("nowhere", false), BY).await.err().expect("refused").kind, ErrorKind::UnknownConnection);
}

#[tokio::test]
async fn details_e_jobs_end_after_two_hours_and_are_forgotten_after_a_day() {
    let world = World::new().await;
    let jobs = world.node();
    let ages = crate::store::JobAges { time_out: 7200, keep: 86400 };
    let job = upload(&jobs, "people", false, &many(3)).await;
    world.pass(7199);
    world.directory.sweep_jobs(ages, (jobs.clock)()).await.expect("swept");
    assert_eq!(jobs.job(&job.id).await.expect("a job").status, JobStatus::Pending);
    world.pass(1);
    world.directory.sweep_jobs(ages, (jobs.clock)()).await.expect("swept");
    let late = jobs.job(&job.id).await.expect("a job");
    assert_eq!((late.status, late.status_details.as_deref()), (JobStatus::Failed, Some("The job took too long.")));
    assert_eq!(world.directory.job_part(&job.id, 0).await.expect("read"), None);
    world.pass(86399);
    world.directory.sweep_jobs(ages, (jobs.clock)()).await.expect("swept");
    assert!(jobs.job(&job.id).await.is_ok());
    world.pass(1);
    world.directory.sweep_jobs(ages, (jobs.clock)()).await.expect("swept");
    assert_eq!(jobs.job(&job.id).await.expect_err("gone").kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn details_e_users_of_a_connection_that_is_gone_are_reported() {
    let world = World::new().await;
    let job = upload(&world.node(), "people", false, &many(2)).await;
    let jobs = world.node_with(&[]);
    let job = worked(&jobs, &job).await;
    assert_eq!((job.status, summary(&job)), (JobStatus::Completed, (0, 0, 2, 2)));
    assert_eq!(codes(&report(&jobs, &job).await)[0].0, "CONNECTION_NOT_FOUND");
}

async fn exported(jobs: &Arc<Jobs>, request: ExportRequest) -> (Job, String) {
    let job = jobs.begin_export(request, BY).await.expect("begun");
    let job = worked(jobs, &job).await;
    assert_eq!(job.status, JobStatus::Completed, "{job:?}");
    let mut file = Vec::new();
    while let Some(part) = jobs.export_part(&job.id, i64::try_from(file.len()).expect("few")).await.expect("read") {
        file.push(part);
    }
    let mut text = String::new();
    MultiGzDecoder::new(file.concat().as_slice()).read_to_string(&mut text).expect("one gzip file");
    (job, text)
}

fn field(name: &str, export_as: Option<&str>) -> ExportField {
    ExportField { name: name.into(), export_as: export_as.map(str::to_owned) }
}

#[tokio::test]
async fn details_e_an_export_has_everybody_once_and_no_secrets() {
    let world = World::new().await;
    let jobs = world.node();
    let mut users = many(1_200);
    users[7]["user_metadata"] = json!({"ssn": "078-05", "theme": "dark"});
    users[7]["password_hash"] = json!(BCRYPT);
    import(&jobs, "people", false, &users).await;
    world.login("acme", "jane", json!({"name": "Jane"})).await;
    let all = ExportRequest { connection: None, format: ExportFormat::Json, fields: Vec::new(), external_id: Some("x".into()) };
    let (job, text) = exported(&jobs, all.clone()).await;
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ids: std::collections::BTreeSet<&str> = lines.iter().filter_map(|line| line["user_id"].as_str()).collect();
    assert_eq!((lines.len(), ids.len(), job.total, job.parts), (1_201, 1_201, 1_201, 3));
    let eighth = lines.iter().find(|line| line["user_id"] == "auth0|u000007").expect("exported");
    assert_eq!((&eighth["user_metadata"], &eighth["identities"][0]["connection"]), (&json!({"theme": "dark"}), &json!("people")));
    assert_eq!((&eighth["email"], &eighth["blocked"]), (&json!("u7@acme.example"), &json!(false)));
    assert!(!text.contains("N9qo8u") && !text.contains("078-05"));
    let shown = job_json(&job, job.created_at);
    assert_eq!((&shown["format"], &shown["external_id"], &shown["percentage_done"]), (&json!("json"), &json!("x"), &json!(100)));

    let fields = vec![field("user_id", Some("id")), field("identities[0].provider", None), field("user_metadata.theme", None)];
    let of_one = ExportRequest { connection: Some(("acme".into(), "con_acme".into())), fields, ..all };
    assert_eq!(exported(&jobs, of_one).await.1, "{\"id\":\"samlp|acme|jane\",\"identities[0].provider\":\"samlp\"}\n");
}

#[tokio::test]
async fn details_e_a_csv_export_has_leaves_and_no_formulas() {
    let world = World::new().await;
    let jobs = world.node();
    let users = json!([
        {"user_id": "a", "email": "a@acme.example", "name": "=cmd|' /C calc'!A0", "user_metadata": {"n": {"x": 5}, "t": "a\",b"}},
        {"user_id": "b", "email": "b@acme.example", "name": "B"},
    ]);
    import(&jobs, "people", false, &users).await;
    let fields =
        vec![field("user_id", None), field("name", Some("=name")), field("user_metadata.n.x", None), field("user_metadata.t", Some("t"))];
    let request = ExportRequest { connection: None, format: ExportFormat::Csv, fields, external_id: None };
    let (_, text) = exported(&jobs, request.clone()).await;
    let expected = "\"user_id\",\"'=name\",\"user_metadata.n.x\",\"t\"\r\n\
        \"auth0|a\",\"'=cmd|' /C calc'!A0\",5,\"a\"\",b\"\r\n\
        \"auth0|b\",\"B\",,\r\n";
    assert_eq!(text, expected);
    for fields in [
        vec![field("user_metadata", None)],
        vec![field("identities", None)],
        vec![field("name", None), field("email", Some("name"))],
        vec![field("", None)],
        (0..31).map(|number| field(&format!("user_metadata.f{number}"), None)).collect(),
    ] {
        let refused = jobs.begin_export(ExportRequest { fields, ..request.clone() }, BY).await;
        assert_eq!(refused.expect_err("refused").kind, ErrorKind::InvalidRequest);
    }
}

#[tokio::test]
async fn an_export_of_nobody_is_a_file_all_the_same() {
    let world = World::new().await;
    let jobs = world.node();
    let request = ExportRequest { connection: None, format: ExportFormat::Csv, fields: vec![field("name", None)], external_id: None };
    assert_eq!(exported(&jobs, request.clone()).await.1, "\"name\"\r\n");
    assert_eq!(exported(&jobs, ExportRequest { format: ExportFormat::Json, ..request }).await.1, "");
    let (empty, none) = (import(&jobs, "people", false, &json!([])).await, "job_0000000000000000");
    assert_eq!((empty.status, summary(&empty)), (JobStatus::Completed, (0, 0, 0, 0)));
    assert_eq!(jobs.export_part(&empty.id, 0).await.expect_err("no export").kind, ErrorKind::NotFound);
    assert_eq!(jobs.export_part(none, 0).await.expect_err("no job").kind, ErrorKind::NotFound);
}
