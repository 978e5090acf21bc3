//! What PostgreSQL does when transactions get into each other's way, or end without an answer.

use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::store::directory::connect::Target;
use crate::store::test_servers::Server;
use crate::store::{Directory, LinkedBy, NewUser, open_directory};
use crate::user::Identity;
use sqlx::{AnyConnection, Connection as _};
use std::sync::Arc;
use std::time::Duration;

/// One after the other, since a server takes its time to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_end() {
    let server = Server::postgres();
    let mut raw = raw(&server).await;
    // Otherwise they are looked for after a second, and a call has two.
    sqlx::raw_sql("ALTER DATABASE postgres SET deadlock_timeout = '500ms'").execute(&mut raw).await.expect("set");
    let directory = open_directory(&server.postgres_url()).await.expect("opened");
    for subject in ["a", "b", "c"] {
        assert!(directory.create_user(&new_user(subject), NOW).await.expect("made"));
    }
    refusals_leave_no_locks_behind(&server, &directory).await;
    who_loses_a_deadlock_runs_again(&server, &directory).await;
    a_commit_without_an_answer_is_not_tried_again(&server, &directory).await;
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Though their connections are not used again.
async fn refusals_leave_no_locks_behind(server: &Server, directory: &Arc<dyn Directory>) {
    let other = open_directory(&server.postgres_url()).await.expect("opened");
    let (user_id, by) = ("samlp|acme|a", by("refused"));
    let free = async || other.set_blocked(user_id, false).await.expect("not locked");
    assert_eq!(directory.link_users(user_id, "nobody", &by, NOW).await.expect_err("nobody").kind, ErrorKind::NotFound);
    assert!(free().await);
    assert_eq!(directory.unlink(user_id, "acme", "a", NOW).await.expect_err("the primary").kind, ErrorKind::Conflict);
    assert!(free().await);
    assert_eq!(directory.unlink(user_id, "acme", "b", NOW).await.expect("an answer"), None);
    assert!(free().await);
}

async fn who_loses_a_deadlock_runs_again(server: &Server, directory: &Arc<dyn Directory>) {
    let mut other = raw(server).await;
    sqlx::raw_sql("SET deadlock_timeout = '10s'").execute(&mut other).await.expect("patient");
    let mut lock = other.begin().await.expect("begun");
    let touch = "UPDATE users SET blocked = 0 WHERE user_id = $1";
    sqlx::query(touch).bind("samlp|acme|b").execute(&mut *lock).await.expect("locked");
    let by = by("deadlock");
    let (linked, ()) = tokio::join!(directory.link_users("samlp|acme|a", "samlp|acme|b", &by, NOW), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        sqlx::query(touch).bind("samlp|acme|a").execute(&mut *lock).await.expect("the other one loses");
        lock.commit().await.expect("committed");
    });
    assert_eq!(linked.expect("linked").former_user_id.as_deref(), Some("samlp|acme|b"));
}

/// Whether it has happened is not known then, and a second attempt would be told that it is done already.
async fn a_commit_without_an_answer_is_not_tried_again(server: &Server, directory: &Arc<dyn Directory>) {
    let url = server.postgres_url().replace(&server.port.to_string(), &cuts_after_commit(server.port).await.to_string());
    let cut = open_directory(&url).await.expect("opened");
    let before = directory.user("samlp|acme|c").await.expect("read").expect("there").updated_at;
    let forgotten = cut.forget_profile("samlp|acme|c", NOW).await;
    assert_eq!(forgotten.expect_err("no answer").kind, ErrorKind::StoreUnavailable);
    let after = directory.user("samlp|acme|c").await.expect("read").expect("there").updated_at;
    assert_eq!(after.millis(), before.millis() + 1, "changed once");
}

async fn raw(server: &Server) -> AnyConnection {
    Target::new(&server.postgres_url()).expect("understood").connect().await.expect("connected")
}

fn by(link_id: &str) -> LinkedBy {
    LinkedBy { link_id: link_id.into(), how: "operator".into(), actor: "test".into(), correlation_id: String::new() }
}

fn new_user(subject: &str) -> NewUser {
    NewUser::bare(Identity { connection: "acme".into(), provider: "samlp".into(), user_id: subject.into(), is_social: false })
}

/// A port before a server's that, after the tables have been made, loses the answer to each COMMIT.
async fn cuts_after_commit(port: u16) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let own = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let mut commits = 0;
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("the server is there");
            let (mut question, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
            loop {
                tokio::select! {
                    Ok(length @ 1..) = client.read(&mut question) => {
                        server.write_all(&question[..length]).await.expect("the server reads");
                        commits += usize::from(question[..length].windows(6).any(|word| word == b"COMMIT"));
                        if commits > 1 {
                            assert_ne!(server.read(&mut answer).await.expect("committed"), 0);
                            commits = 1;
                            break;
                        }
                    }
                    Ok(length @ 1..) = server.read(&mut answer) => client.write_all(&answer[..length]).await.expect("the client reads"),
                    else => break,
                }
            }
        }
    });
    own
}
