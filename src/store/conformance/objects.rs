//! Objects of the management API: all or nothing, and changes that are seen in their order.

use super::logins::kind;
use super::{NOW, race};
use crate::error::ErrorKind;
use crate::store::{Directory, Expect, ObjectChange, ObjectWrite, StoredObject};
use std::sync::Arc;
use tokio::task::JoinSet;

pub(super) async fn all(directory: &Arc<dyn Directory>) {
    objects_are_kept_as_they_were_given(&**directory).await;
    of_several_changes_all_or_none_happen(&**directory).await;
    a_change_happens_only_where_all_is_as_expected(&**directory).await;
    a_name_is_given_once_and_is_free_after_a_deletion(&**directory).await;
    a_deletion_is_heard_of(&**directory).await;
    lists_are_in_order_and_bounded(&**directory).await;
    of_many_makers_one_makes_it(directory).await;
    versions_appear_in_their_order(directory).await;
}

fn put<'a>(kind: &'a str, id: &'a str, body: &'a str, expect: Expect) -> ObjectWrite<'a> {
    ObjectWrite { kind, id, name: None, body: Some(body), expect }
}

fn delete<'a>(kind: &'a str, id: &'a str, expect: Expect) -> ObjectWrite<'a> {
    ObjectWrite { kind, id, name: None, body: None, expect }
}

fn named<'a>(kind: &'a str, id: &'a str, name: &'a str) -> ObjectWrite<'a> {
    ObjectWrite { name: Some(name), ..put(kind, id, "{}", Expect::Any) }
}

async fn write(directory: &dyn Directory, writes: &[ObjectWrite<'_>]) -> i64 {
    directory.write_objects(writes, NOW).await.expect("written")
}

async fn body(directory: &dyn Directory, kind: &str, id: &str) -> Option<String> {
    directory.object(kind, id).await.expect("read").map(|object| object.body)
}

/// No change, and no new version.
async fn newest(directory: &dyn Directory) -> i64 {
    write(directory, &[]).await
}

async fn objects_are_kept_as_they_were_given(directory: &dyn Directory) {
    let odd = r#"{"a":"\u0000","b" : [1.0,"ü"]}"#;
    let version = write(directory, &[put("rule", "x'; --", odd, Expect::Nothing)]).await;
    let expected = StoredObject { kind: "rule".into(), id: "x'; --".into(), body: odd.into(), version, created_at: NOW, updated_at: NOW };
    assert_eq!(directory.object("rule", "x'; --").await.expect("read"), Some(expected.clone()));
    assert_eq!(directory.object("client", "x'; --").await.expect("read"), None, "another kind");
    let later = NOW.plus_seconds(5);
    let version = directory.write_objects(&[put("rule", "x'; --", "{}", Expect::Version(version))], later).await.expect("written");
    assert!(version > expected.version);
    let changed = StoredObject { body: "{}".into(), version, updated_at: later, ..expected };
    assert_eq!(directory.object("rule", "x'; --").await.expect("read"), Some(changed));
    // Made anew after a deletion, it is as old as that.
    write(directory, &[delete("rule", "x'; --", Expect::Any)]).await;
    let again = NOW.plus_seconds(9);
    directory.write_objects(&[put("rule", "x'; --", "{}", Expect::Nothing)], again).await.expect("written");
    assert_eq!(directory.object("rule", "x'; --").await.expect("read").map(|object| object.created_at), Some(again));

    let nul = [
        put("ru\0le", "a", "{}", Expect::Any),
        put("rule", "a\0", "{}", Expect::Any),
        put("rule", "a", "\0", Expect::Any),
        named("rule", "a", "\0"),
    ];
    for write in nul {
        assert_eq!(kind(directory.write_objects(&[write], NOW).await), Some(ErrorKind::InvalidRequest));
    }
    assert_eq!(directory.object("rule", "a\0").await.expect("an answer"), None);
    assert!(directory.objects("rule\0", None, 9).await.expect("an answer").is_empty());
}

async fn of_several_changes_all_or_none_happen(directory: &dyn Directory) {
    let before = newest(directory).await;
    let version = write(directory, &[put("all", "a", "1", Expect::Nothing), put("all", "b", "2", Expect::Nothing)]).await;
    let changes = directory.objects_since(before, 9).await.expect("read");
    let versions: Vec<(&str, i64)> = changes.iter().map(|change| (change.id.as_str(), change.version)).collect();
    assert_eq!(versions, [("a", version - 1), ("b", version)], "each its own, in the order of the writes");

    let refused = [put("all", "c", "3", Expect::Nothing), delete("all", "a", Expect::Any), put("all", "b", "4", Expect::Nothing)];
    assert_eq!(kind(directory.write_objects(&refused, NOW).await), Some(ErrorKind::Conflict));
    assert_eq!(body(directory, "all", "a").await.as_deref(), Some("1"));
    assert_eq!((body(directory, "all", "b").await.as_deref(), body(directory, "all", "c").await), (Some("2"), None));
    assert!(directory.objects_since(version, 9).await.expect("read").is_empty(), "nothing is heard of it");
    // A name that is taken undoes what came before it, too.
    write(directory, &[named("all", "d", "taken")]).await;
    let refused = [put("all", "e", "5", Expect::Any), named("all", "f", "taken")];
    assert_eq!(kind(directory.write_objects(&refused, NOW).await), Some(ErrorKind::Conflict));
    assert_eq!(body(directory, "all", "e").await, None);
}

async fn a_change_happens_only_where_all_is_as_expected(directory: &dyn Directory) {
    let refused = async |write: ObjectWrite<'_>| {
        let error = directory.write_objects(&[write], NOW).await.expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Conflict, "{error:?}");
        error.detail
    };
    assert!(refused(put("expect_it", "a", "1", Expect::Version(1))).await.contains("expect it a is not there any more"));
    assert!(refused(delete("expect_it", "a", Expect::Version(1))).await.contains("is not there any more"));
    let first = write(directory, &[put("expect_it", "a", "1", Expect::Nothing)]).await;
    assert!(refused(put("expect_it", "a", "2", Expect::Nothing)).await.contains("is there already"));
    assert!(refused(delete("expect_it", "a", Expect::Nothing)).await.contains("is there already"));
    let second = write(directory, &[put("expect_it", "a", "2", Expect::Version(first))]).await;
    assert!(refused(put("expect_it", "a", "3", Expect::Version(first))).await.contains("was changed by somebody else"));
    assert!(refused(delete("expect_it", "a", Expect::Version(first))).await.contains("was changed by somebody else"));
    assert_eq!(body(directory, "expect_it", "a").await.as_deref(), Some("2"));
    write(directory, &[put("expect_it", "a", "3", Expect::Any), put("expect_it", "b", "1", Expect::Any)]).await;
    assert_eq!(body(directory, "expect_it", "a").await.as_deref(), Some("3"));
    let third = directory.object("expect_it", "a").await.expect("read").expect("there").version;
    write(directory, &[delete("expect_it", "a", Expect::Version(third))]).await;
    assert_eq!(body(directory, "expect_it", "a").await, None);
    assert!(refused(put("expect_it", "a", "4", Expect::Version(third))).await.contains("is not there any more"));
    assert!(second < third);
}

async fn a_name_is_given_once_and_is_free_after_a_deletion(directory: &dyn Directory) {
    write(directory, &[named("name", "a", "acme"), named("other", "a", "acme"), named("name", "b", "Acme")]).await;
    let taken = directory.write_objects(&[named("name", "c", "acme")], NOW).await.expect_err("taken");
    assert_eq!((taken.kind, taken.detail.as_str()), (ErrorKind::Conflict, "There is another name with the name acme."));
    // Its owner may keep it; others get it when the owner has another, or is gone.
    write(directory, &[named("name", "a", "acme")]).await;
    write(directory, &[named("name", "a", "globex"), named("name", "c", "acme")]).await;
    assert_eq!(kind(directory.write_objects(&[named("name", "a", "acme")], NOW).await), Some(ErrorKind::Conflict));
    write(directory, &[delete("name", "c", Expect::Any)]).await;
    write(directory, &[named("name", "d", "acme")]).await;
    write(directory, &[delete("name", "d", Expect::Any), named("name", "e", "acme")]).await;
    assert!(directory.object("name", "e").await.expect("read").is_some());
    // Many have none.
    write(directory, &[put("name", "f", "{}", Expect::Any), put("name", "g", "{}", Expect::Any)]).await;
}

async fn a_deletion_is_heard_of(directory: &dyn Directory) {
    let made = write(directory, &[put("heard", "a", "1", Expect::Any), put("heard", "b", "1", Expect::Any)]).await;
    let gone = write(directory, &[delete("heard", "a", Expect::Any)]).await;
    let change = |id: &str, body: Option<&str>, version| ObjectChange {
        kind: "heard".into(),
        id: id.into(),
        body: body.map(str::to_owned),
        version,
    };
    let changes = directory.objects_since(made - 2, 9).await.expect("read");
    assert_eq!(changes, [change("b", Some("1"), made), change("a", None, gone)], "each once, as it is now");
    assert_eq!(directory.objects_since(made, 9).await.expect("read"), [change("a", None, gone)]);
    assert!(directory.objects_since(gone, 9).await.expect("read").is_empty());
    let back = write(directory, &[put("heard", "a", "2", Expect::Nothing)]).await;
    assert_eq!(directory.objects_since(gone, 9).await.expect("read"), [change("a", Some("2"), back)]);
    // Of what never was, nothing is heard.
    write(directory, &[delete("heard", "never", Expect::Any)]).await;
    assert!(directory.objects_since(back, 9).await.expect("read").is_empty());
}

async fn lists_are_in_order_and_bounded(directory: &dyn Directory) {
    let ids: Vec<String> = (0..25).map(|n| format!("{n:02}")).collect();
    let writes: Vec<ObjectWrite<'_>> = ids.iter().rev().map(|id| put("list", id, "{}", Expect::Nothing)).collect();
    let before = newest(directory).await;
    assert_eq!(write(directory, &writes).await, before + 25);
    write(directory, &[delete("list", "03", Expect::Any)]).await;
    let listed = async |after: Option<&str>, limit| -> Vec<String> {
        directory.objects("list", after, limit).await.expect("read").into_iter().map(|object| object.id).collect()
    };
    assert_eq!(listed(None, 4).await, ["00", "01", "02", "04"]);
    assert_eq!(listed(Some("22"), 9).await, ["23", "24"]);
    assert!(listed(Some("24"), 9).await.is_empty() && listed(None, 0).await.is_empty());
    assert_eq!(listed(None, usize::MAX).await.len(), 24);
    assert_eq!(
        directory.objects_since(before, 3).await.expect("read").iter().map(|change| change.id.as_str()).collect::<Vec<_>>(),
        ["24", "23", "22"]
    );
    assert_eq!(write(directory, &[]).await, before + 26, "nothing is changed, and no version is used");
}

async fn of_many_makers_one_makes_it(directory: &Arc<dyn Directory>) {
    let made = race(20, || {
        let directory = Arc::clone(directory);
        async move { directory.write_objects(&[put("race", "a", "{}", Expect::Nothing)], NOW).await }
    });
    let (made, refused): (Vec<_>, Vec<_>) = made.await.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 19));
    assert!(refused.into_iter().all(|answer| kind(answer) == Some(ErrorKind::Conflict)));
    let mut set = JoinSet::new();
    for n in 0..20 {
        let directory = Arc::clone(directory);
        set.spawn(async move { directory.write_objects(&[named("race", &format!("n{n}"), "one name")], NOW).await.is_ok() });
    }
    assert_eq!(set.join_all().await.into_iter().filter(|made| *made).count(), 1);
}

/// Somebody who always asks for what is new misses nothing, however many write.
async fn versions_appear_in_their_order(directory: &Arc<dyn Directory>) {
    const WRITERS: usize = 8;
    const EACH: usize = 12;
    let begin = newest(&**directory).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let directory = Arc::clone(directory);
        writers.spawn(async move {
            for n in 0..EACH {
                let (one, other) = (format!("{writer}-{n}-a"), format!("{writer}-{n}-b"));
                let writes = [put("order", &one, "{}", Expect::Nothing), put("order", &other, "{}", Expect::Nothing)];
                directory.write_objects(&writes, NOW).await.expect("written");
            }
        });
    }
    let (mut seen, mut last) = (Vec::new(), begin);
    loop {
        let finished = writers.is_empty();
        for change in directory.objects_since(last, 7).await.expect("read") {
            assert!(change.version > last);
            last = change.version;
            seen.push(change.id);
        }
        while writers.try_join_next().is_some() {}
        if finished && seen.len() >= WRITERS * EACH * 2 {
            break;
        }
        assert!(!finished || !directory.objects_since(last, 1).await.expect("read").is_empty(), "{} were seen", seen.len());
    }
    assert_eq!((seen.len(), last), (WRITERS * EACH * 2, begin + 192), "all, and no version is left out");
}
