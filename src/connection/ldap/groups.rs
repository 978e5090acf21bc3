//! The groups of a person: from their entry, from groups that name them, and the groups of those.

use super::answer::{Entry, MEMBER_OF};
use super::pool::{Fault, Line};
use super::settings::{Groups, Lookup, Nested, Search};
use super::text::{self, Form};
use std::collections::HashSet;

/// Groups of one person at most; who has more gets the first ones, and the trace says so.
const MOST: usize = 1000;

/// Steps from group to group at most.
const DEPTH: usize = 10;

/// DNs of groups, the person's own first.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub groups: Vec<String>,
    /// There may be more.
    pub cut: bool,
    /// DNs differ in case and blanks only where somebody has written them differently.
    seen: HashSet<String>,
}

impl Found {
    /// What is new of these.
    fn add(&mut self, groups: Vec<String>) -> Vec<String> {
        let mut new = Vec::new();
        for group in groups {
            if self.groups.len() >= MOST {
                self.cut = true;
                break;
            }
            if self.seen.insert(group.to_lowercase()) {
                self.groups.push(group.clone());
                new.push(group);
            }
        }
        new
    }
}

/// All groups of the person with this entry.
pub(super) async fn of(settings: &Groups, entry: &Entry, line: &mut Line<'_>) -> Result<Found, Fault> {
    let mut found = Found::default();
    let own = own(settings, entry, line, &mut found).await?;
    let mut next = found.add(own);
    match &settings.nested {
        Nested::No => {}
        Nested::InChain(base) => {
            let search = Search { base: base.clone(), filter: format!("(member:{IN_CHAIN}:={{dn}})"), subtree: true };
            let all = searched(&search, &|_| Some(entry.dn.as_str()), line, &mut found).await?;
            found.add(all);
        }
        Nested::Steps => {
            for _ in 0..DEPTH {
                let mut further = Vec::new();
                for group in std::mem::take(&mut next) {
                    let of_it = above(settings, &group, line, &mut found).await?;
                    further.extend(found.add(of_it));
                }
                next = further;
            }
            // Somebody has nested deeper than that.
            found.cut |= !next.is_empty();
        }
    }
    Ok(found)
}

/// LDAP_MATCHING_RULE_IN_CHAIN (MS-ADTS 3.1.1.3.4.4.3).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

async fn own(settings: &Groups, entry: &Entry, line: &mut Line<'_>, found: &mut Found) -> Result<Vec<String>, Fault> {
    match &settings.lookup {
        Lookup::MemberOf => Ok(entry.texts(MEMBER_OF).into_iter().map(str::to_owned).collect()),
        Lookup::Search(search) => {
            let first = |name: &str| if name == "dn" { Some(entry.dn.as_str()) } else { entry.texts(name).first().copied() };
            searched(search, &first, line, found).await
        }
    }
}

/// The groups that a group is in.
async fn above(settings: &Groups, group: &str, line: &mut Line<'_>, found: &mut Found) -> Result<Vec<String>, Fault> {
    match &settings.lookup {
        Lookup::MemberOf => {
            let entry = line.entry(group, &[MEMBER_OF.to_owned()]).await?.unwrap_or_default();
            Ok(entry.texts(MEMBER_OF).into_iter().map(str::to_owned).collect())
        }
        // A group has a DN, and not what else people have.
        Lookup::Search(search) => searched(search, &|name| (name == "dn").then_some(group), line, found).await,
    }
}

/// A filter that names what the entry does not have finds nothing.
async fn searched<'v>(
    search: &Search,
    value: &(impl Fn(&str) -> Option<&'v str> + Sync),
    line: &mut Line<'_>,
    found: &mut Found,
) -> Result<Vec<String>, Fault> {
    let Some(filter) = text::put(&search.filter, Form::Filter, value) else { return Ok(Vec::new()) };
    let (names, whole) = line.names(search, &filter, MOST).await?;
    found.cut |= !whole;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_once_and_there_are_not_too_many() {
        let mut found = Found::default();
        let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(found.add(groups(&["cn=a,dc=x", "CN=A,DC=X", "cn=b,dc=x"])), ["cn=a,dc=x", "cn=b,dc=x"]);
        assert!(found.add(groups(&["cn=B,dc=x"])).is_empty() && !found.cut);
        found.add((0..2 * MOST).map(|number| format!("cn={number}")).collect());
        assert_eq!((found.groups.len(), found.cut), (MOST, true));
    }
}
