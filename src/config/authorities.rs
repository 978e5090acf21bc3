//! `ca_file`: who may vouch for a server that is spoken to by TLS, instead of those of this machine.

use super::context::Context;
use crate::connection::ldap::check_authorities;
use crate::toml_file::Section;

/// The certificates, in PEM, if the key is written and they can be used.
pub fn read(context: &Context<'_>, section: &Section<'_>) -> Option<String> {
    let at = section.string("ca_file")?;
    match context.read_file(at.value) {
        Ok(pem) if check_authorities(&pem) => Some(pem),
        Ok(_) => {
            section.problem("ca_file", format!("{} has no certificates that can be used", at.value), "name a file with PEM certificates");
            None
        }
        Err(why) => {
            section.problem("ca_file", why, "correct the path; it is relative to the configuration");
            None
        }
    }
}
