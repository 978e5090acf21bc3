//! The query of a user search, and a sort: any text. What is accepted is bounded, and means the same in parentheses.
#![no_main]

use isthmus::user::search::{DEEPEST, Fault, Filter, LONGEST_QUERY, MOST_TERMS, Pattern, Sort, Test, TextField, ValueTest, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Err(error) = Sort::parse(text) {
        assert!(error.position <= text.chars().count() && !error.message.is_empty());
    }
    match parse(text) {
        Err(error) => {
            assert!(error.position <= text.chars().count() && !error.message.is_empty());
            assert_eq!(error.fault == Fault::TooLong, text.len() > LONGEST_QUERY);
        }
        Ok(filter) => {
            assert!(text.len() <= LONGEST_QUERY && !text.contains('\0'));
            let mut terms = 0;
            // Each level of the text is at most alternatives of lists of alternatives of conjunctions, and a negation.
            look(&filter, 6 * (DEEPEST + 1), &mut terms);
            assert!(terms <= MOST_TERMS);
            if !text.trim().is_empty() {
                if let Ok(inner) = parse(&format!("({text})")) {
                    assert_eq!(inner, filter, "parentheses change nothing");
                }
                if let Ok(negated) = parse(&format!("NOT ({text})")) {
                    assert_eq!(negated, Filter::Not(Box::new(filter)), "a negation is of the whole");
                }
            }
        }
    }
});

fn look(filter: &Filter, deepest: usize, terms: &mut usize) {
    assert!(deepest > 0, "too deep");
    match filter {
        Filter::All(all) | Filter::Any(all) => return all.iter().for_each(|filter| look(filter, deepest - 1, terms)),
        Filter::Not(inner) => return look(inner, deepest - 1, terms),
        Filter::Text(field, test) => text(test, Some(*field)),
        Filter::Identity(_, test) | Filter::Anywhere(test) => text(test, None),
        Filter::Metadata(path, test) => {
            if path.which.name() == "user_metadata" {
                assert!(matches!(test, ValueTest::Is(_) | ValueTest::Exists), "no wildcards and ranges here");
            }
            if let ValueTest::Like(pattern) = test {
                gaps(pattern);
            }
        }
        Filter::Flag(..) | Filter::Time(..) | Filter::LoginsCount(_) | Filter::IsSocial(_) => {}
    }
    *terms += 1;
}

fn text(test: &Test<String>, field: Option<TextField>) {
    match test {
        Test::Is(text) => assert!(field.is_none_or(|field| field.compared(text) == *text), "folded and cut once and for all"),
        Test::Like(pattern) => gaps(pattern),
        Test::Within(_) | Test::Exists => {}
    }
}

fn gaps(pattern: &Pattern) {
    let literals = pattern.literals();
    assert!(literals.len() >= 2 && literals.iter().any(|literal| !literal.is_empty()));
    let inner = literals.get(1..literals.len() - 1).unwrap_or_default();
    assert!(inner.iter().all(|literal| !literal.is_empty()));
    let longest = literals.iter().map(|literal| literal.chars().count()).max().unwrap_or(0);
    assert!(!pattern.prefix().is_empty() || longest >= 3, "three characters after a wildcard at the beginning");
}
