//! Questions about many users, and their answers.

use crate::user::User;
use crate::user::search::{Filter, Sort};

/// Users in one answer of [`super::Directory::find_users`].
pub const MOST_FOUND: usize = 100;

/// Users that can be reached by going from page to page; there is [`super::Directory::users_after`] for more.
pub const MOST_REACHED: usize = 1000;

/// Users in one answer of [`super::Directory::users_after`].
pub const MOST_LISTED: usize = 1000;

/// Which users, and which part of them.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// `None`: everybody.
    pub filter: Option<Filter>,
    pub sort: Sort,
    /// How many to leave out.
    pub offset: usize,
    /// At most [`MOST_FOUND`], and with `offset` at most [`MOST_REACHED`].
    pub limit: usize,
    /// Count all that there are, too. Costs more than the page where many are found.
    pub count: bool,
}

/// Answer of [`super::Directory::find_users`].
#[derive(Clone, Debug, PartialEq)]
pub struct FoundUsers {
    /// In the order that was asked for.
    pub users: Vec<User>,
    /// How many there are on all pages, where that was asked.
    pub total: Option<i64>,
}
