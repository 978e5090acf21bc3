//! From the text of a query to a [`Filter`].
//!
//! A query is clauses; `OR` separates lists of them, and in a list `AND` ties two closer together. One reader goes over the
//! characters once, with bounded depth, and stops at the first thing that is wrong.

use super::field::{Named, named};
use super::{DEEPEST, Fault, Filter, LONGEST_QUERY, MOST_TERMS, SearchError};

mod term;

type Result<T> = std::result::Result<T, SearchError>;

/// Reads a query. Nothing but blanks means everybody.
///
/// # Errors
/// Where it cannot be understood, and what to write instead where that is known.
pub fn parse(query: &str) -> Result<Filter> {
    if query.len() > LONGEST_QUERY {
        let message = format!("the query has {} bytes where {LONGEST_QUERY} are allowed", query.len());
        return Err(SearchError { position: 0, message, fault: Fault::TooLong });
    }
    let mut reader = Reader { text: query.chars().collect(), at: 0, depth: 0, terms: 0 };
    if let Some(position) = reader.text.iter().position(|&letter| letter == '\0') {
        return Err(SearchError::at(position, "a NUL character cannot be searched for"));
    }
    reader.blanks();
    if reader.peek().is_none() {
        return Ok(Filter::All(Vec::new()));
    }
    let filter = reader.alternatives(None)?;
    match reader.peek() {
        None => Ok(filter),
        Some(')') => Err(reader.wrong("this parenthesis closes nothing")),
        Some(_) => Err(reader.wrong("this cannot be understood here")),
    }
}

struct Reader {
    text: Vec<char>,
    at: usize,
    depth: usize,
    terms: usize,
}

/// What stands before a clause.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    None,
    /// `+`
    Must,
    /// `-`, `!` or `NOT`
    MustNot,
}

impl Reader {
    /// Lists of clauses with `OR` between them.
    fn alternatives(&mut self, field: Option<&Named>) -> Result<Filter> {
        let mut lists = vec![self.list(field)?];
        while self.operator(&["OR", "||"]) {
            lists.push(self.list(field)?);
        }
        Ok(one_or(lists, Filter::Any))
    }

    /// Clauses with nothing between them: one of them holds, or else those with a `+`; and those with a `-` do not.
    fn list(&mut self, field: Option<&Named>) -> Result<Filter> {
        let (mut must, mut may, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let (sign, clause) = self.conjunction(field)?;
            match sign {
                Sign::Must => must.push(clause),
                Sign::None => may.push(clause),
                Sign::MustNot => must_not.push(Filter::Not(Box::new(clause))),
            }
            self.blanks();
            if matches!(self.peek(), None | Some(')')) || self.is_operator(&["OR", "||"]) {
                break;
            }
        }
        if must.is_empty() && !may.is_empty() {
            must.push(one_or(may, Filter::Any));
        }
        must.append(&mut must_not);
        Ok(one_or(must, Filter::All))
    }

    /// Clauses with `AND` between them. A sign belongs to the list only where there is no `AND`.
    fn conjunction(&mut self, field: Option<&Named>) -> Result<(Sign, Filter)> {
        let first = self.signed(field)?;
        if !self.is_operator(&["AND", "&&"]) {
            return Ok(first);
        }
        let mut all = vec![with_sign(first)];
        while self.operator(&["AND", "&&"]) {
            all.push(with_sign(self.signed(field)?));
        }
        Ok((Sign::None, Filter::All(all)))
    }

    fn signed(&mut self, field: Option<&Named>) -> Result<(Sign, Filter)> {
        self.blanks();
        let sign = if self.operator(&["NOT", "!", "-"]) {
            Sign::MustNot
        } else if self.operator(&["+"]) {
            Sign::Must
        } else {
            return Ok((Sign::None, self.primary(field)?));
        };
        self.deeper()?;
        let inner = self.signed(field)?;
        self.depth -= 1;
        Ok(match (sign, inner) {
            (sign, (Sign::None, clause)) => (sign, clause),
            (Sign::Must, inner) => inner,
            (sign, inner) => (sign, with_sign(inner)),
        })
    }

    fn primary(&mut self, field: Option<&Named>) -> Result<Filter> {
        self.blanks();
        if self.peek() == Some('(') {
            return self.group(field);
        }
        if let Some(field) = field {
            return self.value(field);
        }
        let begin = self.at;
        match self.peek() {
            None => return Err(self.wrong("something is missing at the end")),
            Some('[' | '{') => return Err(self.wrong("a range needs a field before it, such as logins_count:[1 TO 9]")),
            Some('"') => return self.without_field(),
            Some(_) if self.is_operator(&["AND", "&&", "OR", "||"]) => return Err(self.wrong("something is missing before this operator")),
            Some(_) => {}
        }
        let Some(name) = self.field_name() else {
            self.at = begin;
            return self.without_field();
        };
        self.blanks();
        if name == "_exists_" {
            return self.exists();
        }
        if name == "*" {
            return self.everything();
        }
        let field = named(&name).map_err(|message| SearchError::at(begin, message))?;
        if self.peek() == Some('(') {
            return self.group(Some(&field));
        }
        self.value(&field)
    }

    fn group(&mut self, field: Option<&Named>) -> Result<Filter> {
        let open = self.at;
        self.at += 1;
        self.deeper()?;
        self.blanks();
        if self.peek() == Some(')') {
            return Err(self.wrong("there is nothing between the parentheses"));
        }
        let inner = self.alternatives(field)?;
        self.blanks();
        if self.peek() != Some(')') {
            return Err(SearchError::at(open, "this parenthesis is not closed"));
        }
        self.at += 1;
        self.depth -= 1;
        self.no_suffix()?;
        Ok(inner)
    }

    /// A name up to its colon; `None` when what stands here is no name.
    fn field_name(&mut self) -> Option<String> {
        let mut name = String::new();
        loop {
            match self.peek()? {
                ':' => break,
                '\\' => {
                    self.at += 1;
                    name.push(self.peek()?);
                }
                letter if letter.is_whitespace() || "()[]{}\"".contains(letter) => return None,
                letter => name.push(letter),
            }
            self.at += 1;
        }
        self.at += 1;
        Some(name)
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong(format!("parentheses and negations are nested deeper than {DEEPEST} levels")));
        }
        Ok(())
    }

    fn count_term(&mut self, begin: usize) -> Result<()> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err(SearchError::at(begin, format!("a query has at most {MOST_TERMS} terms")));
        }
        Ok(())
    }

    /// Does one of these stand here, as an operator? Words need an end; signs must not stand alone.
    fn is_operator(&mut self, names: &[&str]) -> bool {
        self.blanks();
        names.iter().any(|name| {
            let end = self.at + name.chars().count();
            let stands_here = name.chars().eq(self.text.iter().skip(self.at).take(end - self.at).copied());
            let next = self.text.get(end).copied();
            let is_word = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
            stands_here && (!is_word || next.is_none_or(|next| next.is_whitespace() || "()\"".contains(next)))
        })
    }

    /// Takes one of these operators.
    fn operator(&mut self, names: &[&str]) -> bool {
        for name in names {
            if self.is_operator(&[name]) {
                self.at += name.chars().count();
                return true;
            }
        }
        false
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn wrong(&self, message: impl Into<String>) -> SearchError {
        SearchError::at(self.at, message)
    }
}

fn with_sign((sign, clause): (Sign, Filter)) -> Filter {
    match sign {
        Sign::None | Sign::Must => clause,
        Sign::MustNot => Filter::Not(Box::new(clause)),
    }
}

/// The only one as it is, several together.
fn one_or(mut filters: Vec<Filter>, together: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            together(filters)
        }
        None => together(filters),
    }
}
