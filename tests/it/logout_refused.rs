//! Logout messages that are not believed, and addresses that are no place to go.

use crate::harness::browser::Browser;
use crate::harness::keys::Pair;
use crate::logout_support::{BYE, Cascade, Known, Partner};
use time::Duration;
use url::Url;

const APPS: &str = "/saml/metadata";

async fn quiet() -> Cascade {
    Cascade::with("", "", |setup| setup).await
}

#[tokio::test]
async fn forged_requests_end_nothing() {
    let scene = quiet().await;
    let known = scene.saml(&scene.wiki).await;
    let good = |to: Url| scene.wiki.request(to, &known);
    let mut thief = Partner::new("wiki");
    thief.pair = Pair::rsa("thief");
    let mut cases = vec![("unsigned", good(scene.slo()).unsigned()), ("another key", thief.redirect(&good(scene.slo())))];
    let mut elsewhere = good(scene.slo());
    elsewhere.destination = Some("https://other.example/slo".to_owned());
    cases.push(("another destination", scene.wiki.redirect(&elsewhere)));
    let mut nowhere = good(scene.slo());
    nowhere.destination = None;
    cases.push(("no destination", scene.wiki.redirect(&nowhere)));
    let mut over = good(scene.slo());
    over.attributes = "NotOnOrAfter=\"2020-01-01T00:00:00Z\"".to_owned();
    cases.push(("over", scene.wiki.redirect(&over)));
    let mut old = good(scene.slo());
    old.instant -= Duration::minutes(20);
    cases.push(("too old", scene.wiki.redirect(&old)));
    let mut early = good(scene.slo());
    early.instant += Duration::minutes(20);
    cases.push(("from the future", scene.wiki.redirect(&early)));
    let mut stranger = good(scene.slo());
    stranger.issuer = "https://stranger.example/saml".to_owned();
    cases.push(("a stranger", scene.wiki.redirect(&stranger)));
    let mut other = good(scene.gateway.url("/samlp/docs/logout"));
    other.issuer.clone_from(&scene.wiki.entity_id);
    cases.push(("at the endpoint of another application", scene.wiki.redirect(&other)));
    let mut nameless = good(scene.slo());
    nameless.inside = "<samlp:SessionIndex>x</samlp:SessionIndex>".to_owned();
    cases.push(("no name", scene.wiki.redirect(&nameless)));
    cases.push(("nothing", scene.slo()));
    for (case, url) in cases {
        let page = scene.browser.open(url.as_str()).await.here();
        assert_eq!(page.status, 400, "{case}: {}", page.body);
        assert!(scene.is_signed_in().await, "{case}");
    }
    // The same of the identity provider.
    let known = scene.upstream();
    let request = scene.acme.request(scene.connection_slo(), &known);
    for url in [request.unsigned(), scene.wiki.redirect(&request)] {
        assert_eq!(scene.browser.open(url.as_str()).await.here().status, 400);
    }
    assert!(scene.is_signed_in().await);
    assert!(scene.gateway.metric("isthmus_logouts_total{by=\"saml\",outcome=\"refused\"}").await >= 7);
}

#[tokio::test]
async fn a_copy_of_a_request_ends_nothing() {
    let scene = quiet().await;
    let known = scene.saml(&scene.wiki).await;
    let mut request = scene.wiki.request(scene.slo(), &known);
    let url = scene.wiki.redirect(&request);
    scene.browser.open(url.as_str()).await.away();
    // A persistent name ends the next session too: the copy must not.
    request.inside = format!("<saml:NameID>{}</saml:NameID>", known.name);
    let all = scene.wiki.redirect(&request);
    scene.saml(&scene.wiki).await;
    for copy in [url, all] {
        assert_eq!(scene.browser.open(copy.as_str()).await.here().status, 400, "the ID was used");
    }
    assert!(scene.is_signed_in().await);
}

#[tokio::test]
async fn another_name_or_an_unknown_session_ends_nothing_and_is_answered() {
    let scene = quiet().await;
    let known = scene.saml(&scene.wiki).await;
    let docs = scene.saml(&scene.docs).await;
    let apps = scene.metadata(APPS).await;
    let cases = [
        Known { name: "somebody-else".to_owned(), ..known.clone() },
        Known { session_index: Some("_unknown".to_owned()), ..known.clone() },
        Known { session_index: docs.session_index, ..known.clone() },
        Known { attributes: "Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\"".to_owned(), ..known.clone() },
        Known { attributes: "NameQualifier=\"https://other.example\"".to_owned(), ..known },
    ];
    for case in cases {
        let request = scene.wiki.request(scene.slo(), &case);
        let back = scene.browser.open(scene.wiki.redirect(&request).as_str()).await.away();
        scene.hear(&back, &apps).assert_answers(&request, &scene.wiki, &["Responder", "UnknownPrincipal"]);
        assert!(scene.is_signed_in().await, "{case:?}");
    }
    let case = Known { name: "somebody-else".to_owned(), ..scene.upstream() };
    let request = scene.acme.request(scene.connection_slo(), &case);
    let back = scene.browser.open(scene.acme.redirect(&request).as_str()).await.away();
    let idps = scene.metadata("/connections/acme/metadata").await;
    scene.hear(&back, &idps).assert_answers(&request, &scene.acme, &["Responder", "UnknownPrincipal"]);
    assert!(scene.is_signed_in().await);
}

#[tokio::test]
async fn a_session_that_is_over_is_no_failure() {
    let scene = quiet().await;
    let known = scene.saml(&scene.wiki).await;
    let apps = scene.metadata(APPS).await;
    for _ in 0..2 {
        let request = scene.wiki.request(scene.slo(), &known);
        let back = scene.browser.open(scene.wiki.redirect(&request).as_str()).await.away();
        scene.hear(&back, &apps).assert_answers(&request, &scene.wiki, &["Success"]);
    }
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_refused() {
    let scene = quiet().await;
    let hint = scene.openid("notes").await;
    let docs = scene.saml(&scene.docs).await;
    scene.saml(&scene.wiki).await;
    let apps = scene.metadata(APPS).await;
    let start = scene.end_session(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]);
    let to_wiki = scene.hear(&scene.browser.open(start.as_str()).await.away(), &apps);
    // An answer to nothing, and one by an application that was not asked.
    let mut nothing = scene.wiki.answer(scene.slo(), &to_wiki, &["Success"]);
    nothing.attributes = "InResponseTo=\"_0123456789abcdef0123456789abcdef\"".to_owned();
    assert_eq!(scene.browser.open(scene.wiki.redirect(&nothing).as_str()).await.here().status, 400);
    let elsewhere = scene.docs.answer(scene.gateway.url("/samlp/docs/logout"), &to_wiki, &["Success"]);
    assert_eq!(scene.browser.open(scene.docs.redirect(&elsewhere).as_str()).await.here().status, 400);
    // One that claims to be its own, without its signature, says nothing: the logout goes on, and is not whole.
    let forged = scene.wiki.answer(scene.slo(), &to_wiki, &["Success"]);
    let to_docs = scene.hear(&scene.browser.open(forged.unsigned().as_str()).await.away(), &apps);
    to_docs.assert_ends(&docs, &scene.docs);
    let good = scene.docs.redirect(&scene.docs.answer(scene.slo(), &to_docs, &["Success"]));
    let page = scene.browser.open(good.as_str()).await.here();
    assert!(page.contains("not everywhere") && page.contains("refused (unsigned)"), "{}", page.body);
    // An answer counts once.
    assert_eq!(scene.browser.open(good.as_str()).await.here().status, 400);
}

#[tokio::test]
async fn whoever_is_switched_off_takes_no_part() {
    let gone = Partner::new("gone");
    let (idp, closed) = Partner::idp("closed");
    let application = gone.application("").replace("name = \"The gone\"", "name = \"Gone\"\nenabled = false");
    let connection = closed.connection(&idp, "").replace("name = \"closed\"\n", "name = \"closed\"\nenabled = false\n");
    let scene = Cascade::with("", "", |setup| setup.application(&application).connection(&connection)).await;
    let request = gone.request(scene.gateway.url("/samlp/gone/logout"), &Known { name: "x".to_owned(), ..Known::default() });
    scene.browser.open(gone.redirect(&request).as_str()).await.here().assert_refused(400, "ISTH-1008");
    let request = closed.request(scene.gateway.url("/connections/closed/slo"), &Known { name: "x".to_owned(), ..Known::default() });
    let page = scene.browser.open(closed.redirect(&request).as_str()).await.here();
    assert!(page.status >= 400 && page.contains("not available"), "{} {}", page.status, page.body);
}

#[tokio::test]
async fn auth0_s_form_of_logout_goes_to_registered_addresses_only_and_asks_unless_the_application_s_page_asked() {
    let scene = quiet().await;
    let v2 = |parameters: &[(&str, &str)]| {
        let mut url = scene.gateway.url("/v2/logout");
        url.query_pairs_mut().extend_pairs(parameters);
        url
    };
    scene.openid("notes").await;
    for (client_id, to) in [("notes", "https://evil.example/"), ("nobody", BYE), ("notes", "https://notes.example/bye/")] {
        let page = scene.browser.open(v2(&[("client_id", client_id), ("returnTo", to)]).as_str()).await.here();
        page.assert_refused(400, "ISTH-1008");
    }
    // Anybody can make a link.
    let page = scene.browser.open(v2(&[("client_id", "notes"), ("returnTo", BYE)]).as_str()).await.here();
    assert!(page.contains("Do you want to sign out?") && scene.is_signed_in().await, "{}", page.body);
    assert_eq!(scene.browser.press(&page, "Sign out").await.away().url.as_str(), BYE);
    assert!(!scene.is_signed_in().await);
    // A link on a page of the application is its own wish.
    for (referer, ends) in
        [("https://evil.example/", false), ("https://notes.example.evil.example/", false), ("https://notes.example/", true)]
    {
        scene.openid("notes").await;
        let session = scene.browser.cookie("isthmus-session").expect("a session").value;
        let request = crate::harness::browser::client().get(v2(&[("client_id", "notes"), ("returnTo", BYE)]));
        let answer = request.header("cookie", format!("isthmus-session={session}")).header("referer", referer).send().await.unwrap();
        assert_eq!(answer.headers().contains_key("location"), ends, "{referer}");
        assert_eq!(scene.is_signed_in().await, !ends, "{referer}");
    }
}

#[tokio::test]
async fn a_logout_page_that_is_not_known_says_so() {
    let scene = quiet().await;
    let page = Browser::new().open(scene.gateway.url("/logout/0123456789abcdef0123456789abcdef").as_str()).await.here();
    assert_eq!(page.status, 404, "{}", page.body);
}
