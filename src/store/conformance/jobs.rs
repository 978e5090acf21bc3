//! Jobs: places, leases, parts, and what an import writes, whole or not at all.

use super::users::new_user;
use super::{NOW, identity, login, object, race};
use crate::error::ErrorKind;
use crate::id::random_id;
use crate::store::{
    CredentialKind, Directory, ExportStep, ImportInsert, ImportNames, ImportStep, ImportUpdate, Job, JobAges, JobKind, JobStatus, NewJob,
};
use crate::user::Identity;
use serde_json::json;
use std::sync::Arc;

const AGES: JobAges = JobAges { time_out: 7200, keep: 86400 };

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    two_jobs_have_a_place_and_no_third(directory).await;
    a_job_has_one_owner_at_a_time(directory).await;
    parts_arrive_in_their_order_and_go_when_they_are_done(&**directory).await;
    a_part_is_imported_once(directory).await;
    a_part_that_somebody_overtook_leaves_nothing(&**directory).await;
    two_imports_give_no_address_twice(directory).await;
    names_find_who_is_there(&**directory).await;
    secrets_stay_with_their_identity(&**directory).await;
    users_are_exported_in_pages(&**directory).await;
    jobs_end_and_go(&**directory).await;
}

fn job(kind: JobKind, status: JobStatus) -> NewJob {
    NewJob {
        id: format!("job_{}", &random_id()[..16]),
        kind,
        status,
        created_at: NOW,
        connection_id: Some("con_1".into()),
        connection: Some("people".into()),
        external_id: None,
        settings: "{}".into(),
        lease_until: NOW.plus_seconds(60),
    }
}

/// A job of an import with so many parts, claimed by `owner`.
async fn claimed(directory: &dyn Directory, owner: &str, parts: i64) -> Job {
    let new = job(JobKind::UsersImport, JobStatus::Receiving);
    assert!(directory.begin_job(&new, 9).await.expect("begun"));
    for part in 0..parts {
        assert!(directory.receive_part(&new.id, part, 1, "body", NOW.plus_seconds(60)).await.expect("received"));
    }
    assert!(directory.job_received(&new.id).await.expect("received"));
    let claimed = directory.claim_job(owner, NOW, NOW.plus_seconds(20)).await.expect("an answer").expect("a job");
    assert_eq!((claimed.id.as_str(), claimed.parts, claimed.total), (new.id.as_str(), parts, parts));
    claimed
}

async fn read(directory: &dyn Directory, job_id: &str) -> Job {
    directory.job(job_id).await.expect("read").expect("a job")
}

async fn end(directory: &dyn Directory, job: &Job) {
    assert!(directory.delete_job(&job.id).await.expect("deleted"));
}

fn insert(subject: &str, email: &str) -> ImportInsert {
    ImportInsert {
        identity: Identity { connection: "people".into(), provider: "auth0".into(), user_id: subject.into(), is_social: false },
        allows_login: true,
        blocked: false,
        profile: json!({ "email": email }).to_string(),
        root: "{}".into(),
        user_metadata: r#"{"a":1}"#.into(),
        app_metadata: "{}".into(),
        email: email.into(),
        email_verified: true,
        username: Some(format!("{subject}-name")),
        credentials: vec![(CredentialKind::Password, "sealed".into())],
    }
}

fn step<'a>(job: &'a Job, owner: &'a str, inserts: &'a [ImportInsert], updates: &'a [ImportUpdate]) -> ImportStep<'a> {
    ImportStep {
        job_id: &job.id,
        owner,
        part: job.next_part,
        connection: "people",
        unique_emails: true,
        inserts,
        updates,
        unchanged: 0,
        failed: 0,
        errors: None,
        lease_until: NOW.plus_seconds(20),
        now: NOW,
    }
}

async fn two_jobs_have_a_place_and_no_third(directory: &Arc<dyn Directory>) {
    let answers = race(12, || {
        let directory = Arc::clone(directory);
        async move {
            let new = job(JobKind::UsersExport, JobStatus::Pending);
            directory.begin_job(&new, 2).await.expect("an answer").then_some(new.id)
        }
    });
    let begun: Vec<String> = answers.await.into_iter().flatten().collect();
    assert_eq!(begun.len(), 2);
    let third = job(JobKind::UsersImport, JobStatus::Receiving);
    assert!(!directory.begin_job(&third, 2).await.expect("an answer"));
    assert_eq!(directory.job(&third.id).await.expect("read"), None);
    assert!(directory.delete_job(&begun[0]).await.expect("deleted"));
    assert!(!directory.delete_job(&begun[0]).await.expect("an answer"));
    assert!(directory.begin_job(&third, 2).await.expect("there is a place"));
    // What was done at once needs no place, and nobody works on it.
    let done = job(JobKind::VerificationEmail, JobStatus::Completed);
    assert!(directory.begin_job(&done, 2).await.expect("noted"));
    let noted = read(directory.as_ref(), &done.id).await;
    assert_eq!((noted.status, noted.finished_at), (JobStatus::Completed, Some(NOW)));
    for id in [&begun[1], &third.id, &done.id] {
        assert!(directory.delete_job(id).await.expect("deleted"));
    }
    for odd in ["job_\0", "job_nobody"] {
        assert_eq!(directory.job(odd).await.expect("an answer"), None);
    }
}

async fn a_job_has_one_owner_at_a_time(directory: &Arc<dyn Directory>) {
    let new = job(JobKind::UsersExport, JobStatus::Pending);
    assert!(directory.begin_job(&new, 2).await.expect("begun"));
    let answers = race(20, || {
        let directory = Arc::clone(directory);
        async move {
            let owner = random_id();
            let job = directory.claim_job(&owner, NOW, NOW.plus_seconds(20)).await.expect("an answer");
            job.map(|_| owner)
        }
    });
    let owners: Vec<String> = answers.await.into_iter().flatten().collect();
    let [owner] = owners.as_slice() else { panic!("one owner: {owners:?}") };
    let id = &new.id;
    let seen = read(&**directory, id).await;
    assert_eq!((seen.status, seen.started_at), (JobStatus::Processing, Some(NOW)));
    assert!(directory.keep_job(id, owner, NOW.plus_seconds(30)).await.expect("kept"));
    let claim = async |at: i64| directory.claim_job("heir", NOW.plus_seconds(at), NOW.plus_seconds(at + 20)).await.expect("an answer");
    assert_eq!(claim(29).await, None);
    let inherited = claim(30).await.expect("abandoned");
    assert_eq!((inherited.started_at, &inherited.id), (Some(NOW), id));
    // The former owner can do nothing any more.
    let step = ExportStep { job_id: id, owner, part: 0, body: "x", users: 1, place: "u", lease_until: NOW };
    assert!(!directory.export_part(&step).await.expect("an answer"));
    assert!(!directory.keep_job(id, owner, NOW.plus_seconds(90)).await.expect("an answer"));
    assert!(!directory.set_job_total(id, owner, 5).await.expect("an answer"));
    assert!(!directory.end_job(id, owner, JobStatus::Failed, None, NOW).await.expect("an answer"));
    assert_eq!((read(&**directory, id).await.parts, directory.job_part(id, 0).await.expect("read")), (0, None));
    assert!(directory.end_job(id, "heir", JobStatus::Completed, None, NOW.plus_seconds(40)).await.expect("ended"));
    assert_eq!(claim(3000).await, None);
    end(&**directory, &inherited).await;
}

async fn parts_arrive_in_their_order_and_go_when_they_are_done(directory: &dyn Directory) {
    let new = job(JobKind::UsersImport, JobStatus::Receiving);
    assert!(directory.begin_job(&new, 2).await.expect("begun"));
    let receive = async |part: i64| directory.receive_part(&new.id, part, 500, "body", NOW.plus_seconds(60)).await.expect("an answer");
    assert!(!receive(1).await);
    assert!(receive(0).await && !receive(0).await && receive(1).await);
    // Nobody works on what is still arriving, however long it takes.
    assert_eq!(directory.claim_job("early", NOW.plus_seconds(900), NOW.plus_seconds(920)).await.expect("an answer"), None);
    assert!(directory.job_received(&new.id).await.expect("received"));
    assert!(!directory.job_received(&new.id).await.expect("an answer") && !receive(2).await);
    let job = directory.claim_job("owner", NOW, NOW.plus_seconds(20)).await.expect("an answer").expect("a job");
    assert_eq!((job.parts, job.total, job.next_part), (2, 1000, 0));
    let report = json!([{"user": {"email": "ü"}, "errors": []}]).to_string();
    let done = ImportStep { failed: 3, unchanged: 2, errors: Some(&report), ..step(&job, "owner", &[], &[]) };
    let stranger = ImportStep { owner: "stranger", ..done.clone() };
    assert!(!directory.import_part(&stranger).await.expect("an answer"), "the job is somebody else's");
    assert!(directory.import_part(&done).await.expect("done"));
    assert!(!directory.import_part(&done).await.expect("an answer"), "a part is done once");
    assert_eq!(directory.job_part(&job.id, 0).await.expect("read"), None);
    assert_eq!(directory.job_part(&job.id, 1).await.expect("read").as_deref(), Some("body"));
    let seen = read(directory, &job.id).await;
    assert_eq!((seen.next_part, seen.failed, seen.updated, seen.inserted), (1, 3, 2, 0));
    assert_eq!(directory.job_errors(&job.id, -1, 9).await.expect("read"), [(0, report)]);
    assert_eq!(directory.job_errors(&job.id, 0, 9).await.expect("read"), []);
    end(directory, &job).await;
    assert_eq!(directory.job_part(&job.id, 1).await.expect("read"), None);
    assert_eq!(directory.job_errors(&job.id, -1, 9).await.expect("read"), []);
}

/// Of several who all believe to be its owner.
async fn a_part_is_imported_once(directory: &Arc<dyn Directory>) {
    let job = claimed(&**directory, "owner", 1).await;
    let answers = race(8, || {
        let (directory, job) = (Arc::clone(directory), job.clone());
        async move {
            let linked_only = ImportInsert { allows_login: false, ..insert("twice", "twice@people.example") };
            let inserts = [insert("once", "once@people.example"), linked_only];
            directory.import_part(&step(&job, "owner", &inserts, &[])).await.expect("an answer")
        }
    });
    assert_eq!(answers.await.into_iter().filter(|done| *done).count(), 1);
    assert_eq!((read(&**directory, &job.id).await.inserted, read(&**directory, &job.id).await.next_part), (2, 1));
    let user = super::logins::read(&**directory, "auth0|once").await;
    assert_eq!((user.created_at, &user.user_metadata, user.identities.len()), (NOW, &object(json!({"a": 1})), 1));
    assert_eq!((user.identities[0].last_login, user.identities[0].allows_login, user.identities[0].logins_count), (None, true, 0));
    assert!(!super::logins::read(&**directory, "auth0|twice").await.identities[0].allows_login);
    assert_eq!(directory.users_by_email("once@people.example", 5).await.expect("read").len(), 1);
    end(&**directory, &job).await;
}

async fn a_part_that_somebody_overtook_leaves_nothing(directory: &dyn Directory) {
    let job = claimed(directory, "owner", 1).await;
    let jane = Identity { user_id: "overtaker".into(), ..insert("x", "x").identity };
    login(directory, &jane, json!({"name": "Jane"}), NOW).await;
    let known = known(directory, &["overtaker"], &[], &[]).await.identities.remove(0);
    let update = ImportUpdate {
        user_id: known.user_id.clone(),
        subject: known.subject.clone(),
        seen_updated_at: known.updated_at,
        seen_logins_count: known.logins_count,
        profile: Some(r#"{"name":"Old"}"#.into()),
        root: None,
        user_metadata: Some(r#"{"b":2}"#.into()),
        app_metadata: None,
        email_verified: Some(true),
        password: Some("sealed".into()),
    };
    let fresh = insert("fresh", "fresh@people.example");
    let is_taken = |error: crate::error::Error| assert_eq!(error.kind, ErrorKind::Conflict);
    // The new one is not there, since of all the others one was.
    let taken = [fresh.clone(), insert("overtaker", "o@people.example")];
    is_taken(directory.import_part(&step(&job, "owner", &taken, &[])).await.expect_err("somebody was faster"));
    let named = [fresh.clone(), ImportInsert { username: fresh.username.clone(), ..insert("namesake", "n@people.example") }];
    is_taken(directory.import_part(&step(&job, "owner", &named, &[])).await.expect_err("a name twice"));
    // Somebody signs in between the look and the step; then the profile is another.
    login(directory, &jane, json!({"name": "Jane Doe"}), NOW.plus_seconds(1)).await;
    let (fresh, update) = ([fresh], [update]);
    is_taken(directory.import_part(&step(&job, "owner", &fresh, &update)).await.expect_err("somebody signed in"));
    assert_eq!(directory.user("auth0|fresh").await.expect("read"), None);
    let user = super::logins::read(directory, "auth0|overtaker").await;
    assert_eq!((user.updated_at, user.user_metadata.len(), &user.identities[0].profile["name"]), (NOW, 0, &json!("Jane Doe")));
    assert_eq!((read(directory, &job.id).await.next_part, directory.job_part(&job.id, 0).await.expect("read").is_some()), (0, true));
    // Seen as it is, it goes.
    let seen = ImportUpdate { seen_logins_count: known.logins_count + 1, ..update[0].clone() };
    assert!(directory.import_part(&step(&job, "owner", &fresh, &[seen])).await.expect("done"));
    let user = super::logins::read(directory, "auth0|overtaker").await;
    assert_eq!((&user.user_metadata, &user.identities[0].profile["name"]), (&object(json!({"b": 2})), &json!("Old")));
    assert!(user.updated_at > NOW || user.updated_at.millis() == NOW.millis() + 1);
    assert_eq!(directory.credential("people", "overtaker", CredentialKind::Password).await.expect("read").as_deref(), Some("sealed"));
    end(directory, &job).await;
}

async fn two_imports_give_no_address_twice(directory: &Arc<dyn Directory>) {
    let jobs = [claimed(&**directory, "owner", 1).await, claimed(&**directory, "owner", 1).await];
    let import = async |job: &Job, subject: &str| {
        let inserts = [insert(subject, "shared@people.example")];
        directory.import_part(&step(job, "owner", &inserts, &[])).await
    };
    let (one, other) = tokio::join!(import(&jobs[0], "first-shared"), import(&jobs[1], "second-shared"));
    let kinds: Vec<Option<ErrorKind>> = [one, other].into_iter().map(|answer| answer.err().map(|error| error.kind)).collect();
    assert!(kinds.contains(&None) && kinds.contains(&Some(ErrorKind::Conflict)), "{kinds:?}");
    assert_eq!(directory.users_by_email("shared@people.example", 5).await.expect("read").len(), 1);
    for job in &jobs {
        end(&**directory, job).await;
    }
}

async fn known(directory: &dyn Directory, subjects: &[&str], emails: &[&str], usernames: &[&str]) -> crate::store::ImportKnown {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let (subjects, emails, usernames) = (owned(subjects), owned(emails), owned(usernames));
    let user_ids: Vec<String> = subjects.iter().map(|subject| format!("auth0|{subject}")).collect();
    let names = ImportNames { connection: "people", subjects: &subjects, emails: &emails, usernames: &usernames, user_ids: &user_ids };
    directory.import_known(&names).await.expect("read")
}

async fn names_find_who_is_there(directory: &dyn Directory) {
    let job = claimed(directory, "owner", 1).await;
    let inserts = [insert("found", "found@people.example"), insert("other", "other@people.example")];
    assert!(directory.import_part(&step(&job, "owner", &inserts, &[])).await.expect("done"));
    end(directory, &job).await;
    for (subjects, emails, usernames) in [
        (vec!["found", "nobody"], vec![], vec![]),
        (vec![], vec!["found@people.example", "x"], vec![]),
        (vec![], vec![], vec!["found-name"]),
        (vec!["found"], vec!["found@people.example"], vec!["found-name"]),
    ] {
        let found = known(directory, &subjects, &emails, &usernames).await;
        let [one] = found.identities.as_slice() else { panic!("one: {found:?}") };
        assert_eq!((one.user_id.as_str(), one.email.as_deref()), ("auth0|found", Some("found@people.example")));
        assert_eq!((one.username.as_deref(), one.password.as_deref(), one.came), (Some("found-name"), Some("sealed"), false));
        assert_eq!((one.updated_at, &one.user_metadata), (NOW, &object(json!({"a": 1}))));
        assert_eq!(found.user_ids, subjects.iter().filter(|name| **name == "found").map(|_| "auth0|found").collect::<Vec<_>>());
    }
    assert_eq!(known(directory, &[], &[], &[]).await, crate::store::ImportKnown::default());
    let hostile = known(directory, &["'; DROP TABLE users; --"], &["' OR 1=1"], &["$1"]).await;
    assert_eq!(hostile, crate::store::ImportKnown::default());
    let many: Vec<String> = (0..1_300).map(|number| format!("n{number}")).chain(["found".to_owned()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(known(directory, &many, &many, &many).await.identities.len(), 1);
}

async fn secrets_stay_with_their_identity(directory: &dyn Directory) {
    let secret = identity("has-a-secret");
    assert!(directory.create_user(&new_user(secret.clone()), NOW).await.expect("made"));
    let put = async |subject: &str, body: &str| {
        directory.put_credential("acme", subject, CredentialKind::Factors, body, NOW).await.expect("an answer")
    };
    let get = async |kind| directory.credential("acme", "has-a-secret", kind).await.expect("an answer");
    assert!(put("has-a-secret", "one").await && put("has-a-secret", "two").await);
    assert!(!put("nobody", "one").await && !put("a\0b", "one").await);
    assert_eq!((get(CredentialKind::Factors).await.as_deref(), get(CredentialKind::Password).await), (Some("two"), None));
    let change = async |subject: &str, before: Option<&str>, after: Option<&str>| {
        directory.change_credential("acme", subject, CredentialKind::Factors, (before, after), NOW).await.expect("an answer")
    };
    for (before, after) in [(None, Some("three")), (Some("one"), Some("three")), (Some("one"), None), (None, None)] {
        assert!(!change("has-a-secret", before, after).await, "{before:?} {after:?}");
    }
    assert!(change("has-a-secret", Some("two"), Some("three")).await && change("has-a-secret", Some("three"), None).await);
    assert_eq!(get(CredentialKind::Factors).await, None);
    // Of several at once one is the first.
    let first = [0, 1, 2, 3].map(|number| async move { change("has-a-secret", None, Some(&number.to_string())).await });
    let [one, two, three, four] = first;
    let (one, two, three, four) = tokio::join!(one, two, three, four);
    assert_eq!([one, two, three, four].into_iter().filter(|ours| *ours).count(), 1);
    assert!(!change("nobody", None, Some("one")).await && !change("a\0b", None, Some("one")).await && put("has-a-secret", "two").await);
    // Linked to somebody else, it is still the identity's; deleted with its user, it is gone.
    let owner = identity("takes-a-secret");
    let owner_id = login(directory, &owner, json!({}), NOW).await.user_id;
    let by = super::logins::by("operator");
    directory.link_users(&owner_id, &secret.user_id_for_new_user(), &by, NOW).await.expect("linked");
    assert_eq!(get(CredentialKind::Factors).await.as_deref(), Some("two"));
    let put = async |kind| directory.put_credential("acme", "has-a-secret", kind, "tokens", NOW).await.expect("an answer");
    assert!(put(CredentialKind::ProviderTokens).await);
    assert_eq!(get(CredentialKind::ProviderTokens).await.as_deref(), Some("tokens"));
    // What a provider gave goes with the link, and with what the provider said.
    let apart = directory.unlink(&owner_id, "acme", "has-a-secret", NOW).await.expect("unlinked").expect("a user");
    assert_eq!((get(CredentialKind::ProviderTokens).await, get(CredentialKind::Factors).await.as_deref()), (None, Some("two")));
    assert!(put(CredentialKind::ProviderTokens).await);
    assert!(directory.forget_profile(&apart.user_id, NOW).await.expect("forgotten"));
    assert_eq!((get(CredentialKind::ProviderTokens).await, get(CredentialKind::Factors).await.as_deref()), (None, Some("two")));
    directory.link_users(&owner_id, &apart.user_id, &super::logins::by("operator-again"), NOW).await.expect("linked again");
    let shown = format!("{:?}", super::logins::read(directory, &owner_id).await);
    assert!(!shown.contains("two"));
    assert!(directory.delete_user(&owner_id).await.expect("deleted"));
    assert_eq!(get(CredentialKind::Factors).await, None);
}

async fn users_are_exported_in_pages(directory: &dyn Directory) {
    let mut all = Vec::new();
    loop {
        let page = directory.export_page(None, all.last().map(String::as_str), 7).await.expect("read");
        assert!(page.len() <= 7);
        let Some(_) = page.last() else { break };
        all.extend(page.into_iter().map(|user| user.user_id));
    }
    assert_eq!(i64::try_from(all.len()).expect("few"), directory.count_users(None).await.expect("counted"));
    let mut once = all.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), all.len(), "everybody once");
    let people = directory.export_page(Some("people"), None, 1000).await.expect("read");
    assert!(people.iter().all(|user| user.identities.iter().any(|stored| stored.identity.connection == "people")));
    assert_eq!(i64::try_from(people.len()).expect("few"), directory.count_users(Some("people")).await.expect("counted"));
    assert!(people.len() >= 6 && people.len() < all.len());
}

async fn jobs_end_and_go(directory: &dyn Directory) {
    let stuck = job(JobKind::UsersImport, JobStatus::Receiving);
    assert!(directory.begin_job(&stuck, 2).await.expect("begun"));
    let working = {
        let new = job(JobKind::UsersExport, JobStatus::Pending);
        assert!(directory.begin_job(&new, 2).await.expect("begun"));
        directory.claim_job("owner", NOW, NOW.plus_seconds(20)).await.expect("an answer").expect("a job")
    };
    assert!(directory.set_job_total(&working.id, "owner", 3).await.expect("set"));
    let part = ExportStep { job_id: &working.id, owner: "owner", part: 0, body: "x", users: 2, place: "u", lease_until: NOW };
    assert!(directory.export_part(&part).await.expect("written"));
    assert!(!directory.export_part(&part).await.expect("an answer"), "a part is written once");
    let seen = read(directory, &working.id).await;
    assert_eq!((seen.parts, seen.inserted, seen.total, seen.place.as_deref()), (1, 2, 3, Some("u")));
    let status = async |id: &str| directory.job(id).await.expect("read").map(|job| (job.status, job.status_details.unwrap_or_default()));
    directory.sweep_jobs(AGES, NOW.plus_seconds(59)).await.expect("swept");
    assert_eq!(status(&stuck.id).await, Some((JobStatus::Receiving, String::new())));
    directory.sweep_jobs(AGES, NOW.plus_seconds(60)).await.expect("swept");
    assert_eq!(status(&stuck.id).await, Some((JobStatus::Failed, "The file stopped arriving.".to_owned())));
    directory.sweep_jobs(AGES, NOW.plus_seconds(7200)).await.expect("swept");
    assert_eq!(status(&working.id).await, Some((JobStatus::Failed, "The job took too long.".to_owned())));
    assert!(!directory.keep_job(&working.id, "owner", NOW.plus_seconds(9000)).await.expect("an answer"));
    directory.sweep_jobs(AGES, NOW.plus_seconds(60 + 86400)).await.expect("swept");
    assert_eq!((status(&stuck.id).await, status(&working.id).await.is_some()), (None, true));
    directory.sweep_jobs(AGES, NOW.plus_seconds(7200 + 86400)).await.expect("swept");
    assert_eq!((status(&working.id).await, directory.job_part(&working.id, 0).await.expect("read")), (None, None));
}
