//! The page on which people find one of many identity providers, used as a browser without scripts uses it: plain forms.

use super::world::{World, entity_of, name_of};
use crate::harness::browser::{Browser, Departure, Page};
use crate::harness::html::{Form, form, unescape};
use url::Url;

/// The chooser of a login at the connection `edu`.
async fn chooser(world: &World, browser: &Browser) -> Page {
    let url = world.app.authorize(&world.gateway, &[("connection", "edu"), ("prompt", "login")]);
    let page = browser.open(url.as_str()).await.here();
    assert_eq!(page.status, 200, "{}", page.body);
    // Whoever has no scripts misses nothing.
    assert!(!page.contains("<script"), "{}", page.body);
    page
}

/// All forms of a page: the search, and the buttons.
pub fn forms(page: &Page) -> Vec<Form> {
    page.body.match_indices("<form").filter_map(|(at, _)| form(&page.body[at..])).collect()
}

/// Fills in the search form, as a GET without scripts.
pub async fn search(browser: &Browser, page: &Page, text: &str) -> Page {
    let form = forms(page).into_iter().find(|form| form.field("q").is_some()).expect("a search form");
    assert_eq!(form.method, "get");
    let mut url = page.url.join(&form.action).unwrap();
    let fields = form.fields.iter().filter(|(name, _)| name != "q");
    url.query_pairs_mut().clear().extend_pairs(fields).append_pair("q", text);
    browser.open(url.as_str()).await.here()
}

/// The names on the buttons, in their order.
pub fn offered(page: &Page) -> Vec<String> {
    let buttons = forms(page).into_iter().flat_map(|form| form.buttons);
    buttons.filter(|(name, ..)| name == "connection").map(|(_, value, _)| value).collect()
}

/// Presses the button with this value.
async fn press(browser: &Browser, page: &Page, name: &str, value: &str) -> crate::harness::browser::Landed {
    let found = forms(page).into_iter().find(|form| form.buttons.iter().any(|(button, known, _)| button == name && known == value));
    let form = found.unwrap_or_else(|| panic!("no button {value}: {}", page.body));
    let mut fields = form.fields.clone();
    fields.push((name.to_owned(), value.to_owned()));
    assert_eq!(form.method, "post");
    browser.post(&page.url, &page.url.join(&form.action).unwrap(), &fields).await
}

fn value_of(entity_id: &str) -> String {
    format!("edu {entity_id}")
}

#[tokio::test]
async fn a_federation_is_searched_by_words_accents_addresses_and_nobody_sees_it_whole() {
    let world = World::new().await;
    let browser = Browser::new();
    let page = chooser(&world, &browser).await;
    assert!(offered(&page).is_empty(), "{}", page.body);
    assert!(page.contains("<label for=\"q\">") && page.contains("role=\"search\""), "{}", page.body);

    let one = search(&browser, &page, "town 042").await;
    assert_eq!(offered(&one), [value_of(&entity_of(42))]);
    assert!(one.contains("One result for") && one.contains(&name_of(42)) && one.contains("town-042.example"), "{}", one.body);
    // Beginnings of words in any order, whatever the case; and without accents.
    for text in
        ["042 TOWN univ", "  Town   042 ", "universite unterberg", "Ünter univ", "someone@town-007.example", "jane@TOWN-007.example"]
    {
        let found = search(&browser, &page, text).await;
        let expected = if text.contains("042") { 42 } else { 7 };
        assert_eq!(offered(&found), [value_of(&entity_of(expected))], "{text}: {}", found.body);
    }
    // Somebody who types little is asked for more, and gets some.
    let many = search(&browser, &page, "university").await;
    assert!(many.contains("More than 40 results") && many.contains("Type more of the name"), "{}", many.body);
    assert_eq!(offered(&many).len(), 40);
    let none = search(&browser, &page, "zzzz").await;
    assert!(none.contains("Nothing was found for") && offered(&none).is_empty(), "{}", none.body);
    // What is typed stays in the field, and is text.
    let hostile = search(&browser, &page, "\"><script>alert(1)</script>").await;
    assert!(!hostile.contains("<script>") && forms(&hostile)[0].field("q") == Some("\"><script>alert(1)</script>"), "{}", hostile.body);
    // An empty search is none.
    assert!(!search(&browser, &page, "  ").await.contains("result"));
    let long = search(&browser, &page, &"x".repeat(5000)).await;
    assert_eq!(long.status, 200);
    assert!(!long.contains(&"x".repeat(300)), "it is cut");
}

#[tokio::test]
async fn who_is_found_is_asked_and_who_hides_can_only_be_named() {
    let world = World::new().await;
    let browser = Browser::new();
    let page = chooser(&world, &browser).await;
    let found = search(&browser, &page, "alpha").await;
    let request = world.alpha.idp.read(&press(&browser, &found, "connection", &value_of(&world.alpha.idp.entity_id)).await.away());
    let answer = world.alpha.idp.respond(&request, &crate::harness::idp::Person::jane());
    world.app.code(&world.gateway, &browser.post(&answer.from, &answer.to, &answer.fields()).await.away());
    // Not found, also by its entityID; whoever knows it gets there.
    let browser = Browser::new();
    let page = chooser(&world, &browser).await;
    for text in ["hidden", world.hidden.entity_id.as_str()] {
        assert!(offered(&search(&browser, &page, text).await).is_empty(), "{text}");
    }
    let named = world.app.authorize(&world.gateway, &[("idp", &world.hidden.entity_id)]);
    world.hidden.read(&Browser::new().open(named.as_str()).await.away());
    // Made-up values lead nowhere.
    let browser = Browser::new();
    let page = chooser(&world, &browser).await;
    let login = forms(&page)[0].field("login").unwrap().to_owned();
    for value in ["edu https://invented.example/idp", "other", "", "edu"] {
        let fields = [("login".to_owned(), login.clone()), ("connection".to_owned(), value.to_owned())];
        match browser.post(&page.url, &world.gateway.url("/login"), &fields).await {
            crate::harness::browser::Landed::Here(page) => assert!(!page.contains("SAMLRequest"), "{value}: {}", page.body),
            crate::harness::browser::Landed::Away(departure) => panic!("{value}: {}", departure.url),
        }
    }
    // The login has not suffered.
    let found = search(&browser, &page, "beta").await;
    world.beta.idp.read(&press(&browser, &found, "connection", &value_of(&world.beta.idp.entity_id)).await.away());
}

#[tokio::test]
async fn what_was_picked_is_offered_first_until_the_person_forgets_it() {
    let world = World::new().await;
    let browser = Browser::new();
    let (alpha, beta) = (value_of(&world.alpha.idp.entity_id), value_of(&world.beta.idp.entity_id));
    let page = chooser(&world, &browser).await;
    assert!(browser.cookie("isthmus-choice").is_none() && !page.contains("Used before"));
    for (text, value) in [("alpha", &alpha), ("beta", &beta)] {
        let found = search(&browser, &page, text).await;
        press(&browser, &found, "connection", value).await.away();
    }
    let cookie = browser.cookie("isthmus-choice").expect("a cookie");
    assert!(cookie.http_only && cookie.same_site == "Lax", "{cookie:?}");
    // The last one first, without a search.
    let again = chooser(&world, &browser).await;
    assert!(again.contains("Used before"), "{}", again.body);
    assert_eq!(offered(&again), [beta.clone(), alpha.clone()]);
    world.alpha.idp.read(&press(&browser, &again, "connection", &alpha).await.away());
    assert_eq!(offered(&chooser(&world, &browser).await), [alpha.clone(), beta]);
    // Another browser knows nothing of it.
    assert!(offered(&chooser(&world, &Browser::new()).await).is_empty());
    // Forgotten: at once, and from then on; the login goes on.
    let again = chooser(&world, &browser).await;
    let page = press(&browser, &again, "forget", "1").await.here();
    assert!(!page.contains("Used before") && offered(&page).is_empty(), "{}", page.body);
    assert!(browser.cookie("isthmus-choice").is_none());
    let found = search(&browser, &page, "alpha").await;
    world.alpha.idp.read(&press(&browser, &found, "connection", &alpha).await.away());
}

#[tokio::test]
async fn a_cookie_of_choices_is_not_believed() {
    let world = World::new().await;
    let page = chooser(&world, &Browser::new()).await;
    let ask = async |value: &str| {
        let url = world.app.authorize(&world.gateway, &[("connection", "edu")]);
        let request = crate::harness::browser::client().get(url.clone()).header("cookie", format!("isthmus-choice={value}"));
        Page::read(request.send().await.unwrap(), &url).await
    };
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    for value in [
        encode(&value_of(&world.hidden.entity_id)),
        encode("edu https://invented.example/idp"),
        encode("other https://x.example"),
        encode("edu \"><script>alert(1)</script>"),
        "%%%".to_owned(),
        "....".to_owned(),
        "A".repeat(3900),
    ] {
        let shown = ask(&value).await;
        assert_eq!((shown.status, offered(&shown)), (200, offered(&page)), "{value}");
        assert!(!shown.contains("<script"), "{}", shown.body);
    }
    let good = ask(&encode(&value_of(&world.alpha.idp.entity_id))).await;
    assert_eq!(offered(&good), [value_of(&world.alpha.idp.entity_id)]);
}

/// `idp`, and `aarc_idp_hint` of AARC-G061, for both protocols.
#[tokio::test]
async fn an_application_names_the_identity_provider_and_a_hint_that_nobody_knows_is_none() {
    let world = World::new().await;
    let alpha = world.alpha.idp.entity_id.clone();
    // With hints for proxies behind it.
    let nested = format!("{alpha}?aarc_idp_hint=https%3A%2F%2Fdeeper.example");
    for changes in [
        vec![("idp", alpha.as_str())],
        vec![("idp", &alpha), ("connection", "edu")],
        vec![("aarc_idp_hint", &alpha)],
        vec![("aarc_idp_hint", &nested), ("connection", "edu")],
    ] {
        let url = world.app.authorize(&world.gateway, &changes);
        world.alpha.idp.read(&Browser::new().open(url.as_str()).await.away());
    }
    let unknown = world.app.authorize(&world.gateway, &[("aarc_idp_hint", "https://invented.example/idp")]);
    assert!(Browser::new().open(unknown.as_str()).await.here().contains("role=\"search\""));
    // A hint for somebody elsewhere than the connection that was asked for is none either.
    let other = crate::harness::idp::Idp::new("acme");
    let second = World::with(&super::world::Lines::default(), |setup| setup.connection(&other.toml("", ""))).await;
    let url = second.app.authorize(&second.gateway, &[("aarc_idp_hint", &other.entity_id), ("connection", "edu")]);
    assert!(Browser::new().open(url.as_str()).await.here().contains("role=\"search\""));
    let url = second.app.authorize(&second.gateway, &[("aarc_idp_hint", &other.entity_id)]);
    other.read(&Browser::new().open(url.as_str()).await.away());

    // SAML: beside the request, whose signature covers other parameters; and where a sign-in starts here.
    let asks = |hint: &str| {
        let mut url = world.sp.redirect(&world.sp.request(&world.gateway));
        url.query_pairs_mut().append_pair("aarc_idp_hint", hint);
        url
    };
    world.alpha.idp.read(&Browser::new().open(asks(&alpha).as_str()).await.away());
    assert!(Browser::new().open(asks("https://invented.example/idp").as_str()).await.here().contains("role=\"search\""));
    let listed = world
        .sp
        .request(&world.gateway)
        .and(&format!("<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID=\"{alpha}\"/></samlp:IDPList></samlp:Scoping>"));
    // Whom the request itself lists, no hint changes.
    let mut url = world.sp.redirect(&listed);
    url.query_pairs_mut().append_pair("aarc_idp_hint", &world.beta.idp.entity_id);
    world.alpha.idp.read(&Browser::new().open(url.as_str()).await.away());
}

/// Everything on the page works by the keys of a form alone: the texts are those that a screen reader says.
#[tokio::test]
async fn the_search_says_what_it_is_for() {
    let world = World::new().await;
    let browser = Browser::new();
    let page = search(&browser, &chooser(&world, &browser).await, "beta").await;
    let text = unescape(&page.body);
    for part in ["<html lang=\"en\" dir=\"ltr\">", "<main", "role=\"status\"", "Name of your organisation, or your e-mail address"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let departure: Departure = press(&browser, &page, "connection", &value_of(&world.beta.idp.entity_id)).await.away();
    assert_eq!(departure.url.host_str(), Url::parse(&world.beta.idp.sso_url).unwrap().host_str());
}
