//! The linking decision: an identity that nobody has seen before has arrived. Whose is it?
//!
//! Pure, and in one place: every way into a login passes here after the protocol has done its part. Nothing is ever
//! guessed: what is not allowed in so many words is a new user or a [`Conflict`]. Policies are per connection.

use serde::{Deserialize, Serialize};

/// What a connection may do with an identity that is new (`linking.policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It is a new user (S4-26).
    #[default]
    Never,
    /// The person may prove that an account with the same e-mail address is theirs.
    Ask,
    /// It joins the one user with the same e-mail address, if both sides have verified it.
    VerifiedEmail,
}

/// What happens to a login whose identity may not be joined (`linking.on_conflict`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The login ends on a page that says what to do.
    #[default]
    Refuse,
    /// It is a new user; the conflict is recorded all the same.
    SeparateUser,
}

/// Whose word on e-mail addresses counts (`linking.trust_email`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustEmail {
    /// The connection is believed for its own `domains` and the `email_domains` of its linking.
    #[default]
    Domains,
    /// The connection is believed for every domain: for a provider that runs mailboxes, or proves every address.
    Any,
}

/// The linking settings of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linking {
    pub policy: Policy,
    pub on_conflict: OnConflict,
    pub trust_email: TrustEmail,
    /// More domains that the connection is believed for, lower case: several connections may be for one domain, while
    /// `domains` of a connection are its alone.
    pub email_domains: Vec<String>,
    /// Only users with an identity at one of these connections may be joined; `None`: any.
    pub among: Option<Vec<String>>,
}

/// What the new identity says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    pub connection: &'a str,
    /// `email_verified` of its profile.
    pub email_verified: bool,
    /// Its connection is believed for the domain of the address.
    pub trusted: bool,
    /// Identities of its connection may not be used to sign in by themselves.
    pub link_only: bool,
    /// The person has signed in for this login, or can be asked to. Whoever is only known at the identity provider may be
    /// there by somebody else's doing.
    pub provable: bool,
}

impl Newcomer<'_> {
    /// The address is theirs, by the word of somebody who is believed for it.
    pub const fn is_believed(&self) -> bool {
        self.email_verified && self.trusted
    }
}

/// A user with the same e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub user_id: String,
    pub blocked: bool,
    /// The identities of this user; those that carry the address say so.
    pub identities: Vec<CandidateIdentity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateIdentity {
    pub connection: String,
    /// It has the same address.
    pub same_email: bool,
    pub email_verified: bool,
    /// Its connection is believed for the domain of the address.
    pub trusted: bool,
    pub allows_login: bool,
    /// Its connection is there and enabled, can be asked for a fresh login, and the application of this login accepts it.
    pub usable: bool,
}

/// What becomes of the new identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    NewUser {
        why: &'static str,
    },
    LinkTo {
        user_id: String,
        why: &'static str,
    },
    /// The person may prove one of these users, by one of these connections.
    Ask {
        user_ids: Vec<String>,
        connections: Vec<String>,
    },
    Conflict(Conflict),
}

/// Why an identity was not joined, although the policy looked for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// More than one user has the address.
    SeveralMatches,
    /// The new identity's address is not verified, or its connection is not believed for the domain, and that has to count.
    UnverifiedHere,
    /// The known user's address is not verified, or no connection that is believed for the domain says so.
    UnverifiedThere,
    BlockedUser,
    /// The match may not be used to sign in, or not here, so nobody can prove it.
    Unprovable,
    /// The new identity may not come alone.
    LinkOnly,
    /// The person proved another account than one with this address.
    OtherAccountProven,
    /// Somebody else's login changed the situation while the person was proving.
    Changed,
}

impl Conflict {
    pub const fn name(self) -> &'static str {
        match self {
            Self::SeveralMatches => "several_matches",
            Self::UnverifiedHere => "unverified_here",
            Self::UnverifiedThere => "unverified_there",
            Self::BlockedUser => "blocked_user",
            Self::Unprovable => "unprovable",
            Self::LinkOnly => "link_only",
            Self::OtherAccountProven => "other_account_proven",
            Self::Changed => "changed",
        }
    }

    /// What the page says to the person. It tells neither which users there are nor how many.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::SeveralMatches | Self::UnverifiedThere | Self::UnverifiedHere | Self::BlockedUser | Self::Unprovable => {
                "There may be an account here with your e-mail address already, and this way of signing in does not prove that it is yours. \
                 Sign in the way you did before, or ask the operators to join the two."
            }
            Self::LinkOnly => "This way of signing in only works together with another account. Sign in with that one.",
            Self::OtherAccountProven => {
                "You signed in with another account than the one with your e-mail address, so the two were not joined. Start again."
            }
            Self::Changed => "Your account was changed while you were signing in, so nothing was joined. Start again.",
        }
    }
}

/// Decides. `candidates` are the users that have the newcomer's e-mail address.
pub fn decide(linking: &Linking, newcomer: Newcomer<'_>, candidates: &[Candidate]) -> Decision {
    let among = |candidate: &&Candidate| {
        linking.among.as_ref().is_none_or(|names| candidate.identities.iter().any(|identity| names.contains(&identity.connection)))
    };
    let candidates: Vec<&Candidate> = candidates.iter().filter(among).collect();
    match (linking.policy, candidates.as_slice()) {
        (Policy::Never, _) | (_, []) if newcomer.link_only => Decision::Conflict(Conflict::LinkOnly),
        (Policy::Never, _) => Decision::NewUser { why: "the connection's policy never links" },
        (_, []) => Decision::NewUser { why: "nobody here has this e-mail address" },
        (Policy::Ask, _) if !newcomer.provable && !newcomer.is_believed() => Decision::Conflict(Conflict::UnverifiedHere),
        (Policy::Ask, several) => ask(several),
        (Policy::VerifiedEmail, _) if newcomer.link_only => Decision::Conflict(Conflict::LinkOnly),
        (Policy::VerifiedEmail, [only]) => by_verified_email(newcomer, only),
        (Policy::VerifiedEmail, _) => Decision::Conflict(Conflict::SeveralMatches),
    }
}

fn by_verified_email(newcomer: Newcomer<'_>, candidate: &Candidate) -> Decision {
    if candidate.blocked {
        return Decision::Conflict(Conflict::BlockedUser);
    }
    if !newcomer.is_believed() {
        return Decision::Conflict(Conflict::UnverifiedHere);
    }
    // Whoever put the address there must have been believed for it: an account may have been made in advance to catch
    // the login of the address's owner.
    let vouches = |identity: &&CandidateIdentity| identity.same_email && identity.email_verified && identity.trusted;
    let mut vouching = candidate.identities.iter().filter(vouches).peekable();
    if vouching.peek().is_none() {
        return Decision::Conflict(Conflict::UnverifiedThere);
    }
    // And be the one who may sign in: what another identity may do says nothing about the address.
    if !vouching.any(|identity| identity.allows_login) {
        return Decision::Conflict(Conflict::Unprovable);
    }
    Decision::LinkTo { user_id: candidate.user_id.clone(), why: "both sides have verified the e-mail address, and nobody else has it" }
}

/// The proof is a login, so the address need not be verified; only what can be proven is offered.
fn ask(candidates: &[&Candidate]) -> Decision {
    if candidates.iter().all(|candidate| candidate.blocked) {
        return Decision::Conflict(Conflict::BlockedUser);
    }
    let (mut user_ids, mut connections) = (Vec::new(), Vec::new());
    for candidate in candidates.iter().filter(|candidate| !candidate.blocked) {
        let ways: Vec<_> = candidate.identities.iter().filter(|identity| identity.allows_login && identity.usable).collect();
        if ways.is_empty() {
            continue;
        }
        user_ids.push(candidate.user_id.clone());
        for way in ways {
            if !connections.contains(&way.connection) {
                connections.push(way.connection.clone());
            }
        }
    }
    if user_ids.is_empty() {
        return Decision::Conflict(Conflict::Unprovable);
    }
    Decision::Ask { user_ids, connections }
}

#[cfg(test)]
#[path = "linking_tests.rs"]
mod tests;
