//! Every provider that the program knows, played by its documented answers: `tests/fixtures/providers`, one file each.
//! A stand-in answers questions that are asked exactly so, and no others.

use crate::harness::app::{App, SECRET, Tokens, userinfo};
use crate::harness::browser::{Browser, Departure, Landed};
use crate::harness::gateway::{Gateway, Setup};
use crate::harness::op::{Op, answer};
use crate::harness::web::{Asked, Reply, Site};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use url::Url;

const CODE: &str = "a-code";

/// What Apple would have given to a developer.
static APPLE: LazyLock<EcKey<Private>> =
    LazyLock::new(|| EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap());

/// One provider: its file, and who plays it.
struct Played {
    name: String,
    file: Value,
    by: By,
}

enum By {
    Op(Op),
    Site(Site),
}

fn fixtures() -> Vec<(String, Value)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/providers");
    let mut all: Vec<_> = fs::read_dir(place)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect();
    all.sort_by(|a: &(String, Value), b| a.0.cmp(&b.0));
    all
}

impl Played {
    async fn start(name: String, file: Value) -> Self {
        let by = if file.get("endpoints").is_some() {
            let known = file.clone();
            By::Site(Site::answering(0, move |asked| stand_in(&known, asked)).await)
        } else {
            let op = Op::start().await;
            op.lies(|lies| {
                lies.id_token.clone_from(&file["id_token"]);
                lies.header.clone_from(&file["header"]);
                lies.tokens.clone_from(&file["tokens"]);
                if name == "apple" {
                    lies.proof = Some(is_apples_secret);
                }
            });
            op.is_now(&file["person"]);
            By::Op(op)
        };
        Self { name, file, by }
    }

    /// Its `[[connection]]`: what the documentation tells operators to write, and where the stand-in is.
    fn toml(&self) -> String {
        let mut lines = format!("name = \"{0}\"\n[connection.social]\npreset = \"{0}\"\nclient_id = \"gateway\"\n", self.name);
        if self.name == "apple" {
            lines += "team_id = \"TEAM123456\"\nkey_id = \"KEY1234567\"\nprivate_key = { file = \"AuthKey.p8\" }\n";
        } else {
            lines += "client_secret = { env = \"TEST_SECRET\" }\n";
        }
        match &self.by {
            By::Op(op) => lines + &format!("issuer = \"{}\"\n", op.issuer),
            By::Site(site) => {
                for (key, path) in self.file["endpoints"].as_object().unwrap() {
                    let at = |path: &Value| format!("\"http://127.0.0.1:{}{}\"", site.port, path.as_str().unwrap());
                    match path.as_object() {
                        None => lines += &format!("{key} = {}\n", at(path)),
                        Some(more) => {
                            let more: Vec<_> = more.iter().map(|(member, path)| format!("{member} = {}", at(path))).collect();
                            lines += &format!("{key} = {{ {} }}\n", more.join(", "));
                        }
                    }
                }
                lines
            }
        }
    }

    /// The person signs in there.
    async fn sign_in(&self, browser: &Browser, departure: &Departure) -> Landed {
        let asked: HashMap<String, String> = departure.url.query_pairs().into_owned().collect();
        for (name, value) in self.file["asked"].as_object().unwrap() {
            assert_eq!(asked.get(name).map(String::as_str), value.as_str(), "{}: {name}", self.name);
        }
        let url = match &self.by {
            By::Op(op) => op.answer(departure),
            By::Site(site) => {
                let place = format!("http://127.0.0.1:{}{}", site.port, self.file["endpoints"]["authorization_endpoint"].as_str().unwrap());
                assert!(departure.url.as_str().starts_with(&format!("{place}?")), "{}", departure.url);
                assert_eq!(asked.contains_key("code_challenge"), self.file["pkce"] == true, "{}", self.name);
                let mut url = Url::parse(&asked["redirect_uri"]).unwrap();
                url.query_pairs_mut().append_pair("code", CODE).append_pair("state", &asked["state"]);
                url
            }
        };
        let more = self.file["answer"].as_object().into_iter().flatten();
        let fields: Vec<_> =
            url.query_pairs().into_owned().chain(more.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))).collect();
        if asked.get("response_mode").map(String::as_str) == Some("form_post") {
            let mut to = url.clone();
            to.set_query(None);
            return browser.post(&departure.url, &to, &fields).await;
        }
        browser.open(url.as_str()).await
    }
}

/// The answer of a provider without ID tokens, if the question is right.
fn stand_in(file: &Value, asked: &Asked) -> Reply {
    let wrong = |why: String| Reply { status: 400, content_type: "application/json", ..Reply::page(format!("{{\"error\":{why:?}}}")) };
    let parameters = asked.parameters();
    let missing = |expected: &Value| -> Option<String> {
        let expected = expected.as_object()?;
        expected.iter().find(|(name, value)| parameters.get(*name) != Some(&filled(value.as_str().unwrap()))).map(|(name, _)| name.clone())
    };
    if file["endpoints"]["token_endpoint"] == asked.path() {
        let token = &file["token"];
        if let Some(name) = missing(&token["parameters"]) {
            return wrong(format!("parameter {name}"));
        }
        let basic = format!("Basic {}", STANDARD.encode(format!("gateway:{SECRET}")));
        let is_basic = asked.header("authorization") == Some(basic.as_str());
        let is_wechat = token["method"] == "GET";
        if token["method"] != asked.method.as_str()
            || is_basic != (token["basic"] == true)
            || parameters.get("code").map(String::as_str) != Some(CODE)
        {
            return wrong("method, client or code".to_owned());
        }
        if parameters.contains_key("code_verifier") != (file["pkce"] == true) || parameters.contains_key("redirect_uri") == is_wechat {
            return wrong("code_verifier or redirect_uri".to_owned());
        }
        return answer(200, &token["answer"]);
    }
    let Some(question) = file["questions"].as_array().unwrap().iter().find(|question| question["path"] == asked.path()) else {
        return Reply::status(404);
    };
    let bearer = question["bearer"].as_str().map(|token| format!("Bearer {token}"));
    if asked.header("authorization") != bearer.as_deref() || asked.header("user-agent").is_none() {
        return Reply::status(401);
    }
    match missing(&question["query"]) {
        Some(name) => wrong(format!("parameter {name}")),
        None => answer(200, &question["answer"]),
    }
}

/// `{secret}`, and `{hmac:TEXT}`: the MAC of a text with it.
fn filled(text: &str) -> String {
    if let Some(message) = text.strip_prefix("{hmac:").and_then(|rest| rest.strip_suffix('}')) {
        let key = PKey::hmac(SECRET.as_bytes()).unwrap();
        let mac = Signer::new(MessageDigest::sha256(), &key).unwrap().sign_oneshot_to_vec(message.as_bytes()).unwrap();
        return mac.iter().map(|octet| format!("{octet:02x}")).collect();
    }
    text.replace("{secret}", SECRET)
}

/// As Apple's documentation says: ES256 by the developer's key, for at most six months, for Apple.
fn is_apples_secret(form: &HashMap<String, String>) -> bool {
    let Some(secret) = form.get("client_secret") else { return false };
    let parts: Vec<&str> = secret.split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Map<String, Value>>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (header, claims, signature) = (read(parts[0]), read(parts[1]), URL_SAFE_NO_PAD.decode(parts[2]).unwrap());
    let number = |octets: &[u8]| openssl::bn::BigNum::from_slice(octets).unwrap();
    let pair = EcdsaSig::from_private_components(number(&signature[..32]), number(&signature[32..])).unwrap();
    let digest = openssl::sha::sha256(format!("{}.{}", parts[0], parts[1]).as_bytes());
    pair.verify(&digest, &APPLE).unwrap()
        && header["alg"] == "ES256"
        && header["kid"] == "KEY1234567"
        && claims["iss"] == "TEAM123456"
        && claims["sub"] == "gateway"
        && claims["aud"] == "https://appleid.apple.com"
        && claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() < 15_777_000
        && form.get("client_id").map(String::as_str) == Some("gateway")
}

async fn gateway_of(played: &[Played]) -> (Gateway, App) {
    let app = App::new("notes");
    let pem = PKey::from_ec_key(APPLE.clone()).unwrap().private_key_to_pem_pkcs8().unwrap();
    let mut setup = Setup::new().application(&app.toml("legacy_profile = true", "")).file("AuthKey.p8", &String::from_utf8(pem).unwrap());
    for provider in played {
        setup = setup.connection(&provider.toml());
    }
    (Gateway::start(setup).await, app)
}

async fn started() -> Vec<Played> {
    let mut played = Vec::new();
    for (name, file) in fixtures() {
        played.push(Played::start(name, file).await);
    }
    played
}

#[test]
fn every_preset_has_the_documented_answers_of_its_provider() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    let presets: BTreeSet<_> =
        fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let told: BTreeSet<_> = fixtures().into_iter().map(|(name, _)| name).collect();
    assert_eq!(presets, told);
    for (name, file) in fixtures() {
        assert!(file["source"].as_str().is_some_and(|source| source.starts_with("https://")), "{name}");
    }
}

#[test]
fn the_page_about_adding_a_provider_is_what_was_done() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let page = read("docs/adding-a-provider.md");
    for done in ["presets/yahoo.toml", "tests/fixtures/providers/yahoo.json"] {
        assert!(page.contains(&read(done)), "{done} is not what the page says");
    }
    let told = read("docs/connections.md");
    for (name, _) in fixtures() {
        assert!(told.contains(&format!("\n| `{name}` | O")), "{name} has no row in docs/connections.md");
    }
}

#[tokio::test]
async fn s0_1_s0_4_s4_1_people_sign_in_at_every_provider() {
    let played = started().await;
    let (gateway, app) = gateway_of(&played).await;
    for provider in &played {
        let name = &provider.name;
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[("connection", name)]).as_str()).await.away();
        let returned = provider.sign_in(&browser, &departure).await.away();
        assert_eq!(returned.parameter("error"), None, "{name}: {:?}\n{}", returned.parameter("error_description"), gateway.log());
        let tokens = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &returned), &[]).await);
        let told = userinfo(&gateway, tokens.access_token()).await.json();
        for (member, value) in provider.file["expect"].as_object().unwrap() {
            assert_eq!(&told[member], value, "{name}: {member} in {told}");
        }
        for member in provider.file["absent"].as_array().unwrap() {
            assert!(told.get(member.as_str().unwrap()).is_none(), "{name}: {member} in {told}");
        }
        let (strategy, _) = provider.file["expect"]["sub"].as_str().unwrap().split_once('|').unwrap();
        let identity = &told["identities"][0];
        assert_eq!((identity["provider"].as_str(), identity["connection"].as_str()), (Some(strategy), Some(name.as_str())), "{told}");
        let is_social = !["microsoft", "okta", "auth0", "keycloak"].contains(&name.as_str());
        assert_eq!(identity["isSocial"], is_social, "{name}");
    }
    for secret in [SECRET, "gho_16C7e42F292c6912E7710c838347Ae178B4a", "ACCESS_TOKEN"] {
        assert!(!gateway.log().contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_name_that_came_once_stays() {
    let apple = fixtures().into_iter().find(|(name, _)| name == "apple").unwrap();
    let mut played = vec![Played::start(apple.0, apple.1).await];
    let (gateway, app) = gateway_of(&played).await;
    for round in 0..2 {
        let browser = Browser::new();
        let departure = browser.open(app.authorize(&gateway, &[]).as_str()).await.away();
        let returned = played[0].sign_in(&browser, &departure).await.away();
        let tokens = Tokens::of(&app.redeem(&gateway, &app.code(&gateway, &returned), &[]).await);
        let told = userinfo(&gateway, tokens.access_token()).await.json();
        assert_eq!(told["name"], "Jane Doe", "round {round}: {told}");
        played[0].file["answer"] = Value::Null;
    }
}

#[tokio::test]
async fn presets_are_offered_by_name_and_monogram() {
    let mut played = Vec::new();
    for (name, file) in fixtures().into_iter().filter(|(name, _)| ["github", "wechat"].contains(&name.as_str())) {
        played.push(Played::start(name, file).await);
    }
    let (gateway, app) = gateway_of(&played).await;
    let browser = Browser::new();
    let page = browser.open(app.authorize(&gateway, &[]).as_str()).await.here();
    for shown in ["<span>GitHub</span>", "fill=\"#24292f\"", ">GH</text>", "<span>WeChat</span>", "fill=\"#057a3e\""] {
        assert!(page.contains(shown), "{shown}: {}", page.body);
    }
}

/// What operators write wrongly is told before anybody signs in.
#[test]
fn what_cannot_be_meant_is_refused() {
    let app = App::new("notes");
    let social = |lines: &str| format!("name = \"a\"\n[connection.social]\n{lines}\n");
    let oauth2 = |lines: &str| {
        format!(
            "name = \"a\"\n[connection.oauth2]\nauthorization_endpoint = \"https://a.example/a\"\ntoken_endpoint = \"https://a.example/t\"\n\
             userinfo_endpoint = \"https://a.example/u\"\nclient_id = \"us\"\n{lines}\n"
        )
    };
    for (toml, told) in [
        (social("preset = \"gitub\"\nclient_id = \"us\""), "did you mean `github`?"),
        (social("client_id = \"us\""), "`preset` is missing"),
        (social("preset = \"github\"\nclient_id = \"us\""), "`client_secret` is missing"),
        (social("preset = \"okta\"\nclient_id = \"us\""), "`issuer` is missing"),
        (social("preset = \"apple\"\nclient_id = \"us\""), "`private_key` is missing"),
        (
            social("preset = \"apple\"\nclient_id = \"us\"\nteam_id = \"T\"\nkey_id = \"K\"\nprivate_key = \"x\""),
            "no private key of the curve P-256",
        ),
        (social("preset = \"github\"\nclient_id = \"us\"\nclient_secret = \"s\"\nquirk = \"wechat\""), "`quirk` is not known here"),
        (social("preset = \"github\"\nclient_id = \"us\"\nclient_secret = \"s\"\n[connection.oidc]"), "a connection speaks one protocol"),
        (oauth2(""), "`subject` is missing"),
        (oauth2("subject = \"a..b\""), "this is no path into the profile"),
        (oauth2("subject = []"), "this is no path into the profile"),
        (oauth2("subject = \"id\"\npkce = false"), "whoever has a code has the tokens"),
        (oauth2("subject = \"id\"\nmore = { emails = \"http://a.example/\" }"), "this is no https address"),
        (oauth2("subject = \"id\"\nparameters = { state = \"mine\" }"), "`state` belongs to the protocol"),
    ] {
        let found = complaints(&format!("issuer = \"http://localhost:8400\"\n[[connection]]\n{toml}[[application]]\n{}", app.toml("", "")));
        assert!(found.contains(told), "{toml}\n{found}");
    }
}

/// What `isthmus check` says of a file.
fn complaints(text: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("isthmus.toml"), text).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_isthmus")).arg("check").current_dir(place.path()).env("TEST_SECRET", SECRET).output().unwrap();
    assert!(!output.status.success(), "{text}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Signs in once; the error's name in the trace, or the claims of the ID token.
async fn once(gateway: &Gateway, app: &App, provider: &Played) -> Result<Value, String> {
    let browser = Browser::new();
    let departure = browser.open(app.authorize(gateway, &[("connection", &provider.name)]).as_str()).await.away();
    let returned = provider.sign_in(&browser, &departure).await.away();
    if returned.parameter("error").is_none() {
        return Ok(Tokens::of(&app.redeem(gateway, &app.code(gateway, &returned), &[]).await).claims());
    }
    let (_, description) = app.error(gateway, &returned);
    let id = description.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).expect("a correlation id");
    Err(gateway.trace(id).await.to_string())
}

#[tokio::test]
async fn wechat_is_believed_for_whom_it_gave_the_token() {
    let file = fixtures().into_iter().find(|(name, _)| name == "wechat").unwrap().1;
    let openid_alone = |file: &mut Value| {
        for answer in ["/token/answer", "/questions/0/answer"] {
            file.pointer_mut(answer).unwrap().as_object_mut().unwrap().remove("unionid");
        }
    };
    type Lie = fn(&mut Value);
    let cases: [(Lie, &str); 3] = [
        (|file| file["questions"][0]["answer"]["openid"] = "another".into(), "userinfo-sub"),
        (|file| file["token"]["answer"] = serde_json::json!({ "errcode": 40029, "errmsg": "invalid code" }), "token-endpoint-error"),
        (|file| file["questions"][0]["answer"] = serde_json::json!({ "errcode": 40003, "errmsg": "invalid openid" }), "userinfo-sub"),
    ];
    for (change, rule) in cases {
        let mut lie = file.clone();
        change(&mut lie);
        let played = [Played::start("wechat".to_owned(), lie).await];
        let (gateway, app) = gateway_of(&played).await;
        let refused = once(&gateway, &app, &played[0]).await.expect_err(rule);
        assert!(refused.contains(&format!("\"reason\":\"{rule}\"")) && !refused.contains("ACCESS_TOKEN"), "{rule}: {refused}");
    }
    let mut alone = file.clone();
    openid_alone(&mut alone);
    let played = [Played::start("wechat".to_owned(), alone).await];
    let (gateway, app) = gateway_of(&played).await;
    let claims = once(&gateway, &app, &played[0]).await.expect("good");
    assert_eq!(claims["sub"], "wechat|wechat|o6_bmjrPTlm6_2sgVt7hMZOPfL2M");
}

#[tokio::test]
async fn people_of_microsofts_tenants_come_from_their_own_issuer() {
    let file = fixtures().into_iter().find(|(name, _)| name == "microsoft").unwrap().1;
    let played = Played::start("microsoft".to_owned(), file).await;
    let By::Op(op) = &played.by else { panic!("it has ID tokens") };
    let (template, app) = (format!("{}/{{tenantid}}/v2.0", op.issuer), App::new("notes"));
    let lines = format!(
        "name = \"microsoft\"\n[connection.social]\npreset = \"microsoft\"\nclient_id = \"gateway\"\nclient_secret = {{ env = \"TEST_SECRET\" }}\n\
         issuer = \"{template}\"\nmetadata_url = \"{}/.well-known/openid-configuration\"\ntenants = [\"ours\"]\n",
        op.issuer
    );
    let gateway = Gateway::start(Setup::new().connection(&lines).application(&app.toml("", ""))).await;
    for (issuer, tid, good) in [("ours", "ours", true), ("theirs", "theirs", false), ("ours", "theirs", false), ("theirs", "ours", false)] {
        op.lies(|lies| {
            lies.metadata = serde_json::json!({ "issuer": template });
            lies.id_token = serde_json::json!({ "iss": template.replace("{tenantid}", issuer), "tid": tid });
        });
        match once(&gateway, &app, &played).await {
            Ok(claims) => assert!(good && claims["sub"].as_str().unwrap().starts_with("waad|microsoft|"), "{issuer} {tid}: {claims}"),
            Err(refused) => assert!(!good && refused.contains("\"reason\":\"id-token-iss\""), "{issuer} {tid}: {refused}"),
        }
    }
}
