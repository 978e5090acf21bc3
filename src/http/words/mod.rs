//! What pages say to people, in each language: a text that is missing in one of them does not compile.
//!
//! Operators may put their own words in the place of ours, text by text ([`Texts::with`]).

mod ar;
mod de;
mod en;
mod es;
mod fr;
mod ja;
mod pt;

use crate::error::{Actor, ErrorKind};
use std::borrow::Cow;
use std::sync::Arc;

/// More languages than anybody lists.
const LISTED: usize = 20;

/// A language that pages are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    English,
    German,
    French,
    Spanish,
    Portuguese,
    Japanese,
    Arabic,
}

impl Language {
    pub const ALL: [Self; 7] = [Self::English, Self::German, Self::French, Self::Spanish, Self::Portuguese, Self::Japanese, Self::Arabic];

    /// BCP 47.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Portuguese => "pt",
            Self::Japanese => "ja",
            Self::Arabic => "ar",
        }
    }

    /// How lines run, as HTML says it.
    pub const fn direction(self) -> &'static str {
        match self {
            Self::Arabic => "rtl",
            _ => "ltr",
        }
    }

    /// The first of these tags for which there is a language (RFC 4647 3.4, with the first subtag alone).
    pub fn of_tags<'t>(tags: impl Iterator<Item = &'t str>) -> Option<Self> {
        tags.take(LISTED).find_map(|tag| {
            let first = tag.trim().split(['-', '_']).next()?;
            Self::ALL.into_iter().find(|known| first.eq_ignore_ascii_case(known.tag()))
        })
    }

    /// What an Accept-Language header prefers (RFC 9110 12.5.4).
    pub fn of_header(header: &str) -> Option<Self> {
        let mut ranges: Vec<(&str, f32)> = header.split(',').take(LISTED).filter_map(weighed).collect();
        // Stable: of equal weights the first counts.
        ranges.sort_by(|one, other| other.1.total_cmp(&one.1));
        Self::of_tags(ranges.into_iter().map(|(tag, _)| tag))
    }
}

/// A language range and its weight; nothing for one that is not wanted.
fn weighed(range: &str) -> Option<(&str, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse().ok())?;
    (weight > 0.0 && weight <= 1.0).then_some((tag, weight))
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        /// The texts of one language. Names in braces stand for what is only known when a page is made.
        #[derive(Clone, Debug)]
        pub struct Words {
            pub language: Language,
            $($(#[$meta])* pub $name: Cow<'static, str>,)+
        }

        impl Words {
            /// The names of all texts, as an operator writes them.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($name)),+];

            /// A text by its name.
            pub fn text(&self, key: &str) -> Option<&str> {
                match key {
                    $(stringify!($name) => Some(&self.$name),)+
                    _ => None,
                }
            }

            fn set(&mut self, key: &str, text: String) {
                match key {
                    $(stringify!($name) => self.$name = text.into(),)+
                    _ => {}
                }
            }
        }

        /// What a language's file has.
        struct Table {
            $($name: &'static str,)+
        }

        impl Table {
            fn of(&self, language: Language) -> Words {
                Words { language, $($name: Cow::Borrowed(self.$name),)+ }
            }
        }
    };
}

words! {
    go_on,
    takes_a_moment,
    to_identity_provider,
    to_application,
    signing_in,
    signing_out,
    home_title,
    home_text,
    choose_title,
    choose_where,
    choose_label,
    choose_search,
    choose_before,
    choose_forget,
    choose_all,
    found_nothing,
    found_one,
    found_some,
    found_more,
    found_try_other,
    found_type_more,
    link_title,
    link_first,
    link_how,
    link_yes,
    link_no,
    consent_title,
    consent_first,
    consent_openid,
    consent_profile,
    consent_email,
    consent_address,
    consent_phone,
    consent_groups,
    consent_offline,
    consent_claim,
    consent_everything,
    consent_server,
    consent_policy,
    consent_terms,
    consent_allow,
    consent_deny,
    device_title,
    device_label,
    device_how,
    device_unknown,
    device_confirm,
    device_first,
    device_warning,
    device_allow,
    device_deny,
    device_done,
    device_done_text,
    device_refused,
    device_refused_text,
    password_how,
    password_name,
    password_password,
    password_button,
    password_wrong,
    password_expired,
    password_must_change,
    password_locked,
    password_disabled,
    password_too_many,
    password_unverified,
    password_busy,
    password_unavailable,
    password_enrol,
    factor_title,
    factor_how,
    factor_code,
    factor_wrong,
    factor_used,
    factor_too_many,
    factor_other,
    factor_enrol_title,
    factor_enrol_how,
    factor_picture,
    factor_open,
    factor_key,
    factor_first,
    factor_keep_title,
    factor_keep_how,
    factor_kept,
    password_name_email,
    password_name_either,
    password_forgot,
    password_sign_up,
    account_back,
    account_email,
    sign_up_title,
    sign_up_how,
    sign_up_button,
    letter_title,
    letter_text,
    password_rule,
    weak_short,
    weak_long,
    weak_uniform,
    weak_common,
    weak_personal,
    weak_unsuitable,
    bad_email,
    bad_username,
    username_taken,
    reset_title,
    reset_how,
    reset_button,
    new_password_title,
    new_password_for,
    new_password_label,
    new_password_button,
    new_password_done_title,
    new_password_done,
    verify_title,
    verify_how,
    verify_password,
    verify_button,
    verify_not_mine,
    verify_wrong,
    verify_refused,
    verify_disowned_title,
    verify_disowned,
    verify_done_title,
    verify_done,
    link_dead_title,
    link_dead,
    mail_verify_subject,
    mail_verify,
    mail_exists_subject,
    mail_exists,
    mail_reset_subject,
    mail_reset,
    mail_changed_subject,
    mail_changed,
    logout_ask,
    logout_ends,
    logout_button,
    logout_done,
    logout_ended,
    logout_applications,
    logout_partly,
    logout_somebody,
    logout_telling,
    logout_stuck,
    logout_without,
    logout_again,
    logout_frame,
    told_waiting,
    told_asked,
    told_confirmed,
    told_shown,
    told_unknown,
    told_failed,
    told_skipped,
    told_impossible,
    continue_to,
    start_again_at,
    error_code,
    error_login,
    error_request,
    error_application,
    error_not_allowed,
    error_sign_in,
    error_consent,
    error_account,
    error_denied,
    error_stronger,
    error_no_way,
    error_expired,
    error_finished,
    error_other_browser,
    error_cookies,
    error_answer_refused,
    error_answer_used,
    error_provider_failed,
    error_provider_unreachable,
    error_not_started,
    error_something_missing,
    error_blocked,
    error_whose_account,
    error_link_only,
    error_rule,
    error_nothing_here,
    error_too_large,
    error_too_many,
    error_unavailable,
    error_not_possible,
    error_internal,
    advice_button,
    advice_start_again,
    advice_settle,
    advice_other_browser,
    advice_cookies,
    advice_wait,
    advice_back,
    advice_operator,
    advice_provider,
    advice_application,
    advice_try,
}

impl Words {
    pub fn of(language: Language) -> Self {
        let table = match language {
            Language::English => &en::TABLE,
            Language::German => &de::TABLE,
            Language::French => &fr::TABLE,
            Language::Spanish => &es::TABLE,
            Language::Portuguese => &pt::TABLE,
            Language::Japanese => &ja::TABLE,
            Language::Arabic => &ar::TABLE,
        };
        table.of(language)
    }

    /// A text with a value in the place of `{name}`.
    #[allow(clippy::unused_self)]
    pub fn put(&self, text: &str, name: &str, value: &str) -> String {
        fill(text, &[(name, value)])
    }

    /// The heading of an error's page.
    pub fn title_of(&self, kind: ErrorKind) -> &str {
        use ErrorKind as E;
        match kind {
            E::InvalidClient | E::InvalidRedirectUri => &self.error_application,
            E::UnauthorizedClient | E::InvalidScope | E::InsufficientScope | E::ProxyCountExceeded => &self.error_not_allowed,
            E::LoginRequired | E::InteractionRequired => &self.error_sign_in,
            E::ConsentRequired => &self.error_consent,
            E::AccountSelectionRequired => &self.error_account,
            E::AccessDenied => &self.error_denied,
            E::UnmetAuthenticationRequirements => &self.error_stronger,
            E::UnknownConnection => &self.error_no_way,
            E::LoginExpired => &self.error_expired,
            E::LoginAlreadyFinished => &self.error_finished,
            E::OtherBrowser => &self.error_other_browser,
            E::CookiesBlocked => &self.error_cookies,
            E::IdpResponseInvalid => &self.error_answer_refused,
            E::IdpResponseReplayed => &self.error_answer_used,
            E::IdpFailed => &self.error_provider_failed,
            E::IdpUnreachable => &self.error_provider_unreachable,
            E::UnsolicitedResponse => &self.error_not_started,
            E::ProfileIncomplete => &self.error_something_missing,
            E::UserBlocked => &self.error_blocked,
            E::AccountConflict => &self.error_whose_account,
            E::LinkOnlyIdentity => &self.error_link_only,
            E::RuleDenied => &self.error_rule,
            E::NotFound => &self.error_nothing_here,
            E::PayloadTooLarge => &self.error_too_large,
            E::TooManyRequests => &self.error_too_many,
            E::StoreUnavailable | E::Overloaded => &self.error_unavailable,
            E::Misconfigured | E::ScriptFailed => &self.error_not_possible,
            E::Internal => &self.error_internal,
            // What applications and programs are told, and people hardly ever see.
            _ => &self.error_request,
        }
    }

    /// What the person can do about an error.
    pub fn advice(&self, kind: ErrorKind, can_restart: bool) -> &str {
        match (kind, can_restart) {
            (ErrorKind::LoginExpired | ErrorKind::LoginAlreadyFinished, true) => &self.advice_button,
            (ErrorKind::LoginExpired | ErrorKind::LoginAlreadyFinished, false) => &self.advice_start_again,
            (ErrorKind::AccountConflict | ErrorKind::LinkOnlyIdentity, _) => &self.advice_settle,
            (ErrorKind::OtherBrowser, _) => &self.advice_other_browser,
            (ErrorKind::CookiesBlocked, _) => &self.advice_cookies,
            (ErrorKind::StoreUnavailable | ErrorKind::Overloaded, _) => &self.advice_wait,
            (kind, _) => match kind.wire().actor {
                Actor::User if !can_restart => &self.advice_back,
                Actor::User => &self.advice_try,
                Actor::Operator => &self.advice_operator,
                Actor::IdentityProvider => &self.advice_provider,
                Actor::Application => &self.advice_application,
            },
        }
    }
}

/// Puts values in the place of names in braces, once: a value with braces stays what it is.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let found = after.split_once('}').and_then(|(name, after)| {
            let value = values.iter().find(|(known, _)| *known == name)?.1;
            Some((value, after))
        });
        rest = match found {
            Some((value, after)) => {
                filled.push_str(value);
                after
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

/// The names in braces, in order, each once.
pub fn names_in(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = text.split('{').skip(1).filter_map(|after| Some(after.split_once('}')?.0)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The words of all languages, with what an operator says otherwise.
#[derive(Clone, Debug)]
pub struct Texts {
    words: Vec<Arc<Words>>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { words: Language::ALL.into_iter().map(|language| Arc::new(Words::of(language))).collect() }
    }
}

impl Texts {
    pub fn of(&self, language: Language) -> Arc<Words> {
        let found = self.words.iter().find(|words| words.language == language);
        found.map_or_else(|| Arc::new(Words::of(language)), Arc::clone)
    }

    /// Puts an operator's text in the place of ours.
    ///
    /// # Errors
    /// What is wrong with it: no text has this name, or it names something in braces that the page does not know.
    pub fn with(&mut self, language: Language, key: &str, text: &str) -> Result<(), String> {
        let ours = Words::of(Language::English);
        let usual = ours.text(key).ok_or_else(|| format!("there is no text `{key}`"))?;
        let known = names_in(usual);
        if let Some(unknown) = names_in(text).into_iter().find(|name| !known.contains(name)) {
            let may = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            return Err(format!("{{{unknown}}} is not known here; this text may name {may}"));
        }
        for words in self.words.iter_mut().filter(|words| words.language == language) {
            Arc::make_mut(words).set(key, text.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_says_everything_with_the_same_names() {
        let english = Words::of(Language::English);
        for language in Language::ALL {
            let words = Words::of(language);
            for key in Words::KEYS {
                let (ours, theirs) = (english.text(key).expect("a text"), words.text(key).expect("a text"));
                assert!(!theirs.trim().is_empty(), "{language:?} {key}");
                assert_eq!(names_in(theirs), names_in(ours), "{language:?} {key}");
                // Words that are the same in both languages are few and known.
                let may_be_equal = ["Code", "Detail"].contains(&ours);
                assert!(language == Language::English || theirs != ours || may_be_equal, "{language:?} {key} is English");
            }
        }
    }

    #[test]
    fn a_language_is_found_by_its_first_subtag() {
        let of = |tags: &[&str]| Language::of_tags(tags.iter().copied());
        assert_eq!(of(&["de-AT", "en"]), Some(Language::German));
        assert_eq!(of(&["nl", "pt_BR"]), Some(Language::Portuguese));
        assert_eq!(of(&["", "x", "jap", "*"]), None);
        for (header, language) in [
            ("de-CH, fr;q=0.9, en;q=0.8", Some(Language::German)),
            ("nl, en;q=0.5, ja;q=0.7", Some(Language::Japanese)),
            ("en;q=0, ar", Some(Language::Arabic)),
            ("*", None),
            ("", None),
            ("de;q=x, es;q=2", None),
            (",;q=1,;;;", None),
        ] {
            assert_eq!(Language::of_header(header), language, "{header}");
        }
    }

    #[test]
    fn values_are_put_in_once_and_unknown_names_stay() {
        assert_eq!(fill("a {b} {c}", &[("b", "{c}"), ("c", "d")]), "a {c} d");
        assert_eq!(fill("{a", &[("a", "x")]), "{a");
        assert_eq!(fill("{x} }{", &[("a", "x")]), "{x} }{");
        assert_eq!(fill("", &[]), "");
    }

    #[test]
    fn an_operators_words_take_the_place_of_ours() {
        let mut texts = Texts::default();
        texts.with(Language::German, "choose_title", "Willkommen bei {application}").expect("taken");
        assert_eq!(texts.of(Language::German).choose_title, "Willkommen bei {application}");
        assert_eq!(texts.of(Language::English).choose_title, Words::of(Language::English).choose_title);
        assert!(texts.with(Language::German, "nothing", "x").expect_err("no such text").contains("no text"));
        assert!(texts.with(Language::German, "choose_title", "{user}").expect_err("unknown name").contains("application"));
    }

    #[test]
    fn every_error_has_a_title_and_advice_in_every_language() {
        for language in Language::ALL {
            let words = Words::of(language);
            for kind in ErrorKind::ALL {
                assert!(
                    !words.title_of(*kind).is_empty() && !words.advice(*kind, true).is_empty() && !words.advice(*kind, false).is_empty()
                );
            }
        }
    }
}
