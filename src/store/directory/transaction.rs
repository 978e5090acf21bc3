//! Several statements as one step.
//!
//! What keeps it right when several nodes, operators and logins do it at once:
//! - The first statement writes. SQLite then waits for the other writer, instead of failing when it comes to writing.
//! - Rows are locked in one order: the turn of an e-mail address, users by user id, then identities and the rest.
//!   Should two of them wait for each other all the same, PostgreSQL ends one, and it runs again.
//! - It always ends here. A transaction that is only dropped keeps its locks until the connection's next use.

use super::{Trouble, is_broken};
use sqlx::{AnyConnection, Connection as _};

/// What becomes of statements that went well.
pub(super) enum End<T> {
    Commit(T),
    /// The answer is known, and nothing is to be changed.
    RollBack(T),
}

/// Runs statements all or nothing; trouble rolls back.
pub(super) async fn transaction<T, F>(connection: &mut AnyConnection, statements: F) -> Result<T, Trouble>
where
    F: AsyncFnOnce(&mut AnyConnection) -> Result<End<T>, Trouble>,
{
    let mut transaction = connection.begin().await?;
    match statements(&mut transaction).await {
        Ok(End::Commit(answer)) => match transaction.commit().await {
            Ok(()) => Ok(answer),
            Err(error) if is_broken(&error) => Err(Trouble::Unanswered(error)),
            Err(error) => Err(error.into()),
        },
        Ok(End::RollBack(answer)) => {
            transaction.rollback().await?;
            Ok(answer)
        }
        Err(trouble) => {
            // The trouble is what matters; a connection that broke is not used again.
            let _ = transaction.rollback().await;
            Err(trouble)
        }
    }
}

/// Two transactions waited for each other, or for the same thing, and PostgreSQL ended this one.
pub(super) fn is_collision(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|code| matches!(code.as_ref(), "40001" | "40P01")))
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
