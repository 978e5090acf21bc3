//! `[limits]`: how often one address may ask the public listener, and how often a client may fail.

use crate::broker::limits::Pace;
use crate::http::limit::LimitSettings;
use crate::toml_file::Section;

/// Reads the table; without one the usual limits hold.
pub fn read(root: &Section<'_>) -> LimitSettings {
    let usual = LimitSettings::default();
    let Some(section) = root.section("limits") else { return usual };
    let is_on = section.choice("mode", &[("per_address", true), ("off", false)]).unwrap_or(true);
    if !is_on {
        let message = "weakened: any address may ask as often as it likes, and clients may try secrets, codes and tokens without end";
        section.warning("mode", message, "remove it, unless something in front counts; name networks that need more in `exempt`");
    }
    let number = |key: &'static str| section.integer(key, 1..=1_000_000).and_then(|at| u32::try_from(at.value).ok());
    let pace = |usual: Option<Pace>, [rate, burst]: [&'static str; 2]| {
        let usual = usual?;
        let times = number(rate).unwrap_or(usual.times);
        Some(Pace { times, burst: number(burst).unwrap_or(usual.burst.max(times)), ..usual })
    };
    let people = pace(usual.people, ["browser_requests_per_second", "browser_burst"]);
    let programs = pace(usual.programs, ["client_requests_per_second", "client_burst"]);
    let failures = number("client_failures_per_minute").map(|times| Pace { times, seconds: 60, burst: times }).or(usual.failures);
    let passwords = number("password_failures").map(|times| Pace { times, seconds: 600, burst: times }).or(usual.passwords);
    let exempt = section.strings("exempt").map_or(usual.exempt, |networks| {
        let mut exempt = Vec::new();
        for at in networks {
            match at.value.parse() {
                Ok(network) => exempt.push(network),
                Err(_) => {
                    section.file().problem(at.span.clone(), &at.path, format!("`{}` is no network", at.value), "write it as in 10.0.0.0/8")
                }
            }
        }
        exempt
    });
    section.finish();
    match is_on {
        true => LimitSettings { people, programs, failures, passwords, exempt },
        false => LimitSettings { people: None, programs: None, failures: None, passwords: None, exempt },
    }
}

#[cfg(test)]
mod tests {
    use crate::config::render_human;
    use crate::config::tests::{GOOD, config, findings};

    #[test]
    fn limits_are_on_and_can_be_changed() {
        let usual = config(GOOD).http.limits;
        assert!(usual.people.is_some() && usual.programs.is_some() && usual.failures.is_some());
        let table = "[limits]\nbrowser_requests_per_second = 7\nbrowser_burst = 70\nclient_requests_per_second = 9000\n\
                     client_failures_per_minute = 5\nexempt = [\"10.0.0.0/8\"]\n";
        let limits = config(&format!("{GOOD}{table}")).http.limits;
        let of = |pace: Option<super::Pace>| pace.map(|pace| (pace.times, pace.seconds, pace.burst));
        assert_eq!(of(limits.people), Some((7, 1, 70)));
        assert_eq!(of(limits.programs), Some((9000, 1, 9000)), "nobody has less at once than in a second");
        assert_eq!(of(limits.failures), Some((5, 60, 5)));
        assert_eq!(limits.exempt, ["10.0.0.0/8".parse().expect("a network")]);
    }

    #[test]
    fn without_limits_is_listed_as_the_weakening_that_it_is() {
        let off = format!("{GOOD}[limits]\nmode = \"off\"\n");
        let limits = config(&off).http.limits;
        assert!(limits.people.is_none() && limits.programs.is_none() && limits.failures.is_none());
        for (text, expected) in [(off, 1), (format!("{GOOD}[limits]\nmode = \"per_address\"\n"), 0)] {
            let found = findings(&text);
            assert!(found.problems.is_empty(), "{}", render_human(&found));
            let listed = found.warnings.iter().filter(|warning| warning.path == "limits.mode" && warning.message.starts_with("weakened"));
            assert_eq!(listed.count(), expected, "{text}");
        }
        let wrong = findings(&format!("{GOOD}[limits]\nmode = \"none\"\nbrowser_burst = 0\nexempt = [\"here\"]\nburst = 1\n"));
        let mut paths: Vec<&str> = wrong.problems.iter().map(|problem| problem.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["limits.browser_burst", "limits.burst", "limits.exempt[0]", "limits.mode"], "{}", render_human(&wrong));
    }
}
