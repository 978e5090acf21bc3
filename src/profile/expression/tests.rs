//! Tests of expressions: what they see, and what is refused.

use super::*;
use serde_json::json;

fn scope() -> Scope {
    let mut raw = RawAttributes::new();
    raw.push_texts("givenName", ["Jane"]);
    raw.push_texts("sn", ["Doe"]);
    raw.push_texts("memberOf", ["CN=Admins", "CN=Staff"]);
    raw.set_fact(Fact::NameId, "jane@acme.example");
    Scope::of_attributes(&raw)
}

fn run(source: &str) -> Result<Value, String> {
    Expression::compile(source, ATTRIBUTE_VARIABLES)?.evaluate(&scope())
}

#[test]
fn expressions_see_attributes_and_facts() {
    assert_eq!(run(r#"attributes.givenName[0] + " " + attributes.sn[0]"#), Ok(json!("Jane Doe")));
    assert_eq!(run(r#"attributes["memberOf"].filter(g, g.startsWith("CN=A"))"#), Ok(json!(["CN=Admins"])));
    assert_eq!(run("facts.name_id.split('@')[1]"), Ok(json!("acme.example")));
    assert_eq!(run("has(attributes.mail) ? attributes.mail[0] : facts.name_id"), Ok(json!("jane@acme.example")));
    assert_eq!(run("'x'.upperAscii()"), Ok(json!("X")));
}

#[test]
fn hostile_and_mistaken_sources_are_refused_at_load() {
    let deep = "attributes.a.map(x, attributes.a.map(y, attributes.a.map(z, x)))";
    for source in [
        "",
        "attributes.",
        "atributes.mail[0]",
        "x",
        deep,
        &"(".repeat(2000),
        &"[".repeat(2000),
        &"!".repeat(2040),
        &format!("'{}'", "x".repeat(3000)),
        &"a.map(x,".repeat(200),
        &format!("{}1{}", "(".repeat(2000), ")".repeat(20)),
        &format!("{}1{}", "(".repeat(40), ")".repeat(39)),
        &"1+".repeat(1000),
        &format!("attributes{}", ".a".repeat(900)),
        &format!("1{}", "+1".repeat(900)),
        &format!("true{}", "||x".repeat(600)),
        &format!("1{}", " in 1".repeat(400)),
        &"true?true:".repeat(200),
        &"-".repeat(1000),
        "\u{0}",
    ] {
        assert!(Expression::compile(source, ATTRIBUTE_VARIABLES).is_err(), "{source}");
    }
}

#[test]
fn the_deepest_expressions_that_load_also_run() {
    for (start, more, end) in [("1", "+1", ""), ("facts.issuer", ".x", ""), ("", "[", ""), ("", "!", "true"), ("true", "&&true", "")] {
        let longest = (1..200).rev().find_map(|n| {
            let close = if more == "[" { "]".repeat(n) } else { String::new() };
            Expression::compile(&format!("{start}{}{end}{close}", more.repeat(n)), ATTRIBUTE_VARIABLES).ok()
        });
        let _ = longest.expect("some depth is accepted").evaluate(&scope());
    }
}

#[test]
fn failures_at_run_time_are_errors_not_panics() {
    for source in [
        "attributes.missing[0]",
        "attributes.givenName[7]",
        "attributes.givenName[-1]",
        "1 / 0",
        "9223372036854775807 + 1",
        "attributes.givenName + 1",
        "facts.name_id.substring(99)",
        "'x'.matches('(')",
        "int('x')",
    ] {
        assert!(run(source).is_err(), "{source}");
    }
}

#[test]
fn nested_macros_do_not_run_over_long_lists() {
    let mut raw = RawAttributes::new();
    let many: Vec<String> = (0..501).map(|n| n.to_string()).collect();
    raw.push_texts("g", many.iter().map(String::as_str));
    let nested = Expression::compile("attributes.g.filter(a, attributes.g.exists(b, a == b))", ATTRIBUTE_VARIABLES).expect("compiles");
    assert!(nested.evaluate(&Scope::of_attributes(&raw)).is_err());
    let flat = Expression::compile("attributes.g.filter(a, a == '7')", ATTRIBUTE_VARIABLES).expect("compiles");
    assert_eq!(flat.evaluate(&Scope::of_attributes(&raw)), Ok(json!(["7"])));
}
