//! `[registration]`: who may register applications by themselves, and what those may do.

use super::application;
use super::context::Context;
use crate::broker::registration::{Mode, Policy, StatementIssuer};
use crate::toml_file::Section;

const DAY: i64 = 86_400;

/// Reads the table; without one nobody registers. `known` are the names of connections.
pub fn read(context: &Context<'_>, root: &Section<'_>, known: &[String]) -> Policy {
    let usual = Policy { development: context.development, ..Policy::default() };
    let Some(section) = root.section("registration") else { return usual };
    let modes = [("off", Mode::Off), ("initial_access_token", Mode::InitialAccessToken), ("open", Mode::Open)];
    let mode = section.choice("mode", &modes).unwrap_or_default();
    if mode == Mode::Open {
        let message = "weakened: anybody can register an application, and send people to it from here";
        section.warning("mode", message, "use \"initial_access_token\", and give tokens to those whom you know");
    }
    let require_pkce = section.bool("require_pkce").unwrap_or(true);
    if !require_pkce {
        let message = "weakened: codes of applications that register with a secret work without PKCE";
        section.warning("require_pkce", message, "remove it as soon as their libraries can do PKCE");
    }
    let unsigned_request_objects = section.bool("unsigned_request_objects").unwrap_or(false);
    if unsigned_request_objects {
        let message = "weakened: request objects of applications that register without an algorithm for them may come unsigned";
        section.warning("unsigned_request_objects", message, "remove it as soon as they sign them");
    }
    let connections =
        section.strings("connections").map(|names| names.iter().map(|at| application::known_connection(&section, at, known)).collect());
    let number = |key: &'static str, range| section.integer(key, range).and_then(|at| u64::try_from(at.value).ok());
    let per_hour = number("per_hour", 1..=1_000_000).and_then(|number| u32::try_from(number).ok()).unwrap_or(usual.per_hour);
    let max_clients = number("max_clients", 1..=1_000_000).and_then(|number| usize::try_from(number).ok()).unwrap_or(usual.max_clients);
    let unused_after = match section.integer("unused_after", 0..=3650 * DAY).map(|at| at.value) {
        None => usual.unused_after,
        // Never.
        Some(0) => None,
        Some(seconds) => u64::try_from(seconds).ok(),
    };
    let statements = section.sections("software_statement").iter().filter_map(|section| statement_issuer(context, section)).collect();
    let statement_required = section.bool("software_statement_required").unwrap_or(false);
    if statement_required && !section.has("software_statement") {
        let help = "add [[registration.software_statement]] with an issuer and its keys";
        section.problem("software_statement_required", "nobody's software statements count", help);
    }
    section.finish();
    Policy {
        mode,
        connections,
        require_pkce,
        unsigned_request_objects,
        per_hour,
        max_clients,
        unused_after,
        statements,
        statement_required,
        ..usual
    }
}

/// `[[registration.software_statement]]`: who vouches for software.
fn statement_issuer(context: &Context<'_>, section: &Section<'_>) -> Option<StatementIssuer> {
    let issuer = section.required("issuer").map(|at| at.value.to_owned());
    let keys = application::public_keys(context, section);
    if !["jwks", "jwks_file", "jwks_uri"].into_iter().any(|key| section.has(key)) {
        section.problem("issuer", "there are no keys to verify its statements with", "add `jwks_uri`, `jwks` or `jwks_file`");
    }
    section.finish();
    Some(StatementIssuer { issuer: issuer?, keys })
}
