//! `[keys]`: where the keys are, and whose certificates end soon.

use super::context::Context;
use crate::keys::{self, END_IS_NEAR};
use crate::toml_file::Section;
use std::path::PathBuf;

/// The directory of keys. Their certificates may be read by anybody who checks; private keys are not opened here.
pub fn read(context: &Context<'_>, root: &Section<'_>) -> PathBuf {
    let section = root.section("keys");
    let named = section.as_ref().and_then(|section| section.string("path").map(|at| at.value.to_owned()));
    let path = context.resolve(named.as_deref().unwrap_or("certs"));
    for (file, end) in keys::certificates_in(&path) {
        if end < context.now.plus_seconds(END_IS_NEAR) {
            let message = format!("the certificate in {} ends on {end}", file.display());
            let purpose = file.file_name().and_then(|name| name.to_str()?.split('.').next().map(str::to_owned)).unwrap_or_default();
            let help = format!(
                "run isthmus keys rotate --purpose {purpose}, unless that has been done since the file was made (isthmus keys list)"
            );
            match &section {
                Some(section) => section.warning("path", message, help),
                None => root.warning("keys", message, help),
            }
        }
    }
    if let Some(section) = section {
        section.finish();
    }
    path
}
