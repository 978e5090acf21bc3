//! SQL from a filter.
//!
//! The text of a [`Statement`] is assembled from `&'static str` pieces and numbered places; everything that somebody wrote
//! is bound to such a place. [`Statement::push`] takes nothing else, which is why the text may be called safe.
//!
//! Negations are moved down to the terms. A term is then a condition on the user `s`: of a column of `s` itself, or that a
//! row exists elsewhere. Where a term (or an alternative of terms) can be found by an index, one of each conjunction is put
//! the other way round, `s.user_id IN (..)`, and the database begins there.

mod term;

use crate::store::directory::connect::Backend;
use crate::store::search::UserQuery;
use crate::user::search::{Filter, Order, Sort, SortField, Test, TextField, TimeField};
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row as _};
use term::Term;

/// A statement and what is bound to its places.
pub(super) struct Statement {
    backend: Backend,
    text: String,
    values: Vec<Bound>,
}

#[derive(Clone, Debug, PartialEq)]
enum Bound {
    Text(String),
    Whole(i64),
    Number(f64),
}

/// A filter whose negations are at its terms.
enum Plan<'f> {
    All(Vec<Self>),
    Any(Vec<Self>),
    Term(Term<'f>),
    Not(Term<'f>),
}

impl Statement {
    /// The ids of one page.
    pub(super) fn page(backend: Backend, query: &UserQuery) -> Self {
        let mut sql = Self::new(backend);
        sql.push("SELECT s.user_id FROM search_users s");
        sql.push(match query.sort.field {
            SortField::Text(_) => "",
            SortField::LoginsCount | SortField::Time(TimeField::LastLogin) => " JOIN search_activity a ON a.user_id = s.user_id",
            SortField::Time(TimeField::CreatedAt) => " JOIN users u ON u.user_id = s.user_id",
            SortField::Time(TimeField::UpdatedAt) => {
                " JOIN users u ON u.user_id = s.user_id JOIN search_activity a ON a.user_id = s.user_id"
            }
        });
        sql.condition(query.filter.as_ref());
        sql.order(query.sort);
        sql.push(" LIMIT ");
        sql.bind(whole(query.limit));
        sql.push(" OFFSET ");
        sql.bind(whole(query.offset));
        sql
    }

    /// How many there are.
    pub(super) fn count(backend: Backend, filter: Option<&Filter>) -> Self {
        let mut sql = Self::new(backend);
        sql.push("SELECT COUNT(*) FROM search_users s");
        sql.condition(filter);
        sql
    }

    /// The ids after one, in their order.
    pub(super) fn after(backend: Backend, after: Option<&str>, connection: Option<&str>, limit: usize) -> Self {
        let mut sql = Self::new(backend);
        sql.push("SELECT s.user_id FROM search_users s WHERE s.user_id");
        sql.push_collation();
        sql.push(if after.is_some() { " > " } else { " >= " });
        sql.bind(text(after.unwrap_or_default()));
        if let Some(connection) = connection {
            sql.push(" AND (EXISTS (SELECT 1 FROM identities n WHERE n.user_id = s.user_id AND n.connection = ");
            sql.bind(text(connection));
            sql.push(")) IS TRUE");
        }
        sql.order(Sort::default());
        sql.push(" LIMIT ");
        sql.bind(whole(limit));
        sql
    }

    pub(super) async fn ids(self, connection: &mut AnyConnection) -> Result<Vec<String>, sqlx::Error> {
        self.query().fetch_all(connection).await?.iter().map(|row| row.try_get(0)).collect()
    }

    pub(super) async fn number(self, connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
        let rows = self.query().fetch_all(connection).await?;
        rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
    }

    /// Not kept for the next time, which will ask something else; and PostgreSQL then plans for the values.
    fn query(self) -> Query<'static, Any, AnyArguments> {
        // Safe, as every piece of it was written here: see `push`.
        let query = sqlx::query(AssertSqlSafe(self.text)).persistent(false);
        self.values.into_iter().fold(query, |query, value| match value {
            Bound::Text(text) => query.bind(text),
            Bound::Whole(number) => query.bind(number),
            Bound::Number(number) => query.bind(number),
        })
    }

    fn new(backend: Backend) -> Self {
        Self { backend, text: String::new(), values: Vec::new() }
    }

    /// Adds to the text. The lifetime is what keeps queries out of it.
    fn push(&mut self, piece: &'static str) {
        self.text.push_str(piece);
    }

    /// Adds a place, and what is bound to it.
    fn bind(&mut self, value: Bound) {
        self.values.push(value);
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
    }

    /// By octets, for a column that the database may otherwise sort by its locale.
    fn push_collation(&mut self) {
        if self.backend == Backend::Postgres {
            self.push(" COLLATE \"C\"");
        }
    }

    fn condition(&mut self, filter: Option<&Filter>) {
        if let Some(filter) = filter {
            self.push(" WHERE ");
            self.plan(&planned(filter, true), true);
        }
    }

    /// A condition on `s`. `begin`: the database may begin here, as nothing stands beside it that would be better.
    fn plan(&mut self, plan: &Plan<'_>, begin: bool) {
        if begin && !matches!(plan, Plan::All(_)) && rank(plan).is_some() {
            self.push("s.user_id IN (");
            self.set(plan);
            self.push(")");
            return;
        }
        match plan {
            Plan::All(all) => {
                let ranked = all.iter().enumerate().filter_map(|(place, plan)| Some((rank(plan)?, place)));
                let first = ranked.min().map(|(_, place)| place).filter(|_| begin);
                self.joined(all, " AND ", "1 = 1", |sql, place, plan| sql.plan(plan, first == Some(place)));
            }
            Plan::Any(any) => self.joined(any, " OR ", "1 = 0", |sql, _, plan| sql.plan(plan, false)),
            Plan::Term(term) => term.holds(self),
            Plan::Not(term) => term.fails(self),
        }
    }

    fn joined(&mut self, plans: &[Plan<'_>], between: &'static str, none: &'static str, each: impl Fn(&mut Self, usize, &Plan<'_>)) {
        if plans.is_empty() {
            return self.push(none);
        }
        self.push("(");
        for (place, plan) in plans.iter().enumerate() {
            if place > 0 {
                self.push(between);
            }
            each(self, place, plan);
        }
        self.push(")");
    }

    /// A SELECT of user ids.
    fn set(&mut self, plan: &Plan<'_>) {
        match plan {
            Plan::Any(any) => {
                for (place, plan) in any.iter().enumerate() {
                    if place > 0 {
                        self.push(" UNION ALL ");
                    }
                    self.set(plan);
                }
            }
            Plan::Term(term) => term.set(self),
            Plan::All(_) | Plan::Not(_) => {
                self.push("SELECT s.user_id FROM search_users s WHERE ");
                self.plan(plan, true);
            }
        }
    }

    fn order(&mut self, sort: Sort) {
        let (direction, nulls) = match sort.order {
            Order::Ascending => (" ASC", " NULLS LAST"),
            Order::Descending => (" DESC", " NULLS FIRST"),
        };
        self.push(" ORDER BY ");
        let owner = match sort.field {
            SortField::Text(TextField::UserId) => "s.user_id",
            SortField::Text(field) => {
                self.push("s.");
                self.push(term::column(field));
                self.push(direction);
                self.push(nulls);
                self.push(", s.user_id");
                ""
            }
            SortField::Time(TimeField::CreatedAt) => {
                self.push("u.created_at");
                self.push(direction);
                ", u.user_id"
            }
            SortField::Time(TimeField::LastLogin) => {
                self.push("a.last_login");
                self.push(direction);
                ", a.user_id"
            }
            SortField::LoginsCount => {
                self.push("a.logins_count");
                self.push(direction);
                ", a.user_id"
            }
            SortField::Time(TimeField::UpdatedAt) => {
                self.push(term::UPDATED_AT);
                self.push(direction);
                ", s.user_id"
            }
        };
        self.push(owner);
        self.push_collation();
        self.push(direction);
    }
}

/// Negations at the terms. `is`: not under a negation.
fn planned(filter: &Filter, is: bool) -> Plan<'_> {
    match filter {
        Filter::All(all) if is => Plan::All(all.iter().map(|filter| planned(filter, is)).collect()),
        Filter::All(all) => Plan::Any(all.iter().map(|filter| planned(filter, is)).collect()),
        Filter::Any(any) if is => Plan::Any(any.iter().map(|filter| planned(filter, is)).collect()),
        Filter::Any(any) => Plan::All(any.iter().map(|filter| planned(filter, is)).collect()),
        Filter::Not(filter) => planned(filter, !is),
        Filter::Text(field, test) => terms([Term::Text(*field, test)], is),
        Filter::Flag(field, flag) => terms([Term::Flag(*field, *flag)], is),
        Filter::Time(field, range) => terms([Term::Time(*field, range)], is),
        Filter::LoginsCount(range) => terms([Term::LoginsCount(range)], is),
        Filter::Identity(field, test) => terms([Term::Identity(*field, test)], is),
        Filter::IsSocial(social) => terms([Term::IsSocial(*social)], is),
        Filter::Metadata(path, test) => terms(Term::of_values(&path.path, test), is),
        Filter::Anywhere(test) => {
            let texts = TextField::WITHOUT_NAME.map(|field| (field, in_field(field, test)));
            terms([Term::Texts(texts.into())], is)
        }
    }
}

/// One of these terms holds, or none of them does.
fn terms<'f>(terms: impl IntoIterator<Item = Term<'f>>, is: bool) -> Plan<'f> {
    let terms = terms.into_iter();
    let mut plans: Vec<Plan<'f>> = if is { terms.map(Plan::Term).collect() } else { terms.map(Plan::Not).collect() };
    match plans.pop() {
        Some(only) if plans.is_empty() => only,
        last => {
            plans.extend(last);
            if is { Plan::Any(plans) } else { Plan::All(plans) }
        }
    }
}

fn in_field(field: TextField, test: &Test<String>) -> Test<String> {
    match test {
        Test::Is(wanted) => Test::Is(field.compared(wanted)),
        Test::Like(pattern) if field.ignores_case() => Test::Like(pattern.folded()),
        other => other.clone(),
    }
}

/// How few users this probably finds by an index; less is better. `None`: it has to look at everybody.
fn rank(plan: &Plan<'_>) -> Option<u8> {
    match plan {
        Plan::All(all) => all.iter().filter_map(rank).min(),
        Plan::Any(any) => any.iter().map(rank).collect::<Option<Vec<_>>>()?.into_iter().max(),
        Plan::Term(term) => term.rank(),
        Plan::Not(_) => None,
    }
}

fn whole(number: usize) -> Bound {
    Bound::Whole(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A text that PostgreSQL takes.
fn text(text: &str) -> Bound {
    Bound::Text(super::super::without_nul(text))
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
