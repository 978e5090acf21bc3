//! What may be in a file, and how the answer is shown.

use super::*;

#[test]
fn base64_and_the_posted_form_are_the_same_message() {
    let desk = Desk::new();
    let posted = STANDARD.encode(desk.response(|_| {}));
    let escaped: String = url::form_urlencoded::byte_serialize(posted.as_bytes()).collect();
    for (content, form) in [(posted.clone(), "base64"), (format!("RelayState=x&SAMLResponse={escaped}"), "form"), (escaped, "base64")] {
        let (status, report) = desk.explain(&content, &[]);
        assert_eq!((status, &report["input"]), (0, &json!({"kind": "saml_response", "form": form})), "{report:#}");
        assert_eq!(report["profile"]["user_id"], "samlp|acme|jane-1");
    }
}

#[test]
fn xml_that_a_login_does_not_read_is_refused_by_name() {
    let desk = Desk::new();
    let doctype = desk.response(|response| response.prolog = "<!DOCTYPE samlp:Response>".to_owned());
    let laughs: String = (1..20).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let laughs = format!("<!DOCTYPE r [<!ENTITY l0 \"ha\">{laughs}]><r>&l19;</r>");
    let external = "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>".to_owned();
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let big = format!("<samlp:Response>{}</samlp:Response>", "x".repeat(300 * 1024));
    for (content, name) in [
        (doctype, "document-type"),
        (laughs, "document-type"),
        (external, "document-type"),
        (deep, "too-large"),
        (format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000)), "too-complex"),
        (big, "too-large"),
        ("<samlp:Response".to_owned(), "not-well-formed"),
        ("<html xmlns=\"http://www.w3.org/1999/xhtml\"/>".to_owned(), "wrong-root"),
    ] {
        let (status, report) = desk.explain(&content, &[]);
        assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!(name)), "{report:#}");
        assert!(report.get("profile").is_none() && report["verified"] == false, "{report:#}");
        assert!(!report.to_string().contains("root:"), "{report:#}");
    }
    // Comments are refused too, and what the message means is shown all the same.
    let comment = desk.response(|_| {}).replace(">jane-1<", ">jane<!-- x -->-1<");
    let (status, report) = desk.explain(comment, &[]);
    assert_eq!((status, &report["refusals"][0]["name"]), (1, &json!("comment-or-instruction")));
    assert_eq!((&report["profile"]["user_id"], &report["verified"]), (&json!("samlp|acme|jane-1"), &json!(false)));
}

#[test]
fn what_cannot_be_used_is_another_matter_than_what_is_refused() {
    let desk = Desk::new();
    for (content, why) in [
        (b"hello".to_vec(), "neither XML"),
        (Vec::new(), "neither XML"),
        (vec![0xff, 0xfe, 0x00], "not UTF-8"),
        (STANDARD.encode("hello").into_bytes(), "not of XML"),
        (b"{\"a\": 1".to_vec(), "not a JSON object"),
        (format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(), "recursion limit"),
        (b"a.b.c.d.e".to_vec(), "encrypted token"),
        (vec![b'<'; 20 * 1024 * 1024], "larger than 2097152 bytes"),
        (vec![b' '; 2 * 1024 * 1024 + 1], "larger than 2097152 bytes"),
    ] {
        let said = desk.unusable(content, &[]);
        assert!(said.contains(why), "{why}: {}", &said[..said.len().min(500)]);
    }
    let output = desk.run(&["--connection", "acme", "nowhere.xml"]);
    assert_eq!((output.status.code(), said(&output).contains("nowhere.xml")), (Some(2), true));
    let file = desk.file("{}");
    let output = desk.run(&["--connection", "nobody\u{1b}[2J", text(&file)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("there are: acme") && !said(&output).contains('\u{1b}'), "{}", said(&output));
    let output = desk.run(&["--connection", "acme", "--application", "nothing", text(&file)]);
    assert_eq!((output.status.code(), said(&output).contains("there are: notes")), (Some(2), true), "{}", said(&output));
    assert_eq!(desk.run(&[text(&file)]).status.code(), Some(2));
    assert_eq!(desk.run(&["--connection", "acme", "--config", "nowhere.toml", text(&file)]).status.code(), Some(2));
}

#[test]
fn standard_input_is_read_too() {
    let desk = Desk::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_isthmus"));
    command.args(["explain", "--connection", "acme", "--json", "-"]).current_dir(desk.place.path()).env("TEST_SECRET", SECRET);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(desk.response(|_| {}).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &report["verdict"]), (Some(0), &json!("accepted")), "{report:#}");
}

#[test]
fn people_can_read_it_at_eighty_columns() {
    let desk = Desk::new();
    let xml = desk.idp.respond(&desk.request(), &Person::max()).xml;
    let human = desk.human(&xml, &["--application", "notes"]);
    for line in human.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let place = |title: &str| human.find(&format!("\n{title}")).unwrap_or_else(|| panic!("no {title} in:\n{human}"));
    let places = ["Checks", "Mapping", "Profile", "Released"].map(place);
    assert!(places.is_sorted(), "{human}");
    assert!(human.starts_with("A login would go through") && human.contains("samlp|acme|max-3"), "{human}");
    assert!(!human.contains("not verified"), "{human}");
}

#[test]
fn nothing_from_the_message_moves_the_cursor() {
    let desk = Desk::new();
    let hostile = "\u{7f}\u{9b}2J\u{202e}evil";
    let person = Person::new("eve-5").with(("displayName", "displayName"), &[hostile]).with(("x\u{202e}y", "x\u{9b}y"), &["1"]);
    let xml = desk.idp.respond(&desk.request(), &person).xml;
    let claims = json!({"displayName": "\u{1b}[2J\r\n\u{8}x", "\u{1b}]0;title\u{7}": "y", "sub": "\u{1b}c"}).to_string();
    for content in [xml, claims, token(&json!({"sub": "\u{1b}[1A", "name": "\u{85}"}))] {
        for more in [&["--application", "notes"][..], &["--application", "notes", "--json"]] {
            let shown = desk.human(&content, more);
            let bad = shown.chars().find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'));
            assert_eq!(bad, None, "{shown}");
        }
    }
    let (_, report) = desk.explain(json!({"displayName": hostile}).to_string(), &[]);
    assert_eq!(report["profile"]["name"], hostile);
}
