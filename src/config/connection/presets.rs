//! Providers that the program knows: the files of `presets/`, each the settings of one in the words of `[connection.oidc]`
//! or `[connection.oauth2]`, which an operator's own settings replace one by one. docs/adding-a-provider.md tells how to add one.

use crate::connection::config::{Icon, Provider, Quirk};
use crate::toml_file::Section;
use crate::user::ProfileSync;
use std::sync::LazyLock;
use toml::de::{DeTable, DeValue};

/// Name and text of each.
const FILES: &[(&str, &str)] = &[
    ("google", include_str!("../../../presets/google.toml")),
    ("microsoft", include_str!("../../../presets/microsoft.toml")),
    ("apple", include_str!("../../../presets/apple.toml")),
    ("github", include_str!("../../../presets/github.toml")),
    ("gitlab", include_str!("../../../presets/gitlab.toml")),
    ("facebook", include_str!("../../../presets/facebook.toml")),
    ("linkedin", include_str!("../../../presets/linkedin.toml")),
    ("x", include_str!("../../../presets/x.toml")),
    ("discord", include_str!("../../../presets/discord.toml")),
    ("slack", include_str!("../../../presets/slack.toml")),
    ("wechat", include_str!("../../../presets/wechat.toml")),
    ("okta", include_str!("../../../presets/okta.toml")),
    ("auth0", include_str!("../../../presets/auth0.toml")),
    ("keycloak", include_str!("../../../presets/keycloak.toml")),
    ("amazon", include_str!("../../../presets/amazon.toml")),
    ("twitch", include_str!("../../../presets/twitch.toml")),
    ("line", include_str!("../../../presets/line.toml")),
    ("kakao", include_str!("../../../presets/kakao.toml")),
    ("naver", include_str!("../../../presets/naver.toml")),
    ("yahoo", include_str!("../../../presets/yahoo.toml")),
];

/// What an operator's `issuer` takes away.
const ADDRESSES: [&str; 6] =
    ["metadata_url", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint"];

/// One provider.
#[derive(Debug)]
pub struct Preset {
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    pub mapping: &'static str,
    pub profile_sync: ProfileSync,
    pub provider: Provider,
    pub protocol: Protocol,
    pub quirk: Option<Quirk>,
    /// Apple's: there is no client secret but one that we make.
    pub makes_secret: bool,
    /// What is usual.
    pub settings: DeTable<'static>,
    /// The same without addresses.
    pub elsewhere: DeTable<'static>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Oidc,
    OAuth2,
}

static PRESETS: LazyLock<Vec<Preset>> =
    LazyLock::new(|| FILES.iter().map(|(name, text)| read(name, text).unwrap_or_else(|why| unreachable!("{name}: {why}"))).collect());

/// The preset of this name.
pub fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// One whose identities have this strategy.
pub fn of_strategy(strategy: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.provider.strategy == strategy)
}

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// That of a `[[connection]]`, if it names one. What is wrong with the name is told elsewhere.
pub fn of(connection: &Section<'_>) -> Option<&'static Preset> {
    let social = connection.section("social")?;
    named(social.value("preset")?.value.as_str()?)
}

fn read(name: &'static str, text: &'static str) -> Result<Preset, String> {
    // Read once, and there as long as the program is.
    let file: &'static DeTable<'static> = Box::leak(Box::new(DeTable::parse(text).map_err(|error| error.to_string())?.into_inner()));
    let value = |key: &str| file.get(key).map(toml::Spanned::get_ref);
    let text = |key: &str| value(key).and_then(DeValue::as_str).ok_or_else(|| format!("`{key}` is missing"));
    let icon = |key: &str| value("icon")?.as_table()?.get(key)?.get_ref().as_str();
    let (protocol, settings) = match (value("oidc"), value("oauth2")) {
        (Some(DeValue::Table(settings)), None) => (Protocol::Oidc, settings.clone()),
        (None, Some(DeValue::Table(settings))) => (Protocol::OAuth2, settings.clone()),
        _ => return Err("either [oidc] or [oauth2]".to_owned()),
    };
    let mut elsewhere = settings.clone();
    for address in ADDRESSES.iter().filter(|_| protocol == Protocol::Oidc) {
        elsewhere.remove(*address);
    }
    let (quirk, makes_secret) = match value("quirk").and_then(DeValue::as_str) {
        None => (None, false),
        Some("facebook") => (Some(Quirk::Facebook), false),
        Some("wechat") => (Some(Quirk::WeChat), false),
        Some("apple") => (None, true),
        Some(other) => return Err(format!("no quirk `{other}`")),
    };
    Ok(Preset {
        name,
        title: text("title")?,
        mapping: text("mapping")?,
        profile_sync: match value("profile_sync").and_then(DeValue::as_str) {
            None => ProfileSync::default(),
            Some("on_first_login") => ProfileSync::OnFirstLogin,
            Some(other) => return Err(format!("no profile_sync `{other}`")),
        },
        provider: Provider {
            strategy: text("strategy")?,
            is_social: value("social").and_then(DeValue::as_bool).ok_or("`social` is missing")?,
            icon: Icon { letters: icon("letters").ok_or("no letters")?, color: icon("color").ok_or("no color")? },
        },
        protocol,
        quirk,
        makes_secret,
        settings,
        elsewhere,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Direction, MappingLibrary};
    use std::collections::BTreeSet;

    /// Keys of a preset's file, beside those of its section.
    const KEYS: [&str; 9] = ["title", "strategy", "social", "mapping", "icon", "quirk", "profile_sync", "oidc", "oauth2"];

    #[test]
    fn every_preset_can_be_read_and_has_a_mapping_table() {
        let library = MappingLibrary::built_in();
        for (name, text) in FILES {
            let preset = read(name, text).unwrap_or_else(|why| panic!("{name}: {why}"));
            assert!(library.table(preset.mapping, Direction::ToProfile).is_some(), "{name}: {}", preset.mapping);
            let Icon { letters, color } = preset.provider.icon;
            assert!((1..=2).contains(&letters.chars().count()), "{name}");
            let channels: Vec<u8> =
                color.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
            assert!(channels.len() == 3 && contrast(&channels) >= 4.5, "{name}: white cannot be read on #{color}");
            let written = DeTable::parse(text).expect("TOML");
            let unknown: Vec<_> =
                written.get_ref().keys().map(|key| key.get_ref().to_string()).filter(|key| !KEYS.contains(&key.as_str())).collect();
            assert_eq!(unknown, [""; 0], "{name}");
            assert!(text.starts_with("# "), "{name} says nothing of itself");
        }
        assert_eq!(names().collect::<BTreeSet<_>>().len(), FILES.len());
    }

    /// WCAG 2.2, against white.
    fn contrast(channels: &[u8]) -> f64 {
        let linear = |channel: u8| {
            let part = f64::from(channel) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let luminance = 0.2126 * linear(channels[0]) + 0.7152 * linear(channels[1]) + 0.0722 * linear(channels[2]);
        1.05 / (luminance + 0.05)
    }
}
