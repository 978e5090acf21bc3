//! The second factor after a password: set up, asked for, used once, guessed in vain, and removed.

use super::database::{self, BCRYPT, import, type_in};
use crate::api::{Api, command};
use crate::harness::app::{App, Tokens};
use crate::harness::browser::{Browser, Landed, Page};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::Op;
use crate::harness::slapd::{PASSWORD, Slapd};
use crate::saml_apps::sp::{Answered, Sp};
use isthmus::clock::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::{Value, json};
use std::time::Duration;

const MFA: &str = "https://refeds.org/profile/mfa";
const PASSWORD_CLASS: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
const WRONG: &str = "This code is not right";
const USED: &str = "This code was used before";

/// An authenticator app: RFC 6238 as the person's phone does it.
pub struct Phone {
    secret: Vec<u8>,
}

impl Phone {
    /// Takes the key of a page.
    pub fn scan(page: &Page) -> Self {
        let key = page.body.split("id=\"key\">").nth(1).and_then(|rest| rest.split('<').next()).expect("a key").replace(' ', "");
        let address = page.body.split("href=\"otpauth:").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
        assert!(address.contains(&format!("secret={key}")) && address.contains("digits=6") && address.contains("period=30"), "{address}");
        Self::with(&key)
    }

    pub fn with(key: &str) -> Self {
        let bits: String = key
            .bytes()
            .map(|letter| format!("{:05b}", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).unwrap()))
            .collect();
        let secret = bits.as_bytes().chunks_exact(8).map(|eight| u8::from_str_radix(std::str::from_utf8(eight).unwrap(), 2).unwrap());
        Self { secret: secret.collect() }
    }

    /// The code of now, or so many steps from it.
    pub async fn code(&self, steps: i64) -> String {
        // Not in the last moments of a step, so that it is the same step when the code arrives.
        loop {
            let now = Timestamp::now().seconds();
            if now % 30 < 26 {
                return self.at(now / 30 + steps);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn at(&self, step: i64) -> String {
        let key = PKey::hmac(&self.secret).unwrap();
        let mac = Signer::new(MessageDigest::sha1(), &key).unwrap().sign_oneshot_to_vec(&step.to_be_bytes()).unwrap();
        let offset = usize::from(mac[19] & 15);
        let number = u32::from_be_bytes(mac[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

pub fn staff(slapd: &Slapd, option: &str) -> String {
    let toml = slapd.toml("");
    if option == "off" { toml } else { toml.replacen("display_name", &format!("second_factor = \"{option}\"\ndisplay_name"), 1) }
}

async fn world(option: &str) -> (Slapd, Gateway, App) {
    let (slapd, app) = (Slapd::start(), App::new("notes"));
    let gateway = Gateway::start(Setup::new().connection(&staff(&slapd, option)).application(&app.toml("", ""))).await;
    (slapd, gateway, app)
}

/// Sends a form of ours with some fields.
pub async fn send(browser: &Browser, page: &Page, values: &[(&str, &str)]) -> Landed {
    let form = page.form();
    let mut fields: Vec<(String, String)> =
        form.fields.iter().filter(|(name, _)| !values.iter().any(|(known, _)| known == name)).cloned().collect();
    fields.retain(|(name, _)| name != "enrol");
    fields.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    browser.post(&page.url, &page.url.join(&form.action).unwrap(), &fields).await
}

async fn password(gateway: &Gateway, app: &App, browser: &Browser, name: &str, changes: &[(&str, &str)]) -> Landed {
    let page = browser.open(app.authorize(gateway, changes).as_str()).await.here();
    assert_eq!(page.url.path(), "/login/password", "{}", page.body);
    send(browser, &page, &[("username", name), ("password", PASSWORD)]).await
}

pub async fn code(browser: &Browser, page: &Page, code: &str) -> Landed {
    send(browser, page, &[("code", code)]).await
}

async fn claims(gateway: &Gateway, app: &App, landed: Landed) -> Value {
    Tokens::of(&app.redeem(gateway, &app.code(gateway, &landed.away()), &[]).await).claims()
}

/// The recovery codes of a page.
fn codes(page: &Page) -> Vec<String> {
    let list = page.body.split("id=\"codes\"").nth(1).and_then(|rest| rest.split("</ul>").next()).expect("codes");
    list.split("<code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

/// Sets up a phone by the page that a login has come to: the phone, the recovery codes, and where the login leads.
pub async fn set_up(browser: &Browser, page: &Page, step: i64) -> (Phone, Vec<String>, Landed) {
    let phone = Phone::scan(page);
    let kept = code(browser, page, &phone.code(step).await).await.here();
    let recovery = codes(&kept);
    (phone, recovery, send(browser, &kept, &[("kept", "1")]).await)
}

#[tokio::test]
async fn who_must_have_a_second_factor_sets_one_up_and_is_asked_for_it_from_then_on() {
    let (_slapd, gateway, app) = world("required").await;
    let browser = Browser::new();
    let page = password(&gateway, &app, &browser, "jane", &[]).await.here();
    assert_eq!((page.status, page.header("cache-control"), page.header("x-frame-options")), (200, "no-store", "DENY"));
    assert!(
        page.contains("Set up a second step")
            && page.contains("<svg class=\"qr\" role=\"img\"")
            && page.contains("<title id=\"qr-title\">"),
        "{}",
        page.body
    );
    // Nothing of the login is recorded before it is one.
    let api = Api::of(&gateway).await;
    assert_eq!(api.read("/users").await, json!([]));
    let phone = Phone::scan(&page);
    let again = code(&browser, &page, "000000").await.here();
    assert!(again.contains(WRONG) && again.form().field("code") == Some(""), "{}", again.body);
    let kept = code(&browser, &again, &phone.code(-1).await).await.here();
    let recovery = codes(&kept);
    assert!(recovery.len() == 10 && kept.contains("Keep your recovery codes") && !kept.contains("otpauth"), "{}", kept.body);
    let first = claims(&gateway, &app, send(&browser, &kept, &[("kept", "1")]).await).await;
    assert_eq!((&first["amr"], &first["acr"]), (&json!(["pwd", "otp", "mfa"]), &json!(MFA)), "{first}");
    assert!(!kept.url.as_str().contains(&recovery[0]) && !gateway.log().contains(&recovery[0]));
    // From here on a code is asked for, and none of those that were used counts.
    let other = Browser::new();
    let asked = password(&gateway, &app, &other, "jane", &[]).await.here();
    assert!(asked.contains("Enter your code") && !asked.contains("otpauth") && !asked.contains("<svg"), "{}", asked.body);
    let used = code(&other, &asked, &phone.code(-1).await).await.here();
    assert!(used.contains(USED), "{}", used.body);
    let trace = gateway.trace(used.correlation_id()).await.to_string();
    assert!(trace.contains("second-factor") && trace.contains("a code that was used before"), "{trace}");
    let typed = phone.code(0).await;
    let spaced = format!(" {} {} ", &typed[..3], &typed[3..]);
    let second = claims(&gateway, &app, code(&other, &used, &spaced).await).await;
    assert_eq!((&second["sub"], &second["amr"]), (&first["sub"], &first["amr"]));
    // Single sign-on goes on, with what was proven.
    let quiet = other.open(app.authorize(&gateway, &[("prompt", "none")]).as_str()).await;
    assert_eq!(claims(&gateway, &app, quiet).await["amr"], first["amr"]);
    // One that is not shown yet does not count.
    let third = Browser::new();
    let page = password(&gateway, &app, &third, "jane", &[]).await.here();
    let page = code(&third, &page, &phone.code(3).await).await.here();
    assert!(page.contains(WRONG), "{}", page.body);
    assert!(claims(&gateway, &app, code(&third, &page, &phone.code(1).await).await).await["acr"] == MFA);
}

#[tokio::test]
async fn the_page_belongs_to_one_browser_and_takes_its_own_form_alone() {
    let (_slapd, gateway, app) = world("required").await;
    let browser = Browser::new();
    let page = password(&gateway, &app, &browser, "jane", &[]).await.here();
    let phone = Phone::scan(&page);
    // Another browser learns nothing.
    let stranger = Browser::new();
    password(&gateway, &app, &stranger, "joe", &[]).await.here();
    let address = format!("{}?login={}", page.url.join("/login/code").unwrap(), page.form().field("login").unwrap());
    let refused = stranger.open(&address).await.here();
    assert!(refused.status >= 400 && !refused.contains("otpauth"), "{}", refused.body);
    // A form of somebody else answers nothing, and a look shows the same again.
    let forged = send(&browser, &page, &[("code", &phone.code(0).await), ("csrf", "x")]).await.here();
    assert!(forged.contains("Set up a second step") && !forged.contains(WRONG), "{}", forged.body);
    let reloaded = browser.open(&address).await.here();
    assert_eq!(
        reloaded.body.split("id=\"key\">").nth(1).map(|rest| &rest[..39]),
        page.body.split("id=\"key\">").nth(1).map(|rest| &rest[..39])
    );
    // Nobody says that codes are kept that they have not seen.
    let early = send(&browser, &page, &[("kept", "1")]).await.here();
    assert!(early.contains("Set up a second step"), "{}", early.body);
    // Two tabs are two logins. Whoever is second is told to begin again, and the first phone stays.
    let tab = password(&gateway, &app, &browser, "jane", &[("prompt", "login")]).await.here();
    let other_phone = Phone::scan(&tab);
    let tab = code(&browser, &tab, &other_phone.code(-1).await).await.here();
    let (_, recovery, landed) = set_up(&browser, &early, 0).await;
    claims(&gateway, &app, landed).await;
    let late = send(&browser, &tab, &[("kept", "1")]).await.away();
    assert_eq!(app.error(&gateway, &late).0, "access_denied");
    let page = password(&gateway, &app, &stranger, "jane", &[]).await.here();
    let page = code(&stranger, &page, &other_phone.code(1).await).await.here();
    assert!(page.contains(WRONG), "{}", page.body);
    // Back to the password, and in as somebody else; the other login does not suffer.
    let back = stranger.click(&page, &format!("/login/password?login={}", page.form().field("login").unwrap())).await.here();
    let joe = send(&stranger, &back, &[("username", "joe"), ("password", PASSWORD)]).await.here();
    assert!(joe.contains("Set up a second step"), "{}", joe.body);
    let fresh = Browser::new();
    let page = password(&gateway, &app, &fresh, "jane", &[]).await.here();
    claims(&gateway, &app, code(&fresh, &page, &recovery[0]).await).await;
}

#[tokio::test]
async fn a_recovery_code_lets_in_once_whatever_its_case() {
    let (_slapd, gateway, app) = world("required").await;
    let browser = Browser::new();
    let page = password(&gateway, &app, &browser, "jane", &[]).await.here();
    let (_, recovery, landed) = set_up(&browser, &page, 0).await;
    claims(&gateway, &app, landed).await;
    let other = Browser::new();
    let page = password(&gateway, &app, &other, "jane", &[]).await.here();
    let claimed = claims(&gateway, &app, code(&other, &page, &recovery[3].to_uppercase().replace('-', "")).await).await;
    assert_eq!(claimed["amr"], json!(["pwd", "otp", "mfa"]));
    let other = Browser::new();
    let page = password(&gateway, &app, &other, "jane", &[]).await.here();
    let page = code(&other, &page, &recovery[3]).await.here();
    assert!(page.contains(WRONG), "{}", page.body);
    // Of two at once one gets in.
    let (one, two) = (Browser::new(), Browser::new());
    let (first, second) =
        (password(&gateway, &app, &one, "jane", &[]).await.here(), password(&gateway, &app, &two, "jane", &[]).await.here());
    let (first, second) = tokio::join!(code(&one, &first, &recovery[4]), code(&two, &second, &recovery[4]));
    let away = [first, second].into_iter().filter(|landed| matches!(landed, Landed::Away(_))).count();
    assert_eq!(away, 1);
}

#[tokio::test]
async fn guesses_are_counted_for_the_account_wherever_they_come_from() {
    let (_slapd, gateway, app) = world("required").await;
    let browser = Browser::new();
    let page = password(&gateway, &app, &browser, "jane", &[]).await.here();
    let (phone, ..) = set_up(&browser, &page, -1).await;
    // Each from a login of its own, and many at once.
    let mut logins = Vec::new();
    for _ in 0..4 {
        let browser = Browser::new();
        let page = password(&gateway, &app, &browser, "jane", &[]).await.here();
        logins.push((browser, page));
    }
    let guess = |number: usize, at: usize| {
        let (browser, page) = &logins[at];
        async move { code(browser, page, &format!("00000{number}")).await.here() }
    };
    let mut answered = Vec::new();
    for number in 0..3 {
        answered.extend(<[Page; 4]>::from(tokio::join!(guess(number, 0), guess(number, 1), guess(number, 2), guess(number, 3))));
    }
    // Of those that come at once, and are too many together, none is looked at.
    let looked_at = answered.iter().filter(|page| page.contains(WRONG)).count();
    assert!((8..=10).contains(&looked_at), "{looked_at}");
    let last = answered.iter().find(|page| page.status == 429).expect("one that was too many");
    assert!(last.contains("too many wrong codes") && last.header("retry-after").parse::<u32>().unwrap() <= 600, "{}", last.body);
    // The right one is not looked at either; others are not concerned.
    let (browser, page) = &logins[0];
    assert_eq!(code(browser, page, &phone.code(0).await).await.here().status, 429);
    let joe = Browser::new();
    let page = password(&gateway, &app, &joe, "joe", &[]).await.here();
    let (.., landed) = set_up(&joe, &page, 0).await;
    claims(&gateway, &app, landed).await;
}

#[tokio::test]
async fn where_it_is_optional_who_wants_it_has_it_and_applications_may_ask() {
    let (slapd, mut gateway, app) = world("optional").await;
    let browser = Browser::new();
    let alone = claims(&gateway, &app, password(&gateway, &app, &browser, "joe", &[]).await).await;
    assert_eq!(alone["amr"], json!(["pwd"]), "{alone}");
    // An application that asks for it leads past the session to the password and to the code.
    let metadata = gateway.client().get(gateway.url("/.well-known/openid-configuration")).send().await.unwrap().text().await.unwrap();
    assert!(metadata.contains(MFA), "{metadata}");
    let page = password(&gateway, &app, &browser, "joe", &[("acr_values", MFA)]).await.here();
    assert!(page.contains("Set up a second step"), "{}", page.body);
    let (joes, _, landed) = set_up(&browser, &page, -1).await;
    assert_eq!(claims(&gateway, &app, landed).await["acr"], MFA);
    let quiet = browser.open(app.authorize(&gateway, &[("acr_values", MFA), ("prompt", "none")]).as_str()).await;
    assert_eq!(claims(&gateway, &app, quiet).await["acr"], MFA);
    // From now on they are asked, whoever wants them.
    let other = Browser::new();
    let page = password(&gateway, &app, &other, "joe", &[]).await.here();
    assert!(page.contains("Enter your code"), "{}", page.body);
    claims(&gateway, &app, code(&other, &page, &joes.code(0).await).await).await;
    // Somebody wants it by themselves.
    let jane = Browser::new();
    let page = jane.open(app.authorize(&gateway, &[]).as_str()).await.here();
    assert!(page.contains("name=\"enrol\""), "{}", page.body);
    let page = send(&jane, &page, &[("username", "jane"), ("password", PASSWORD), ("enrol", "1")]).await.here();
    let (.., landed) = set_up(&jane, &page, 0).await;
    assert_eq!(claims(&gateway, &app, landed).await["amr"], json!(["pwd", "otp", "mfa"]));
    // Who has signed in by a password alone.
    let twin = Browser::new();
    claims(&gateway, &app, password(&gateway, &app, &twin, "twin", &[]).await).await;
    let quiet = [("prompt", "none")];
    claims(&gateway, &app, twin.open(app.authorize(&gateway, &quiet).as_str()).await).await;
    // The connection requires it by now: that session is worth nothing any more, the other is.
    let required = staff(&slapd, "required");
    assert!(gateway.stop().success());
    gateway.start_again(|setup| setup.connections = vec![required]).await;
    let refused = twin.open(app.authorize(&gateway, &quiet).as_str()).await.away();
    assert_eq!(app.error(&gateway, &refused).0, "login_required");
    let page = password(&gateway, &app, &twin, "twin", &[]).await.here();
    assert!(page.contains("Set up a second step"), "{}", page.body);
    assert_eq!(claims(&gateway, &app, jane.open(app.authorize(&gateway, &quiet).as_str()).await).await["acr"], MFA);
}

#[tokio::test]
async fn an_application_of_saml_asks_for_it_and_is_told_of_it() {
    let (slapd, sp) = (Slapd::start(), Sp::new("wiki"));
    let gateway = Gateway::start(Setup::new().connection(&staff(&slapd, "optional")).application(&sp.toml("", ""))).await;
    let request = |class: &str| {
        let asked = format!(
            "<samlp:RequestedAuthnContext Comparison=\"exact\"><saml:AuthnContextClassRef>{class}</saml:AuthnContextClassRef></samlp:RequestedAuthnContext>"
        );
        sp.redirect(&sp.request(&gateway).and(&asked))
    };
    let sign_in = async |browser: &Browser, class: &str| {
        let page = browser.open(request(class).as_str()).await.here();
        send(browser, &page, &[("username", "jane"), ("password", PASSWORD)]).await
    };
    let class = |landed: Landed| Answered::read(&gateway, &landed.away()).assert_good().text("saml:AuthnContextClassRef");
    let browser = Browser::new();
    let page = sign_in(&browser, MFA).await.here();
    let (phone, _, landed) = set_up(&browser, &page, -1).await;
    assert_eq!(class(landed), MFA);
    // The session is of that context, and of no other.
    assert_eq!(class(browser.open(request(MFA).as_str()).await), MFA);
    let page = sign_in(&browser, PASSWORD_CLASS).await.here();
    assert_eq!(class(code(&browser, &page, &phone.code(0).await).await), PASSWORD_CLASS);
    // What neither of the two can be is refused before anybody types a code.
    let refused = sign_in(&Browser::new(), "urn:example:better").await.away();
    assert_eq!(Answered::read(&gateway, &refused).status(), ["Responder", "NoAuthnContext"]);
}

#[tokio::test]
async fn an_account_is_proven_by_both_before_another_joins_it() {
    let (slapd, op, app) = (Slapd::start(), Op::start().await, App::new("notes"));
    let asks = op.toml("acme", "[connection.linking]\npolicy = \"ask\"\nemail_domains = [\"acme.example\"]\n");
    let setup = Setup::new().connection(&staff(&slapd, "required")).connection(&asks).application(&app.toml("", ""));
    let gateway = Gateway::start(setup).await;
    let browser = Browser::new();
    let page = password(&gateway, &app, &browser, "jane", &[("connection", "staff")]).await.here();
    let (phone, _, landed) = set_up(&browser, &page, -1).await;
    let known = claims(&gateway, &app, landed).await["sub"].clone();
    // The same address, by another connection: the account is proven by password and code, and by no password alone.
    let newcomer = Browser::new();
    let departure = newcomer.open(app.authorize(&gateway, &[("connection", "acme")]).as_str()).await.away();
    let question = op.sign_in(&newcomer, &departure).await.here();
    let form = question.form();
    let (name, value, _) = form.buttons.iter().find(|(name, ..)| name == "connection").expect("a way to prove it");
    let page = send(&newcomer, &question, &[(name, value)]).await.here();
    let page = send(&newcomer, &page, &[("username", "jane"), ("password", PASSWORD)]).await.here();
    assert!(page.contains("Enter your code"), "{}", page.body);
    let api = Api::of(&gateway).await;
    let user = known.as_str().unwrap().replace('|', "%7C");
    assert_eq!(api.read(&format!("/users/{user}")).await["identities"].as_array().map(Vec::len), Some(1));
    let joined = claims(&gateway, &app, code(&newcomer, &page, &phone.code(0).await).await).await;
    assert_eq!(joined["sub"], known);
    assert_eq!(api.read(&format!("/users/{user}")).await["identities"].as_array().map(Vec::len), Some(2));
    // They came by the provider, which has said nothing of a second factor.
    assert_eq!(joined.get("amr"), None, "{joined}");
    // The factor is the identity's, and stays with it.
    let other = Browser::new();
    let page = password(&gateway, &app, &other, "jane", &[("connection", "staff")]).await.here();
    assert_eq!(claims(&gateway, &app, code(&other, &page, &phone.code(1).await).await).await["sub"], known);
}

#[tokio::test]
async fn details_e_an_app_that_came_with_its_user_is_asked_for() {
    let app = App::new("notes");
    let people = "name = \"people\"\nsecond_factor = \"optional\"\n[connection.database]\n";
    let gateway = Gateway::start(Setup::new().connection(people).application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    let factors = json!([{"phone": {"value": "+4930123456"}}, {"totp": {"secret": "jbswy3dpehpk3pxp"}}]);
    let user = |name: &str| json!({"email": format!("{name}@acme.example"), "email_verified": true, "password_hash": BCRYPT});
    let mut jane = user("jane");
    jane["mfa_factors"] = factors;
    import(&api, &json!([jane, user("joe")])).await;
    let browser = Browser::new();
    let page = browser.open(app.authorize(&gateway, &[]).as_str()).await.here();
    let page = type_in(&browser, &page, "jane@acme.example", database::PASSWORD).await.here();
    assert!(page.contains("Enter your code"), "{}", page.body);
    let signed_in = claims(&gateway, &app, code(&browser, &page, &Phone::with("JBSWY3DPEHPK3PXP").code(0).await).await).await;
    assert_eq!(signed_in["amr"], json!(["pwd", "otp", "mfa"]));
    let user = signed_in["sub"].as_str().unwrap().replace('|', "%7C");
    let methods = api.read(&format!("/users/{user}/authentication-methods")).await;
    assert_eq!(methods.as_array().map(Vec::len), Some(1), "a telephone is none: {methods}");
    let browser = Browser::new();
    let page = browser.open(app.authorize(&gateway, &[]).as_str()).await.here();
    let joe = send(&browser, &page, &[("username", "joe@acme.example"), ("password", database::PASSWORD)]).await;
    assert_eq!(claims(&gateway, &app, joe).await["amr"], json!(["pwd"]));
}

#[tokio::test]
async fn a_database_of_the_management_api_has_the_option_and_it_counts_for_sessions_that_are_there() {
    let app = App::new("notes");
    let gateway = Gateway::start(Setup::new().application(&app.toml("", ""))).await;
    let api = Api::of(&gateway).await;
    let made = api.make("/connections", &json!({"name": "people", "strategy": "auth0", "enabled_clients": ["notes"]})).await;
    let jane = json!({"connection": "people", "email": "jane@acme.example", "name": "Jane", "password": database::PASSWORD});
    api.make("/users", &jane).await;
    let browser = Browser::new();
    let page = browser.open(app.authorize(&gateway, &[]).as_str()).await.here();
    claims(&gateway, &app, type_in(&browser, &page, "jane@acme.example", database::PASSWORD).await).await;
    let connection = format!("/connections/{}", made["id"].as_str().unwrap());
    let refused = api.patch(&connection, &json!({"isthmus": {"second_factor": "sometimes"}})).await;
    assert!(refused.status == 400 && refused.contains("second_factor"), "{}", refused.body);
    let changed = api.patch(&connection, &json!({"isthmus": {"second_factor": "required"}})).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    crate::harness::eventually("the change", async || {
        let answer = browser.open(app.authorize(&gateway, &[("prompt", "none")]).as_str()).await.away();
        (answer.parameter("error").as_deref() == Some("login_required")).then_some(())
    })
    .await;
    let page = browser.open(app.authorize(&gateway, &[]).as_str()).await.here();
    let page = type_in(&browser, &page, "jane@acme.example", database::PASSWORD).await.here();
    let (.., landed) = set_up(&browser, &page, 0).await;
    assert_eq!(claims(&gateway, &app, landed).await["acr"], MFA);
}

#[tokio::test]
async fn where_it_is_off_nobody_is_asked_and_who_must_have_it_is_told_no() {
    let (_slapd, gateway, app) = world("off").await;
    let browser = Browser::new();
    let alone = claims(&gateway, &app, password(&gateway, &app, &browser, "joe", &[]).await).await;
    assert_eq!(alone["amr"], json!(["pwd"]));
    // A context by its URI is counted on, whether it is essential or not.
    let essential = r#"{"id_token":{"acr":{"essential":true,"values":["https://refeds.org/profile/mfa"]}}}"#;
    for asked in [("acr_values", MFA), ("claims", essential)] {
        let refused = password(&gateway, &app, &Browser::new(), "joe", &[asked]).await.away();
        assert_eq!(app.error(&gateway, &refused).0, "unmet_authentication_requirements", "{asked:?}");
    }
}

#[tokio::test]
async fn operators_see_that_there_is_a_factor_and_remove_it() {
    let (_slapd, gateway, app) = world("required").await;
    let browser = Browser::new();
    let page = password(&gateway, &app, &browser, "jane", &[]).await.here();
    let (phone, recovery, landed) = set_up(&browser, &page, -1).await;
    let user = claims(&gateway, &app, landed).await["sub"].as_str().unwrap().replace('|', "%7C");
    let api = Api::of(&gateway).await;
    let methods = api.read(&format!("/users/{user}/authentication-methods")).await;
    let methods = methods.as_array().unwrap();
    assert_eq!(methods.iter().map(|method| method["type"].clone()).collect::<Vec<_>>(), [json!("totp"), json!("recovery-code")]);
    assert!(
        methods.iter().all(|method| method.as_object().unwrap().keys().all(|name| ["id", "type", "created_at"].contains(&name.as_str())))
    );
    let shown = api.read(&format!("/users/{user}")).await;
    assert_eq!(shown["multifactor"], json!(["google-authenticator"]));
    assert_eq!(api.read(&format!("/users/{user}/enrollments")).await[0]["type"], "authenticator");
    assert_eq!(api.delete(&format!("/users/{user}/multifactor/duo")).await.status, 404);
    let id = methods[0]["id"].as_str().unwrap().replace('|', "%7C");
    let narrow = Api::with(&gateway, &["read:users"]).await;
    assert_eq!(narrow.get(&format!("/users/{user}/authentication-methods")).await.status, 403);
    assert_eq!(narrow.delete(&format!("/users/{user}/authentication-methods/{id}")).await.status, 403);
    assert_eq!(api.delete(&format!("/users/{user}/authentication-methods/{id}")).await.status, 204);
    assert_eq!(api.delete(&format!("/users/{user}/authentication-methods/{id}")).await.status, 404);
    assert_eq!(api.read(&format!("/users/{user}/authentication-methods")).await, json!([]));
    assert_eq!(api.read(&format!("/users/{user}")).await.get("multifactor"), None);
    // What was removed counts no more: neither the app nor its codes, and another is set up.
    let other = Browser::new();
    let page = password(&gateway, &app, &other, "jane", &[]).await.here();
    assert!(page.contains("Set up a second step"), "{}", page.body);
    let page = code(&other, &page, &recovery[0]).await.here();
    assert!(page.contains(WRONG), "{}", page.body);
    let page = code(&other, &page, &phone.code(0).await).await.here();
    assert!(page.contains(WRONG), "{}", page.body);
    let (.., landed) = set_up(&other, &page, 1).await;
    claims(&gateway, &app, landed).await;
    // The same on the command line.
    let id = user.replace("%7C", "|");
    let told = async |arguments: &[&str]| {
        let output = command(&gateway, arguments).await;
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, shown) = told(&["user", "show", &id]).await;
    assert!(status == Some(0) && shown.contains("second factors\n  totp|") && shown.contains("10 left"), "{shown}");
    let recovery = shown.lines().find_map(|line| line.trim().split("  ").next().filter(|id| id.starts_with("recovery-code|"))).unwrap();
    assert!(told(&["user", "remove-factor", &id, recovery]).await.1.contains("recovery-code|"));
    assert_eq!(told(&["user", "remove-factor", &id]).await.0, Some(2));
    assert!(api.read(&format!("/users/{user}/authentication-methods")).await.as_array().is_some_and(|left| left.len() == 1));
    assert_eq!(api.delete(&format!("/users/{user}/multifactor/google-authenticator")).await.status, 204);
    assert_eq!(told(&["user", "remove-factor", &id, "--all"]).await.0, Some(1));
    assert_eq!(api.delete(&format!("/users/{user}/multifactor/google-authenticator")).await.status, 404);
    crate::harness::eventually("the log", async || {
        let logs = api.read("/logs?per_page=100").await;
        let kinds: Vec<&str> = logs.as_array().unwrap().iter().filter_map(|event| event["type"].as_str()).collect();
        let all = ["gd_enrollment_complete", "gd_auth_failed", "gd_unenroll"].iter().all(|kind| kinds.contains(kind));
        all.then_some(())
    })
    .await;
}
