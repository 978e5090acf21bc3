//! `[registration]`: who may register applications by themselves, and what those may do.

use super::context::Context;
use crate::broker::registration::{Mode, Policy};
use crate::toml_file::Section;

const DAY: i64 = 86_400;

/// Reads the table; without one nobody registers.
pub fn read(context: &Context<'_>, root: &Section<'_>) -> Policy {
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
    let connections = section.strings("connections").map(|names| names.into_iter().map(|at| at.value.to_owned()).collect());
    let number = |key: &'static str, range| section.integer(key, range).and_then(|at| u64::try_from(at.value).ok());
    let per_hour = number("per_hour", 1..=1_000_000).and_then(|number| u32::try_from(number).ok()).unwrap_or(usual.per_hour);
    let max_clients = number("max_clients", 1..=1_000_000).and_then(|number| usize::try_from(number).ok()).unwrap_or(usual.max_clients);
    let unused_after = match section.integer("unused_after", 0..=3650 * DAY).map(|at| at.value) {
        None => usual.unused_after,
        // Never.
        Some(0) => None,
        Some(seconds) => u64::try_from(seconds).ok(),
    };
    section.finish();
    Policy { mode, connections, require_pkce, per_hour, max_clients, unused_after, ..usual }
}
