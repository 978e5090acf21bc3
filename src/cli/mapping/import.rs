//! `isthmus mapping import`: a mapping of another product as a table.
//!
//! The table goes to standard output, what is not in it to standard error. Exit status: 0 all of it is in the table,
//! 1 something is not, 2 the input cannot be read or is not of this notation.

use crate::cli::{complain, print};
use crate::profile::import::{self, Imported, MAX_INPUT};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Options {
    /// How the mapping is written.
    notation: Notation,
    /// The mapping, as JSON; `-` is standard input.
    file: PathBuf,
    /// For programs: table and notes together.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Notation {
    /// `fieldsMap` of a SAML connection: profile field to attributes. Becomes a to_profile table.
    Auth0FieldsMap,
    /// `attribute_map` of an OpenID connection: profile field to template. Becomes a to_profile table.
    Auth0AttributeMap,
    /// Settings, or `mappings`, of the SAML2 Web App add-on: profile field to attributes. Becomes a from_profile table.
    Auth0Addon,
    /// `samlConfiguration.mappings` of a rule: attribute to profile path. Becomes a from_profile table.
    Auth0Rule,
    /// `attributeMap` (an object, becomes to_profile) or `attributeMapping` (a list, becomes from_profile).
    Gigya,
}

pub fn run(options: &Options) -> ExitCode {
    let imported = read(&options.file).and_then(|text| import::import(options.notation.meant(), &text));
    match imported {
        Ok(imported) => {
            show(&imported, options.json);
            ExitCode::from(u8::from(imported.notes.iter().any(|note| note.lost)))
        }
        Err(why) => {
            complain(&format!("{}: {why}", options.file.display()));
            ExitCode::from(2)
        }
    }
}

impl Notation {
    fn meant(self) -> import::Notation {
        match self {
            Self::Auth0FieldsMap => import::Notation::Auth0FieldsMap,
            Self::Auth0AttributeMap => import::Notation::Auth0AttributeMap,
            Self::Auth0Addon => import::Notation::Auth0Addon,
            Self::Auth0Rule => import::Notation::Auth0Rule,
            Self::Gigya => import::Notation::Gigya,
        }
    }
}

/// One octet more than is allowed, so that what is too long is refused and not cut.
fn read(file: &Path) -> Result<String, String> {
    let limit = MAX_INPUT as u64 + 1;
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.map(|_| text).map_err(|error| format!("cannot be read: {error}"))
}

fn show(imported: &Imported, as_json: bool) {
    if as_json {
        return print(&json!(imported).to_string());
    }
    print(imported.toml.trim_end());
    for note in &imported.notes {
        complain(&format!("{}: {note}", if note.lost { "not carried over" } else { "to know" }));
    }
}
