//! What must hold for a response and its assertion: the list of SAML Profiles 4.1.4.2 and 4.1.4.3 and Core 2 and 3,
//! one small function per step, in order, each with its own [`Rejection`].

use super::assertion::{AssertionContent, Attribute, AuthnStatement, Conditions, Issuer, ResponseHead, SubjectConfirmation};
use super::names;
use super::rejection::{Notebook, Part, Rejection};
use super::sp::{Comparison, Expected, ResponsePolicy};
use crate::clock::Timestamp;

/// Against what a response is judged.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub our_entity_id: &'a str,
    pub acs_url: &'a str,
    pub idp_entity_id: &'a str,
    pub policy: &'a ResponsePolicy,
    pub expected: &'a Expected<'a>,
}

type Outcome = Result<(), Rejection>;

impl Judge<'_> {
    const fn now(&self) -> Timestamp {
        self.expected.now
    }

    const fn skew(&self) -> i64 {
        self.policy.skew_seconds
    }

    /// Everything around the assertion. `signed` says whether `head` is what a signature covered.
    pub fn response<N: Notebook>(&self, head: &ResponseHead, signed: bool, checks: &mut N) -> Outcome {
        N::on(version(Part::Response, &head.version, checks))?;
        N::on(self.destination(head.destination.as_deref(), signed, checks))?;
        N::on(self.issuer(Part::Response, head.issuer.as_ref(), checks))?;
        N::on(self.response_in_response_to(head.in_response_to.as_deref(), checks))?;
        N::on(status(head, checks))?;
        self.issue_instant(Part::Response, head.issue_instant, checks)
    }

    /// The assertion itself, read from verified bytes.
    pub fn assertion<N: Notebook>(&self, content: &AssertionContent, checks: &mut N) -> Outcome {
        N::on(version(Part::Assertion, &content.version, checks))?;
        N::on(self.issuer(Part::Assertion, content.issuer.as_ref(), checks))?;
        N::on(self.issue_instant(Part::Assertion, content.issue_instant, checks))?;
        N::on(self.subject(content, checks))?;
        N::on(self.bearer(content, checks))?;
        N::on(self.conditions(content.conditions.as_ref(), checks))?;
        self.authentication(&content.authn_statements, checks)
    }

    // SAML Bindings 3.5.5.2: the Destination of a signed message MUST be there and MUST be where it was received.
    fn destination(&self, found: Option<&str>, signed: bool, checks: &mut impl Notebook) -> Outcome {
        match found {
            None | Some("") => checks.require("destination-present", !signed, self.acs_url, "none", || Rejection::DestinationMissing {
                expected: self.acs_url.to_owned(),
            }),
            Some(found) => checks.require("destination", found == self.acs_url, self.acs_url, found, || Rejection::WrongDestination {
                expected: self.acs_url.to_owned(),
                found: found.to_owned(),
            }),
        }
    }

    // SAML Profiles 4.1.4.2: the Issuer MUST contain the unique identifier of the identity provider; its Format omitted or entity.
    fn issuer(&self, on: Part, issuer: Option<&Issuer>, checks: &mut impl Notebook) -> Outcome {
        let expected = self.idp_entity_id;
        let name = if on == Part::Response { "response-issuer" } else { "assertion-issuer" };
        let found = issuer.map_or("none", |issuer| &issuer.value);
        checks.require(name, issuer.is_some_and(|issuer| issuer.value == expected), expected, found, || match issuer {
            None => Rejection::IssuerMissing { on, expected: expected.to_owned() },
            Some(issuer) => Rejection::WrongIssuer { on, expected: expected.to_owned(), found: issuer.value.clone() },
        })?;
        let format = issuer.and_then(|issuer| issuer.format.as_deref()).unwrap_or(names::NAMEID_ENTITY);
        checks.require("issuer-format", format == names::NAMEID_ENTITY, names::NAMEID_ENTITY, format, || Rejection::WrongIssuerFormat {
            on,
            found: format.to_owned(),
        })
    }

    // SAML Profiles 4.1.4.3: InResponseTo equals the ID of the request, unless the response is unsolicited.
    fn response_in_response_to(&self, found: Option<&str>, checks: &mut impl Notebook) -> Outcome {
        let Some(expected) = self.expected.request_id else { return no_request("response-in-response-to", Part::Response, found, checks) };
        checks.require("solicited", found.is_some(), "InResponseTo present", found.unwrap_or("none"), || Rejection::Unsolicited)?;
        checks.require("response-in-response-to", found == Some(expected), expected, found.unwrap_or("none"), || {
            Rejection::WrongInResponseTo { on: Part::Response, expected: expected.to_owned(), found: found.unwrap_or_default().to_owned() }
        })
    }

    // SAML Core 3.2.2, 2.3.3: the time of issue; not in the future, nor too long ago.
    fn issue_instant(&self, on: Part, issued: Option<Timestamp>, checks: &mut impl Notebook) -> Outcome {
        let (now, skew_seconds, window_seconds) = (self.now(), self.skew(), self.policy.message_max_age_seconds);
        let name = if on == Part::Response { "response-issue-instant" } else { "assertion-issue-instant" };
        let issued = checks.outcome(name, "a date", issued.ok_or(Rejection::DateMissing { on, name: "IssueInstant" }))?;
        let offset = format!("{issued}, {} s from {now}", issued.seconds_since(now));
        let future = issued > now.plus_seconds(skew_seconds);
        checks.require("not-issued-in-future", !future, format!("at most {skew_seconds} s ahead"), &offset, || {
            Rejection::IssuedInFuture { on, issued, now, skew_seconds }
        })?;
        let old = issued.plus_seconds(window_seconds).plus_seconds(skew_seconds) < now;
        checks.require("not-issued-too-long-ago", !old, format!("at most {window_seconds} s ago"), &offset, || {
            Rejection::IssuedTooLongAgo { on, issued, now, window_seconds }
        })
    }

    fn subject(&self, content: &AssertionContent, checks: &mut impl Notebook) -> Outcome {
        checks.require("subject", content.has_subject, "a Subject", if content.has_subject { "a Subject" } else { "none" }, || {
            Rejection::SubjectMissing
        })?;
        if let Some(attribute) = &self.policy.subject_attribute {
            let found = subject_attribute(&content.attributes, attribute);
            return checks.require("subject-attribute", found.is_some(), attribute, found.unwrap_or("none"), || {
                Rejection::SubjectAttributeMissing { attribute: attribute.clone() }
            });
        }
        let name_id = content.name_id.as_ref().map(|name_id| name_id.value.as_str()).filter(|value| !value.is_empty());
        checks.require("name-id", name_id.is_some(), "a NameID that is not empty", name_id.unwrap_or("none"), || Rejection::NameIdMissing)
    }

    // SAML Profiles 4.1.4.2: at least one bearer confirmation with the following data.
    fn bearer(&self, content: &AssertionContent, checks: &mut impl Notebook) -> Outcome {
        let mut bearers = content.confirmations.iter().filter(|confirmation| confirmation.method == names::CM_BEARER).peekable();
        let found: Vec<&str> = content.confirmations.iter().map(|confirmation| confirmation.method.as_str()).collect();
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        checks.require("bearer-confirmation", bearers.peek().is_some(), names::CM_BEARER, &found, || {
            Rejection::BearerConfirmationMissing { found: found.clone() }
        })?;
        let mut refused = None;
        for confirmation in bearers {
            match self.bearer_data(confirmation, checks) {
                Ok(()) => return Ok(()),
                Err(rejection) => refused = refused.or(Some(rejection)),
            }
        }
        Err(refused.unwrap_or(Rejection::BearerConfirmationMissing { found }))
    }

    fn bearer_data<N: Notebook>(&self, confirmation: &SubjectConfirmation, checks: &mut N) -> Outcome {
        // SAML Profiles 4.1.4.2: it MUST contain a Recipient: the ACS URL to which the assertion was delivered.
        let (expected, found) = (self.acs_url, confirmation.recipient.as_deref());
        checks.require("recipient", found == Some(expected), expected, found.unwrap_or("none"), || match found {
            None => Rejection::RecipientMissing { expected: expected.to_owned() },
            Some(found) => Rejection::WrongRecipient { expected: expected.to_owned(), found: found.to_owned() },
        })?;
        N::on(self.confirmation_window(confirmation.not_on_or_after, checks))?;
        // .. it MUST NOT contain a NotBefore.
        let not_before = confirmation.not_before.as_deref();
        checks.require("confirmation-without-not-before", not_before.is_none(), "none", not_before.unwrap_or("none"), || {
            Rejection::ConfirmationHasNotBefore { found: not_before.unwrap_or_default().to_owned() }
        })?;
        // SAML Profiles 4.1.4.2: in answer to a request, InResponseTo MUST match the request's ID.
        let found = confirmation.in_response_to.as_deref();
        let Some(expected) = self.expected.request_id else {
            return no_request("confirmation-in-response-to", Part::SubjectConfirmation, found, checks);
        };
        checks.require("confirmation-in-response-to", found == Some(expected), expected, found.unwrap_or("none"), || match found {
            None => Rejection::ConfirmationInResponseToMissing { expected: expected.to_owned() },
            Some(found) => {
                Rejection::WrongInResponseTo { on: Part::SubjectConfirmation, expected: expected.to_owned(), found: found.to_owned() }
            }
        })
    }

    // .. and a NotOnOrAfter that limits the window.
    fn confirmation_window(&self, until: Option<Timestamp>, checks: &mut impl Notebook) -> Outcome {
        let (now, skew_seconds) = (self.now(), self.skew());
        let until = until.ok_or(Rejection::DateMissing { on: Part::SubjectConfirmation, name: "NotOnOrAfter" });
        let until = checks.outcome("confirmation-not-on-or-after", "a date", until)?;
        checks.require("confirmation-valid", now < until.plus_seconds(skew_seconds), format!("after {now}"), until.to_string(), || {
            Rejection::ConfirmationExpired { not_on_or_after: until, now, skew_seconds }
        })
    }

    fn conditions<N: Notebook>(&self, conditions: Option<&Conditions>, checks: &mut N) -> Outcome {
        let conditions = checks.outcome("conditions", "Conditions", conditions.ok_or(Rejection::ConditionsMissing))?;
        N::on(self.not_before(conditions, checks))?;
        N::on(self.not_on_or_after(conditions, checks))?;
        N::on(self.audience(conditions, checks))?;
        understood(conditions, checks)
    }

    // SAML Core 2.5.1.2: NotBefore is inclusive, NotOnOrAfter exclusive.
    fn not_before(&self, conditions: &Conditions, checks: &mut impl Notebook) -> Outcome {
        let (now, skew_seconds) = (self.now(), self.skew());
        let from = conditions.not_before.ok_or(Rejection::DateMissing { on: Part::Conditions, name: "NotBefore" });
        let from = checks.outcome("not-before-present", "a date", from)?;
        checks.require("not-before", from <= now.plus_seconds(skew_seconds), format!("at or before {now}"), from.to_string(), || {
            Rejection::NotYetValid { not_before: from, now, skew_seconds }
        })
    }

    fn not_on_or_after(&self, conditions: &Conditions, checks: &mut impl Notebook) -> Outcome {
        let (now, skew_seconds) = (self.now(), self.skew());
        let until = conditions.not_on_or_after.ok_or(Rejection::DateMissing { on: Part::Conditions, name: "NotOnOrAfter" });
        let until = checks.outcome("not-on-or-after-present", "a date", until)?;
        checks.require("not-on-or-after", now < until.plus_seconds(skew_seconds), format!("after {now}"), until.to_string(), || {
            Rejection::Expired { not_on_or_after: until, now, skew_seconds }
        })
    }

    fn audience(&self, conditions: &Conditions, checks: &mut impl Notebook) -> Outcome {
        // SAML Profiles 4.1.4.2: an AudienceRestriction with our identifier; Core 2.5.1.4: restrictions are ANDed, audiences ORed.
        let expected = self.our_entity_id;
        checks.require("audience-present", !conditions.audience_restrictions.is_empty(), expected, "AudienceRestriction", || {
            Rejection::AudienceMissing { expected: expected.to_owned() }
        })?;
        for audiences in &conditions.audience_restrictions {
            let found = audiences.join(", ");
            checks.require("audience", audiences.iter().any(|audience| audience == expected), expected, &found, || {
                Rejection::WrongAudience { expected: expected.to_owned(), found: found.clone() }
            })?;
        }
        Ok(())
    }

    fn authentication(&self, statements: &[AuthnStatement], checks: &mut impl Notebook) -> Outcome {
        // SAML Profiles 4.1.4.2: at least one AuthnStatement.
        let statement =
            checks.outcome("authn-statement", "an AuthnStatement", statements.first().ok_or(Rejection::AuthnStatementMissing))?;
        let (now, skew_seconds) = (self.now(), self.skew());
        for until in statements.iter().filter_map(|statement| statement.session_not_on_or_after) {
            checks.require("session-valid", now < until.plus_seconds(skew_seconds), format!("after {now}"), until.to_string(), || {
                Rejection::SessionExpired { session_not_on_or_after: until, now, skew_seconds }
            })?;
        }
        let authn_instant = statement.authn_instant;
        let future = authn_instant > now.plus_seconds(skew_seconds);
        checks.require("authn-instant", !future, format!("at most {skew_seconds} s ahead"), authn_instant.to_string(), || {
            Rejection::AuthnInstantInFuture { authn_instant, now, skew_seconds }
        })?;
        self.fresh(authn_instant, checks)?;
        self.authn_context(statement.context_class_ref.as_deref(), checks)
    }

    // SAML Core 3.4.1: with ForceAuthn the identity provider MUST authenticate the presenter directly.
    fn fresh(&self, authn_instant: Timestamp, checks: &mut impl Notebook) -> Outcome {
        let by_force = self.expected.force_authn.then(|| self.expected.requested_at.plus_seconds(-self.skew()));
        let by_age = self.expected.max_age_seconds.map(|age| self.now().plus_seconds(-age).plus_seconds(-self.skew()));
        let Some(limit) = by_force.max(by_age) else { return Ok(()) };
        checks.require("fresh-authentication", authn_instant >= limit, format!("not before {limit}"), authn_instant.to_string(), || {
            Rejection::AuthenticationTooOld { authn_instant, limit }
        })
    }

    // SAML Core 3.3.2.2.1: exact MUST be one of those asked for. The other comparisons go by the connection's ranking. Without
    // one only the identity provider knows its order; it must at least say what it did.
    fn authn_context(&self, found: Option<&str>, checks: &mut impl Notebook) -> Outcome {
        let Some((comparison, asked)) = self.expected.requested_authn_context else { return Ok(()) };
        let met = match (comparison, found) {
            (_, None | Some("")) => false,
            (Comparison::Exact, Some(found)) => asked.iter().any(|class| class == found),
            (Comparison::Minimum | Comparison::Maximum | Comparison::Better, Some(found)) => {
                self.policy.authn_context_ranking.is_empty() || self.ranks(*comparison, found, asked)
            }
        };
        let expected = format!("{}: {}", comparison.name(), asked.join(", "));
        let found = found.unwrap_or("none");
        checks.require("authn-context", met, &expected, found, || Rejection::AuthnContextNotMet {
            expected: expected.clone(),
            found: found.to_owned(),
        })
    }

    // SAML Core 3.3.2.2.1: minimum is at least as strong as one of those asked for, maximum exceeds at least one of them in
    // nothing, better is stronger than any of them. What is not ranked is not known to be strong.
    fn ranks(&self, comparison: Comparison, found: &str, asked: &[String]) -> bool {
        let rank = |class: &str| self.policy.authn_context_ranking.iter().position(|ranked| ranked == class);
        let asked: Option<Vec<usize>> = asked.iter().map(|class| rank(class)).collect();
        let (Some(found), Some(asked)) = (rank(found), asked) else { return false };
        match comparison {
            Comparison::Exact => asked.contains(&found),
            Comparison::Minimum => asked.iter().any(|asked| found >= *asked),
            Comparison::Maximum => asked.iter().any(|asked| found <= *asked),
            Comparison::Better => asked.iter().all(|asked| found > *asked),
        }
    }
}

// SAML Profiles 4.1.5: an unsolicited response MUST NOT contain an InResponseTo, nor any of its bearer confirmations.
fn no_request(name: &'static str, on: Part, found: Option<&str>, checks: &mut impl Notebook) -> Outcome {
    checks.require(name, found.is_none(), "none", found.unwrap_or("none"), || Rejection::WrongInResponseTo {
        on,
        expected: "none".to_owned(),
        found: found.unwrap_or_default().to_owned(),
    })
}

// SAML Core 2.5.1: a condition that is not understood makes the assertion invalid. OneTimeUse is understood (every assertion
// is accepted once), ProxyRestriction too (we do not pass assertions on).
fn understood(conditions: &Conditions, checks: &mut impl Notebook) -> Outcome {
    let unknown = conditions.unknown.first();
    let found = unknown.map_or("only known conditions", |unknown| unknown);
    checks.require("conditions-understood", unknown.is_none(), "only known conditions", found, || Rejection::UnknownCondition {
        found: unknown.cloned().unwrap_or_default(),
    })
}

/// The first value that is not empty of the attribute configured as the subject.
pub(super) fn subject_attribute<'c>(attributes: &'c [Attribute], name: &str) -> Option<&'c str> {
    let instances = attributes.iter().filter(|attribute| attribute.name == name);
    instances.flat_map(|attribute| &attribute.values).filter_map(|value| value.text()).map(str::trim).find(|value| !value.is_empty())
}

// SAML Core 3.2.2, 2.3.3: the version MUST be "2.0".
fn version(on: Part, found: &str, checks: &mut impl Notebook) -> Outcome {
    let name = if on == Part::Response { "response-version" } else { "assertion-version" };
    checks.require(name, found == "2.0", "2.0", found, || Rejection::WrongVersion { on, found: found.to_owned() })
}

// SAML Core 3.2.2.2: anything but Success at the top level means that there is nothing more to read.
fn status(head: &ResponseHead, checks: &mut impl Notebook) -> Outcome {
    let status = checks.outcome("status-present", "a Status", head.status.as_ref().ok_or(Rejection::StatusMissing))?;
    let found = [Some(status.top.as_str()), status.second.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" / ");
    checks.require("status", status.top == names::STATUS_SUCCESS, names::STATUS_SUCCESS, found, || Rejection::StatusNotSuccess {
        top: status.top.clone(),
        second: status.second.clone(),
        message: status.message.clone(),
    })
}
