//! Tests of the linking decision: what may never be joined, row by row.

use super::*;

fn linking(policy: Policy) -> Linking {
    Linking { policy, ..Linking::default() }
}

const NEWCOMER: Newcomer<'static> = Newcomer { connection: "acme", email_verified: true, trusted: true, link_only: false, provable: true };

fn identity(connection: &str) -> CandidateIdentity {
    CandidateIdentity {
        connection: connection.into(),
        same_email: true,
        email_verified: true,
        trusted: true,
        allows_login: true,
        usable: true,
    }
}

fn candidate(user_id: &str, identities: Vec<CandidateIdentity>) -> Candidate {
    Candidate { user_id: user_id.into(), blocked: false, identities }
}

fn one() -> Vec<Candidate> {
    vec![candidate("u1", vec![identity("google")])]
}

fn conflict(policy: Policy, newcomer: Newcomer<'_>, candidates: &[Candidate]) -> Option<Conflict> {
    match decide(&linking(policy), newcomer, candidates) {
        Decision::Conflict(conflict) => Some(conflict),
        _ => None,
    }
}

#[test]
fn s4_26_by_default_a_second_connection_makes_a_second_user() {
    assert_eq!(Linking::default().policy, Policy::Never);
    assert!(matches!(decide(&Linking::default(), NEWCOMER, &one()), Decision::NewUser { .. }));
}

#[test]
fn verified_email_links_when_both_sides_are_verified_and_the_match_is_unique() {
    let decision = decide(&linking(Policy::VerifiedEmail), NEWCOMER, &one());
    assert!(matches!(decision, Decision::LinkTo { ref user_id, .. } if user_id == "u1"), "{decision:?}");
    assert!(matches!(decide(&linking(Policy::VerifiedEmail), NEWCOMER, &[]), Decision::NewUser { .. }));
}

/// zitadel/zitadel#12630: silently links to the first of several matches.
#[test]
fn several_matches_are_a_conflict() {
    let two = [candidate("u1", vec![identity("google")]), candidate("u2", vec![identity("github")])];
    assert_eq!(conflict(Policy::VerifiedEmail, NEWCOMER, &two), Some(Conflict::SeveralMatches));
}

/// keycloak/keycloak#53041: the local account's own address was never verified (pre-hijack).
#[test]
fn an_unverified_address_on_either_side_is_a_conflict() {
    let here = Newcomer { email_verified: false, ..NEWCOMER };
    assert_eq!(conflict(Policy::VerifiedEmail, here, &one()), Some(Conflict::UnverifiedHere));
    let there = candidate("u1", vec![CandidateIdentity { email_verified: false, ..identity("google") }]);
    assert_eq!(conflict(Policy::VerifiedEmail, NEWCOMER, &[there]), Some(Conflict::UnverifiedThere));
}

/// element-hq/synapse#17837: whose word on e-mail addresses counts is a setting.
#[test]
fn a_connection_that_is_not_believed_for_the_domain_is_a_conflict() {
    let here = Newcomer { trusted: false, ..NEWCOMER };
    assert_eq!(conflict(Policy::VerifiedEmail, here, &one()), Some(Conflict::UnverifiedHere));
    let there = candidate("u1", vec![CandidateIdentity { trusted: false, ..identity("google") }]);
    assert_eq!(conflict(Policy::VerifiedEmail, NEWCOMER, &[there]), Some(Conflict::UnverifiedThere));
    // Verified by one identity and trusted by another is neither.
    let split =
        vec![CandidateIdentity { trusted: false, ..identity("google") }, CandidateIdentity { email_verified: false, ..identity("github") }];
    assert_eq!(conflict(Policy::VerifiedEmail, NEWCOMER, &[candidate("u1", split)]), Some(Conflict::UnverifiedThere));
}

/// Of two identities with the address, one vouches for it and the other may sign in: nobody has proven anything.
#[test]
fn one_identity_must_vouch_for_the_address_and_be_able_to_sign_in() {
    let denied = CandidateIdentity { allows_login: false, ..identity("google") };
    let unverified = CandidateIdentity { email_verified: false, ..identity("github") };
    let there = candidate("u1", vec![denied.clone(), unverified.clone()]);
    assert_eq!(conflict(Policy::VerifiedEmail, NEWCOMER, &[there]), Some(Conflict::Unprovable));
    let there = candidate("u1", vec![denied, unverified, identity("corp")]);
    assert_eq!(conflict(Policy::VerifiedEmail, NEWCOMER, &[there]), None);
}

#[test]
fn an_identity_without_the_address_vouches_for_nothing() {
    let other = CandidateIdentity { same_email: false, ..identity("corp") };
    let unverified = CandidateIdentity { email_verified: false, ..identity("google") };
    assert_eq!(conflict(Policy::VerifiedEmail, NEWCOMER, &[candidate("u1", vec![other, unverified])]), Some(Conflict::UnverifiedThere));
}

#[test]
fn a_blocked_user_is_a_conflict_and_is_not_offered() {
    let blocked = Candidate { blocked: true, ..candidate("u1", vec![identity("google")]) };
    for policy in [Policy::VerifiedEmail, Policy::Ask] {
        assert_eq!(conflict(policy, NEWCOMER, std::slice::from_ref(&blocked)), Some(Conflict::BlockedUser));
    }
    let decision = decide(&linking(Policy::Ask), NEWCOMER, &[blocked, candidate("u2", vec![identity("github")])]);
    assert_eq!(decision, Decision::Ask { user_ids: vec!["u2".into()], connections: vec!["github".into()] });
}

/// keycloak/keycloak#51470: "link only" forgotten on one of the ways in.
#[test]
fn a_link_only_identity_neither_proves_nor_comes_alone() {
    let there = candidate("u1", vec![CandidateIdentity { allows_login: false, ..identity("google") }]);
    for policy in [Policy::VerifiedEmail, Policy::Ask] {
        assert_eq!(conflict(policy, NEWCOMER, std::slice::from_ref(&there)), Some(Conflict::Unprovable));
    }
    let alone = Newcomer { link_only: true, ..NEWCOMER };
    assert_eq!(conflict(Policy::Never, alone, &one()), Some(Conflict::LinkOnly));
    assert_eq!(conflict(Policy::VerifiedEmail, alone, &one()), Some(Conflict::LinkOnly));
    assert_eq!(conflict(Policy::Ask, alone, &[]), Some(Conflict::LinkOnly));
    assert!(matches!(decide(&linking(Policy::Ask), alone, &one()), Decision::Ask { .. }));
}

/// Somebody else's session at the provider, planted in the browser, has this address by its own word.
#[test]
fn whoever_has_not_signed_in_for_this_and_cannot_be_asked_to_must_be_believed() {
    for (email_verified, trusted, expected) in
        [(false, true, Some(Conflict::UnverifiedHere)), (true, false, Some(Conflict::UnverifiedHere)), (true, true, None)]
    {
        let planted = Newcomer { provable: false, email_verified, trusted, ..NEWCOMER };
        assert_eq!(conflict(Policy::Ask, planted, &one()), expected, "{email_verified}, {trusted}");
        let proven = Newcomer { provable: true, ..planted };
        assert_eq!(conflict(Policy::Ask, proven, &one()), None);
    }
}

#[test]
fn ask_offers_each_way_once_and_only_usable_ones() {
    let gone = CandidateIdentity { usable: false, ..identity("old") };
    let candidates = [candidate("u1", vec![identity("google"), gone]), candidate("u2", vec![identity("google"), identity("github")])];
    let decision = decide(&linking(Policy::Ask), NEWCOMER, &candidates);
    let expected = Decision::Ask { user_ids: vec!["u1".into(), "u2".into()], connections: vec!["google".into(), "github".into()] };
    assert_eq!(decision, expected);
}

/// goauthentik/authentik#6464: restrict matching to users that came from one source.
#[test]
fn the_scope_of_matching_can_be_restricted() {
    let restricted = Linking { among: Some(vec!["github".into()]), ..linking(Policy::VerifiedEmail) };
    assert!(matches!(decide(&restricted, NEWCOMER, &one()), Decision::NewUser { .. }));
    let both = [candidate("u1", vec![identity("google")]), candidate("u2", vec![identity("github")])];
    assert!(matches!(decide(&restricted, NEWCOMER, &both), Decision::LinkTo { ref user_id, .. } if user_id == "u2"));
}
