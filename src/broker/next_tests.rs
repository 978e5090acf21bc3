use super::*;
use crate::application::ProfileUse;
use crate::login::UpstreamSession;
use crate::oidc::{ClaimsRequest, ClientFacts};
use crate::profile::{Direction, MappingLibrary, Written};
use crate::user::Identity;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn application() -> Application {
    let mapping = MappingLibrary::built_in().table("oidc", Direction::FromProfile).expect("built in");
    Application {
        client_id: "app".into(),
        name: "App".into(),
        enabled: true,
        connections: None,
        mapping,
        profile: ProfileUse::default(),
        oidc: Some(ClientFacts::public("app")),
        saml: None,
        by_metadata: None,
    }
}

/// A session that is one minute old, by the connection `one`.
fn session() -> Session {
    Session {
        sid: "sid".into(),
        user_id: "samlp|one|jane".into(),
        identity: Identity { connection: "one".into(), provider: "samlp".into(), user_id: "jane".into(), is_social: false },
        profile: Written::object(&serde_json::Map::new()).expect("JSON"),
        auth_time: NOW.plus_seconds(-60),
        auth_time_by: TimeBy::Witness,
        acr: Some("pwd".into()),
        amr: Vec::new(),
        created_at: NOW.plus_seconds(-60),
        expires_at: NOW.plus_seconds(600),
        upstream: UpstreamSession::default(),
        correlation_id: "c".into(),
        before: Vec::new(),
    }
}

fn decide_for(asked: &Asked, session: Option<&Session>, usable: &[&str], by_hint: Option<&str>) -> Step {
    let usable: Vec<String> = usable.iter().map(|name| (*name).to_owned()).collect();
    let application = application();
    let probes = ["two".to_owned()];
    let subject = session.map(|session| session.user_id.as_str());
    let (profile_age, application) = (None, &application);
    let situation =
        Situation { asked, application, session, subject, profile_age, usable: &usable, by_hint, lacks_factor: false, probes: &probes };
    next_step(&situation, NOW).step
}

fn to(connection: &str, force: bool) -> Step {
    Step::SendToIdp { connection: connection.into(), force }
}

#[test]
fn a_session_answers() {
    assert_eq!(decide_for(&Asked::default(), Some(&session()), &["one", "two"], None), Step::Issue);
    let passive = Asked { passive: true, ..Asked::default() };
    assert_eq!(decide_for(&passive, Some(&session()), &["one"], None), Step::Issue);
}

#[test]
fn a_session_that_does_not_satisfy_the_request_does_not_answer() {
    let base = Asked::default;
    let cases = [
        (Asked { fresh_login: true, ..base() }, to("one", true)),
        (Asked { max_age: Some(30), ..base() }, to("one", true)),
        (Asked { max_age: Some(0), ..base() }, to("one", true)),
        (Asked { max_age: Some(3600), ..base() }, Step::Issue),
        (Asked { acr_values: vec!["mfa".into()], ..base() }, to("one", false)),
        (Asked { acr_values: vec!["mfa".into(), "pwd".into()], ..base() }, Step::Issue),
        (Asked { choose: true, ..base() }, to("one", false)),
        (Asked { expected_user: Some("other".into()), ..base() }, to("one", false)),
        (Asked { expected_user: Some("samlp|one|jane".into()), ..base() }, Step::Issue),
    ];
    for (asked, expected) in cases {
        assert_eq!(decide_for(&asked, Some(&session()), &["one"], None), expected, "{asked:?}");
    }
}

/// The person may have signed in at the provider long before they came from there.
#[test]
fn a_sign_in_of_unknown_time_is_never_young_enough() {
    let session = Session { auth_time: NOW, auth_time_by: TimeBy::Arrival, ..session() };
    let limited = Asked { max_age: Some(3600), ..Asked::default() };
    assert_eq!(decide_for(&limited, Some(&session), &["one"], None), to("one", true));
    let silent = Asked { passive: true, ..limited };
    assert_eq!(decide_for(&silent, Some(&session), &["one"], None), Step::Refuse(ErrorKind::LoginRequired));
    assert_eq!(decide_for(&Asked::default(), Some(&session), &["one"], None), Step::Issue);
}

#[test]
fn an_expired_session_does_not_answer() {
    let expired = Session { expires_at: NOW, ..session() };
    assert_eq!(decide_for(&Asked::default(), Some(&expired), &["one"], None), to("one", false));
    let ended = Session { upstream: UpstreamSession { not_on_or_after: Some(NOW), ..UpstreamSession::default() }, ..session() };
    assert_eq!(decide_for(&Asked::default(), Some(&ended), &["one"], None), to("one", false));
}

#[test]
fn a_session_by_a_connection_that_the_application_does_not_accept_does_not_answer() {
    assert_eq!(decide_for(&Asked::default(), Some(&session()), &["two"], None), to("two", false));
    let asked = Asked { connection: Some("two".into()), ..Asked::default() };
    assert_eq!(decide_for(&asked, Some(&session()), &["one", "two"], None), to("two", false));
}

#[test]
fn a_session_by_a_password_alone_is_none_where_a_second_factor_is_wanted() {
    let decide = |asked: &Asked, lacks_factor: bool| {
        let (application, session, usable) = (application(), session(), ["one".to_owned()]);
        let (subject, profile_age, by_hint, probes) = (None, None, None, &[][..]);
        let session = Some(&session);
        let situation =
            Situation { asked, application: &application, session, subject, profile_age, usable: &usable, by_hint, lacks_factor, probes };
        next_step(&situation, NOW).step
    };
    assert_eq!((decide(&Asked::default(), false), decide(&Asked::default(), true)), (Step::Issue, to("one", false)));
    let passive = Asked { passive: true, ..Asked::default() };
    assert_eq!(decide(&passive, true), Step::Refuse(ErrorKind::LoginRequired));
}

#[test]
fn s4_5_a_profile_that_is_too_old_sends_the_person_to_its_source() {
    let stale_profile_max = Some(3600);
    let application = Application { profile: ProfileUse { stale_profile_max, ..ProfileUse::default() }, ..application() };
    let decide = |asked: &Asked, age| {
        let (session, usable) = (session(), ["one".to_owned()]);
        let situation = Situation {
            asked,
            application: &application,
            session: Some(&session),
            subject: None,
            profile_age: age,
            usable: &usable,
            by_hint: None,
            lacks_factor: false,
            probes: &[],
        };
        next_step(&situation, NOW).step
    };
    assert_eq!(decide(&Asked::default(), Some(3600)), Step::Issue);
    assert_eq!(decide(&Asked::default(), None), Step::Issue);
    assert_eq!(decide(&Asked::default(), Some(3601)), to("one", false));
    let passive = Asked { passive: true, ..Asked::default() };
    assert_eq!(decide(&passive, Some(3601)), Step::Refuse(ErrorKind::LoginRequired));
}

#[test]
fn prompt_none_never_interrupts() {
    let passive = Asked { passive: true, ..Asked::default() };
    assert_eq!(decide_for(&passive, None, &["one", "two"], None), Step::Refuse(ErrorKind::LoginRequired));
    let with_age = Asked { max_age: Some(1), ..passive };
    assert_eq!(decide_for(&with_age, Some(&session()), &["one"], None), Step::Refuse(ErrorKind::LoginRequired));
}

#[test]
fn prompt_none_asks_a_connection_that_allows_it_and_only_if_it_is_clear_which() {
    let passive = Asked { passive: true, ..Asked::default() };
    let refused = Step::Refuse(ErrorKind::LoginRequired);
    assert_eq!(decide_for(&passive, None, &["two"], None), to("two", false));
    assert_eq!(decide_for(&passive, None, &["one"], None), refused);
    assert_eq!(decide_for(&passive, None, &["one", "two"], None), refused);
    assert_eq!(decide_for(&passive, None, &["one", "two"], Some("two")), to("two", false));
    let named = |name: &str| Asked { connection: Some(name.into()), ..passive.clone() };
    assert_eq!(decide_for(&named("two"), None, &["one", "two"], None), to("two", false));
    assert_eq!(decide_for(&named("one"), None, &["one", "two"], None), refused);
    assert_eq!(decide_for(&named("three"), None, &["one", "two"], None), refused);
    // What only a fresh login could satisfy is asked of nobody; an age is held against the answer.
    assert_eq!(decide_for(&Asked { max_age: Some(0), ..passive.clone() }, None, &["two"], None), refused);
    assert_eq!(decide_for(&Asked { max_age: Some(60), ..passive }, None, &["two"], None), to("two", false));
}

#[test]
fn a_proxy_count_of_zero_asks_nobody_and_is_not_answered_from_the_session_either() {
    let forbidden = Asked { proxy_count: Some(0), ..Asked::default() };
    for session in [None, Some(&session())] {
        assert_eq!(decide_for(&forbidden, session, &["one"], None), Step::Refuse(ErrorKind::ProxyCountExceeded));
    }
    let allowed = Asked { proxy_count: Some(1), ..Asked::default() };
    assert_eq!(decide_for(&allowed, None, &["one"], None), to("one", false));
}

#[test]
fn the_connection_is_found_by_parameter_then_hint_then_person() {
    let asked = Asked { connection: Some("two".into()), ..Asked::default() };
    assert_eq!(decide_for(&asked, None, &["one", "two"], Some("one")), to("two", false));
    assert_eq!(decide_for(&Asked::default(), None, &["one", "two"], Some("two")), to("two", false));
    assert_eq!(
        decide_for(&Asked::default(), None, &["one", "two"], Some("foreign")),
        Step::ChooseConnection(vec!["one".into(), "two".into()])
    );
    assert_eq!(decide_for(&Asked::default(), None, &["one"], None), to("one", false));
}

#[test]
fn a_fresh_login_happens_where_the_person_came_from() {
    let asked = Asked { fresh_login: true, ..Asked::default() };
    assert_eq!(decide_for(&asked, Some(&session()), &["one", "two"], None), to("one", true));
    let choose = Asked { choose: true, ..Asked::default() };
    assert_eq!(decide_for(&choose, Some(&session()), &["one", "two"], None), Step::ChooseConnection(vec!["one".into(), "two".into()]));
}

#[test]
fn a_connection_that_is_not_usable_is_refused() {
    let asked = Asked { connection: Some("three".into()), ..Asked::default() };
    assert_eq!(decide_for(&asked, None, &["one", "two"], None), Step::Refuse(ErrorKind::UnknownConnection));
    assert_eq!(decide_for(&Asked::default(), None, &[], None), Step::Refuse(ErrorKind::UnknownConnection));
}

/// Every request of one row, by a session that is a minute old, that of another person, or none.
struct Row {
    what: &'static str,
    asked: Asked,
    /// With Jane's session, without a session.
    steps: [Step; 2],
    /// The same with `prompt=none`.
    silent: [Step; 2],
}

fn rows() -> Vec<Row> {
    let base = Asked::default;
    let login = || Step::Refuse(ErrorKind::LoginRequired);
    let claims = |text: &str| ClaimsRequest::parse(text).expect("claims");
    let sub = |name: &str| claims(&format!(r#"{{"id_token":{{"sub":{{"value":"{name}"}}}}}}"#));
    let (jane, acr) = ("samlp|one|jane", |value: &str| vec![value.to_owned()]);
    let row = |what, asked, steps, silent| Row { what, asked, steps, silent };
    vec![
        row("nothing", base(), [Step::Issue, to("one", false)], [Step::Issue, login()]),
        row("max_age met", Asked { max_age: Some(60), ..base() }, [Step::Issue, to("one", true)], [Step::Issue, login()]),
        row("max_age not met", Asked { max_age: Some(59), ..base() }, [to("one", true), to("one", true)], [login(), login()]),
        row("max_age=0", Asked { max_age: Some(0), ..base() }, [to("one", true), to("one", true)], [login(), login()]),
        row("acr met", Asked { acr_values: acr("pwd"), ..base() }, [Step::Issue, to("one", false)], [Step::Issue, login()]),
        row("acr not met", Asked { acr_values: acr("mfa"), ..base() }, [to("one", false), to("one", false)], [login(), login()]),
        row(
            "acr essential and met",
            Asked { acr_values: acr("pwd"), acr_essential: true, ..base() },
            [Step::Issue, to("one", false)],
            [Step::Issue, login()],
        ),
        row(
            "acr essential, and the session has it in the identity provider's words only",
            Asked { acr_values: acr("urn:pwd"), acr_essential: true, ..base() },
            [to("one", false), to("one", false)],
            [login(), login()],
        ),
        row("hint", Asked { expected_user: Some(jane.into()), ..base() }, [Step::Issue, to("one", false)], [Step::Issue, login()]),
        row(
            "hint of another",
            Asked { expected_user: Some("john".into()), ..base() },
            [to("one", false), to("one", false)],
            [login(), login()],
        ),
        row("sub", Asked { claims: sub(jane), ..base() }, [Step::Issue, to("one", false)], [Step::Issue, login()]),
        row("sub of another", Asked { claims: sub("john"), ..base() }, [to("one", false), to("one", false)], [login(), login()]),
    ]
}

#[test]
fn prompts_and_what_is_asked_in_all_combinations() {
    let session =
        Session { upstream: UpstreamSession { authn_context: Some("urn:pwd".into()), ..UpstreamSession::default() }, ..session() };
    let sessions = [Some(&session), None];
    for Row { what, asked, steps, silent } in rows() {
        for (number, session) in sessions.into_iter().enumerate() {
            let decide = |asked: Asked, usable: &[&str]| decide_for(&asked, session, usable, None);
            assert_eq!(decide(asked.clone(), &["one"]), steps[number], "{what}");
            let none = Asked { passive: true, ..asked.clone() };
            assert_eq!(decide(none, &["one"]), silent[number], "prompt=none, {what}");
            // login: always a fresh one, whatever else is asked.
            let login = Asked { fresh_login: true, ..asked.clone() };
            assert_eq!(decide(login, &["one"]), to("one", true), "prompt=login, {what}");
            // select_account: the chooser, wherever there is a choice.
            for fresh_login in [false, true] {
                let select = Asked { choose: true, fresh_login, ..asked.clone() };
                let both = Step::ChooseConnection(vec!["one".into(), "two".into()]);
                assert_eq!(decide(select, &["one", "two"]), both, "prompt=select_account, {what}");
            }
        }
    }
}

#[test]
fn consent_is_the_last_question() {
    let passive = Asked { passive: true, ..Asked::default() };
    assert_eq!(consent(&Asked::default(), Consent::Given).step, Step::Issue);
    assert_eq!(consent(&passive, Consent::Given).step, Step::Issue);
    assert_eq!(consent(&Asked::default(), Consent::Missing).step, Step::Consent);
    assert_eq!(consent(&passive, Consent::Missing).step, Step::Refuse(ErrorKind::ConsentRequired));
}

#[test]
fn whoever_may_be_signed_in_at_one_of_several_cannot_say_at_which() {
    let (application, usable) = (application(), ["one".to_owned(), "two".to_owned()]);
    let decide = |asked: &Asked, probes: &[String]| {
        let (session, subject, profile_age, by_hint) = (None, None, None, None);
        let situation = Situation {
            asked,
            application: &application,
            session,
            subject,
            profile_age,
            usable: &usable,
            by_hint,
            lacks_factor: false,
            probes,
        };
        next_step(&situation, NOW).step
    };
    let passive = Asked { passive: true, ..Asked::default() };
    assert_eq!(decide(&passive, &usable), Step::Refuse(ErrorKind::AccountSelectionRequired));
    assert_eq!(decide(&passive, &usable[..1]), Step::Refuse(ErrorKind::LoginRequired));
    assert_eq!(decide(&Asked { connection: Some("two".into()), ..passive }, &usable), to("two", false));
}

#[test]
fn whoever_has_come_is_held_against_what_was_asked() {
    let claims = ClaimsRequest::parse(r#"{"userinfo":{"sub":{"value":"jane"}}}"#).expect("claims");
    let acr_values = vec!["mfa".to_owned(), "gold".to_owned()];
    let asked = Asked { claims, acr_values, acr_essential: true, ..Asked::default() };
    let kind = |acr, subject| check_arrived(&asked, acr, subject).err().map(|error| error.kind);
    assert_eq!(kind(Some("gold"), "jane"), None);
    assert_eq!(kind(Some("gold"), "john"), Some(ErrorKind::LoginRequired));
    assert_eq!(kind(Some("pwd"), "jane"), Some(ErrorKind::UnmetAuthenticationRequirements));
    assert_eq!(kind(None, "jane"), Some(ErrorKind::UnmetAuthenticationRequirements));
    let wished = Asked { acr_values: vec!["mfa".into()], ..Asked::default() };
    assert!(check_arrived(&wished, Some("pwd"), "jane").is_ok(), "acr_values alone are voluntary (Core 5.5.1.1)");
    let hinted = Asked { expected_user: Some("jane".into()), ..Asked::default() };
    assert_eq!(check_arrived(&hinted, None, "john").expect_err("another").kind, ErrorKind::LoginRequired);
    assert!(check_arrived(&hinted, None, "jane").is_ok());
}
