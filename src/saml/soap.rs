//! SOAP 1.1 around SAML messages (SAML Bindings 3.2): envelopes with one message in them, and faults.

use super::names;
use super::rejection::{Rejection, shown};
use super::xml::{Document, Element, Limits, Writer, parse};

/// Bytes of an envelope with its message at most.
pub const SOAP_LIMIT: usize = super::binding::MESSAGE_LIMIT + 64 * 1024;
pub const CONTENT_TYPE: &str = "text/xml; charset=utf-8";
/// The SOAPAction that SAML Bindings 3.2.3.1 has requesters send.
pub const ACTION: &str = "\"http://www.oasis-open.org/committees/security\"";

/// Puts a message, as it was written and signed, into an envelope.
pub fn envelope(message: &str) -> String {
    let mut writer = Writer::new();
    writer.start("soap:Envelope").attribute("xmlns:soap", names::SOAP).start("soap:Body").written(message);
    writer.finish()
}

/// Reads the text of an envelope; nothing of it is verified.
///
/// # Errors
/// When it is not strict XML within the bounds of a message.
pub(super) fn read(text: &str) -> Result<Document<'_>, Rejection> {
    parse(text, Limits::MESSAGE.with_bytes(SOAP_LIMIT)).map_err(Rejection::from)
}

/// The one message in the body of an envelope.
///
/// # Errors
/// When it is no envelope, a header block would have to be understood, or the body is a fault.
pub(super) fn message<'d>(document: &'d Document<'_>) -> Result<Element<'d>, Rejection> {
    let not = |found: &str| Rejection::NotSoap { found: found.to_owned() };
    let root = document.root();
    if !root.is(names::SOAP, "Envelope") {
        return Err(not(&shown(format!("the root is {{{}}}{}", root.namespace(), root.local_name()))));
    }
    let mut bodies = root.children_named(names::SOAP, "Body");
    let body = bodies.next().ok_or_else(|| not("there is no Body"))?;
    if bodies.next().is_some() {
        return Err(not("there are two Bodies"));
    }
    // SOAP 1.1 4.2.3: a block with mustUnderstand="1" is understood or the message is not processed. None is known here.
    let blocks = root.children_named(names::SOAP, "Header").flat_map(Element::children);
    let demanding = |block: &Element<'_>| matches!(block.attribute_ns(names::SOAP, "mustUnderstand").map(str::trim), Some("1" | "true"));
    if let Some(block) = blocks.into_iter().find(demanding) {
        return Err(Rejection::SoapHeader { found: shown(block.local_name()) });
    }
    let mut messages = body.children();
    let message = messages.next().ok_or_else(|| not("the Body is empty"))?;
    if messages.next().is_some() {
        return Err(not("the Body has more than one message"));
    }
    if message.is(names::SOAP, "Fault") {
        return Err(read_fault(message));
    }
    Ok(message)
}

fn read_fault(fault: Element<'_>) -> Rejection {
    // SOAP 1.1 4.4: these children are in no namespace; not everybody knows that.
    let child = |name: &str| fault.children().find(|child| child.local_name() == name);
    let part = |name: &str| child(name).map(|part| shown(part.deep_text().trim())).filter(|text| !text.is_empty());
    Rejection::SoapFault {
        code: part("faultcode").unwrap_or_else(|| "without code".to_owned()),
        text: part("faultstring").unwrap_or_else(|| "without text".to_owned()),
    }
}

/// Why a request was not looked at (SOAP 1.1 4.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCode {
    MustUnderstand,
    Client,
    Server,
}

impl FaultCode {
    /// That of a request that was refused.
    pub const fn of(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::SoapHeader { .. } => Self::MustUnderstand,
            _ => Self::Client,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::MustUnderstand => "soap:MustUnderstand",
            Self::Client => "soap:Client",
            Self::Server => "soap:Server",
        }
    }
}

/// An envelope that says that a request was not processed.
pub fn fault(code: FaultCode, text: &str) -> String {
    let mut writer = Writer::new();
    writer.start("soap:Fault").leaf("faultcode", code.name()).leaf("faultstring", text);
    envelope(&writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<String, Rejection> {
        let document = read(text)?;
        message(&document).map(|message| message.local_name().to_owned())
    }

    fn around(head: &str, body: &str) -> String {
        format!("<e:Envelope xmlns:e=\"{}\">{head}<e:Body>{body}</e:Body></e:Envelope>", names::SOAP)
    }

    #[test]
    fn an_envelope_holds_one_message() {
        assert_eq!(name(&envelope("<x/>")), Ok("x".to_owned()));
        assert_eq!(name(&around("<e:Header><h/><h e:mustUnderstand=\"0\"/></e:Header>", " <x/>\n")), Ok("x".to_owned()));
        for (text, expected) in [
            (around("", ""), "not-soap"),
            (around("", "<x/><y/>"), "not-soap"),
            (around("<e:Body/>", "<x/>"), "not-soap"),
            (around("<e:Header><h e:mustUnderstand=\"1\"/></e:Header>", "<x/>"), "soap-header"),
            (format!("<Envelope xmlns=\"{}\"/>", names::SOAP), "not-soap"),
            ("<x/>".to_owned(), "not-soap"),
            (around("", "<x/>").replace("schemas.xmlsoap.org/soap/envelope/", "www.w3.org/2003/05/soap-envelope"), "not-soap"),
            ("{}".to_owned(), "not-well-formed"),
            (format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{}", around("", "<x>&b;</x>")), "document-type"),
            (around("", &"<a>".repeat(100)), "too-complex"),
            (around("", &format!("<x>{}</x>", "a".repeat(SOAP_LIMIT))), "too-large"),
            (around("", &format!("<x>{}</x>", "<a/>".repeat(20_000))), "too-complex"),
        ] {
            assert_eq!(name(&text).expect_err("refused").name(), expected, "{}", text.get(..200.min(text.len())).unwrap_or_default());
        }
    }

    #[test]
    fn faults_are_read_as_they_are_written() {
        let written = fault(FaultCode::Client, "no <SAML>");
        let expected = Rejection::SoapFault { code: "soap:Client".to_owned(), text: "no <SAML>".to_owned() };
        assert_eq!(name(&written), Err(expected));
        assert_eq!(name(&around("", "<e:Fault/>")).expect_err("a fault").name(), "soap-fault");
    }
}
