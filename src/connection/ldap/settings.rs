//! Valid settings of a directory.

use crate::connection::outbound::download::Reach;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

/// How a directory by LDAP is asked.
#[derive(Clone, Debug)]
pub struct LdapSettings {
    /// Asked in this order: the next one where one does not answer.
    pub servers: Vec<Url>,
    /// Plain connections begin TLS before anything else is said.
    pub start_tls: bool,
    /// Which machines may be asked.
    pub reach: Reach,
    /// PEM certificates of those who may vouch for the servers; `None`: those of this machine.
    pub authorities: Option<String>,
    pub find: Find,
    /// Attribute with what a person's identity is named by.
    pub subject_attribute: String,
    /// All attributes that are read, as mapping tables name them.
    pub attributes: Vec<String>,
    /// Those of them that are given in base64.
    pub binary_attributes: Vec<String>,
    pub groups: Groups,
    /// People learn that an account is locked, and so that it exists.
    pub tell_locked: bool,
    /// `acr` values of applications, and the context class each stands for.
    pub acr: BTreeMap<String, String>,
    pub connect_timeout: Duration,
    /// Of each question.
    pub timeout: Duration,
    /// Logins that are looked at at the same time; the others wait.
    pub connections: usize,
}

/// How the entry of a person is found.
#[derive(Clone, Debug)]
pub enum Find {
    /// Searched for, by an account of ours or by nobody, and bound as then.
    Search { account: Option<(String, Secret<String>)>, search: Search },
    /// Bound as at once: a DN, or what else the directory takes as one, with `{username}` in it. The entry is that of the
    /// DN, or what the person themselves finds.
    Direct { name: String, search: Option<Search> },
}

/// Where and how something is searched for.
#[derive(Clone, Debug)]
pub struct Search {
    pub base: String,
    /// With names in braces.
    pub filter: String,
    /// Below the base at any depth, or right below it.
    pub subtree: bool,
}

/// How the groups of a person are found.
#[derive(Clone, Debug)]
pub struct Groups {
    pub lookup: Lookup,
    pub nested: Nested,
}

#[derive(Clone, Debug)]
pub enum Lookup {
    /// The attribute memberOf of the entry.
    MemberOf,
    /// Groups that name the person: `{dn}` is theirs, `{NAME}` the first value of an attribute of the entry.
    Search(Search),
}

/// Groups of groups.
#[derive(Clone, Debug)]
pub enum Nested {
    No,
    /// Asked group by group, as the person's own.
    Steps,
    /// Active Directory follows the chain itself (LDAP_MATCHING_RULE_IN_CHAIN), below this base.
    InChain(String),
}
