//! Tests of expressions: what they see, and what is refused.

use super::*;
use serde_json::json;

fn person() -> RawAttributes {
    let mut raw = RawAttributes::new();
    raw.push_texts("givenName", ["Jane"]);
    raw.push_texts("sn", ["Doe"]);
    raw.push_texts("memberOf", ["CN=Admins", "CN=Staff"]);
    raw.set_fact(Fact::NameId, "jane@acme.example");
    raw
}

fn run(source: &str) -> Result<Value, String> {
    run_on(&person(), source)
}

fn run_on(raw: &RawAttributes, source: &str) -> Result<Value, String> {
    Expression::compile(source, ATTRIBUTE_VARIABLES)?.evaluate(&patient(raw))
}

/// With time enough for a debug build, so that the other limits are what is met.
fn patient(raw: &RawAttributes) -> Scope<'_> {
    Scope::new(attribute_variables(raw), Duration::from_secs(60))
}

/// An attribute `g` of many values, and `long`, of one long value.
fn much(values: usize, octets: usize) -> RawAttributes {
    let mut raw = RawAttributes::new();
    let many: Vec<String> = (0..values).map(|n| n.to_string()).collect();
    raw.push_texts("g", many.iter().map(String::as_str));
    raw.push_texts("long", ["a".repeat(octets).as_str()]);
    raw
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
    for (start, more, end) in [
        ("1", "+1", ""),
        ("facts.issuer", ".x", ""),
        ("", "[", ""),
        ("", "!", "true"),
        ("true", "&&true", ""),
        ("'x'", ".trim()", ""),
        ("", "true?1:", "1"),
    ] {
        let longest = (1..200).rev().find_map(|n| {
            let close = if more == "[" { "]".repeat(n) } else { String::new() };
            Expression::compile(&format!("{start}{}{end}{close}", more.repeat(n)), ATTRIBUTE_VARIABLES).ok()
        });
        let _ = longest.expect("some depth is accepted").evaluate(&Scope::of_attributes(&person()));
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
fn what_macros_visit_is_counted() {
    let all_pairs = "attributes.g.filter(a, attributes.g.exists(b, a + b == 'x')).size()";
    assert_eq!(run_on(&much(100, 1), all_pairs), Ok(json!(0)));
    for source in [
        all_pairs,
        "attributes.g.map(a, attributes.g.map(b, b)).size()",
        "attributes.g.all(a, attributes.g.all(b, true))",
        "attributes.g.exists_one(a, attributes.g.exists_one(b, b == 'x'))",
        "attributes.g.map(a, attributes.g.exists(b, false), a)",
        // An error in `exists` waits for the end, and so does not stop the loop.
        "attributes.g.exists(a, attributes.g.exists(b, b == 1 / 0)) || true",
    ] {
        assert!(run_on(&much(200, 1), source).is_err_and(|why| why.contains("25000 elements")), "{source}");
    }
}

#[test]
fn a_run_pays_for_all_of_its_expressions_together() {
    let raw = much(200, 1);
    let scope = patient(&raw);
    let expensive = Expression::compile("attributes.g.exists(a, attributes.g.exists(b, false))", ATTRIBUTE_VARIABLES).expect("compiles");
    assert!(expensive.evaluate(&scope).is_err());
    let cheap = Expression::compile("attributes.g[0]", ATTRIBUTE_VARIABLES).expect("compiles");
    assert!(cheap.evaluate(&scope).is_err(), "nothing is left");
    assert_eq!(cheap.evaluate(&Scope::of_attributes(&raw)), Ok(json!("0")), "the next run has its own");
}

#[test]
fn what_is_made_is_bounded() {
    let raw = much(300, 600_000);
    let sum = vec!["attributes.long[0]"; 20].join(" + ");
    let list = format!("[{}].size()", vec!["attributes.long[0]"; 40].join(", "));
    let map = format!("{{{}}}.size()", (0..40).map(|n| format!("{n}: attributes.long[0]")).collect::<Vec<_>>().join(", "));
    for source in [
        sum.as_str(),
        &list,
        &map,
        "attributes.g.map(n, attributes.long[0] + n).size()",
        "attributes.g.map(n, [attributes.long[0], n]).size()",
        "attributes.long[0].replace('a', attributes.long[0])",
        "attributes.long[0].replace('', attributes.long[0], 400000)",
        "attributes.g.join(attributes.long[0])",
        "attributes.long[0].split('').size()",
        "attributes.long[0].split('', 500000).size()",
        "attributes.long[0].matches('a')",
        "'a'.matches('((a{99}){99}){99}')",
        // Not even where the failure would not matter.
        &format!("({sum}) == 'x' || true"),
    ] {
        assert!(run_on(&raw, source).is_err(), "{source}");
    }
}

#[test]
fn slow_expressions_are_stopped() {
    let budget = Budget::new(budget::TIME);
    let begun = std::time::Instant::now();
    // A pause counts as 5 ms at most, so it takes several.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(budget.take(1), Ok(()), "a pause of the scheduler is not the expression's");
    }
    let stopped = loop {
        match budget.take(1) {
            Ok(()) if begun.elapsed().as_secs() < 10 => {}
            other => break other,
        }
    };
    assert!(stopped.is_err_and(|why| why.contains("20 ms")));
    assert!(budget.begin().is_err(), "and nothing begins after it");
    let raw = much(3, 3);
    for source in ["attributes.g.filter(g, true)", "attributes.long[0] + 'b'", "[attributes.g]", "attributes.long[0] == 'a'"] {
        let expression = Expression::compile(source, ATTRIBUTE_VARIABLES).expect("compiles");
        let out_of_time = Scope::new(attribute_variables(&raw), Duration::ZERO);
        assert!(expression.evaluate(&out_of_time).is_err_and(|why| why.contains("0 ms")), "{source}");
        assert!(expression.evaluate(&patient(&raw)).is_ok(), "{source}");
    }
}

#[test]
fn the_bounded_functions_are_those_of_the_strings_extension() {
    for (source, expected) in [
        ("'a-b-c'.replace('-', '')", json!("abc")),
        ("'a-b-c'.replace('-', '+', 1)", json!("a+b-c")),
        ("'a-b-c'.replace('-', '+', -1)", json!("a+b+c")),
        ("'ab'.replace('', '.')", json!(".a.b.")),
        ("['a', 'b'].join()", json!("ab")),
        ("['a', 'b'].join(', ')", json!("a, b")),
        ("[].join(',')", json!("")),
        ("'a,b,,c'.split(',')", json!(["a", "b", "", "c"])),
        ("'a,b,c'.split(',', 2)", json!(["a", "b,c"])),
        ("'a,b,c'.split(',', 0)", json!([])),
        ("'a,b,c'.split(',', -1)", json!(["a", "b", "c"])),
        ("'aéb'.split('')", json!(["a", "é", "b"])),
        ("'abc'.split('', 2)", json!(["a", "bc"])),
        ("'tacocat'.indexOf('c')", json!(2)),
        ("'tacocat'.indexOf('c', 3)", json!(4)),
        ("'tacocat'.indexOf('x')", json!(-1)),
        ("'éé@x'.indexOf('@')", json!(2)),
        ("'abc'.indexOf('', 9)", json!(3)),
        ("'tacocat'.lastIndexOf('c')", json!(4)),
        ("'tacocat'.lastIndexOf('c', 3)", json!(2)),
        ("'éaéa'.lastIndexOf('a', 2)", json!(1)),
        ("'abc'.lastIndexOf('')", json!(3)),
        ("'jane@acme'.matches('^[a-z]+@')", json!(true)),
        ("matches('jane', 'x')", json!(false)),
    ] {
        assert_eq!(run(source), Ok(expected), "{source}");
    }
    for source in ["'a'.indexOf('a', 9)", "'a'.lastIndexOf('a', -1)", "[1].join()", "'a'.replace(1, 2)", "'x'.matches('(')"] {
        assert!(run(source).is_err(), "{source}");
    }
}

#[test]
fn a_reason_is_short() {
    let why = run_on(&much(10, 100_000), "attributes + 1").expect_err("not to be added");
    assert!(why.len() < 400, "{}", why.len());
}

#[test]
fn numbers_of_claims_are_whole_where_they_are() {
    let claims = json!({"age": 41, "score": 1.5, "big": u64::MAX, "nested": {"a": [1, null, true]}});
    let raw = RawAttributes::from_claims(claims.as_object().expect("an object"));
    assert_eq!(run_on(&raw, "attributes.age[0] + 1"), Ok(json!(42)));
    assert_eq!(run_on(&raw, "attributes.score[0] > 1.0 && attributes.big[0] > 1u"), Ok(json!(true)));
    assert_eq!(run_on(&raw, "attributes.nested[0].a"), Ok(json!([1, null, true])));
}
