//! Where metadata are published: a web server on loopback that answers as it is told, and documents that `xmlsec1` signs.

use crate::harness::idp::Idp;
use crate::harness::keys::Pair;
use crate::harness::process::{run, text};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A web server. What is not published is not found.
pub struct Place {
    pub port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    pages: HashMap<String, (u16, String)>,
    asked: Vec<String>,
    not_modified: usize,
}

impl Place {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self { port, state, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From now on.
    pub fn publish(&self, path: &str, document: &str) {
        self.state.lock().unwrap().pages.insert(path.to_owned(), (200, document.to_owned()));
    }

    /// From now on the path answers with this status.
    pub fn break_down(&self, path: &str, status: u16) {
        self.state.lock().unwrap().pages.insert(path.to_owned(), (status, String::new()));
    }

    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// How often it was enough to say that nothing has changed.
    pub fn not_modified(&self) -> usize {
        self.state.lock().unwrap().not_modified
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let reply = {
        let mut state = state.lock().unwrap();
        state.asked.push(path.clone());
        let (status, body) = state.pages.get(&path).cloned().unwrap_or((404, String::new()));
        let etag = format!("\"{:x}\"", openssl::sha::sha256(body.as_bytes()).iter().fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte)));
        let known = head.lines().any(|line| line.to_ascii_lowercase().starts_with("if-none-match") && line.contains(&etag));
        let (status, body) = if status == 200 && known {
            state.not_modified += 1;
            (304, String::new())
        } else {
            (status, body)
        };
        format!("HTTP/1.1 {status} So\r\nETag: {etag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// One identity provider as metadata describe it.
pub struct Described<'a> {
    pub entity_id: &'a str,
    pub sso_url: &'a str,
    /// In the form of `ds:X509Certificate`.
    pub certificates: Vec<String>,
    pub name: &'a str,
    pub scope: &'a str,
    pub hidden: bool,
    /// More endpoints, before that for single sign-on.
    pub services: String,
}

impl<'a> Described<'a> {
    pub fn of(idp: &'a Idp) -> Self {
        let certificates = vec![bare(&idp.certificate_pem())];
        Self {
            entity_id: &idp.entity_id,
            sso_url: &idp.sso_url,
            certificates,
            name: &idp.name,
            scope: "acme.example",
            hidden: false,
            services: String::new(),
        }
    }

    /// `attributes` of the EntityDescriptor.
    pub fn xml(&self, attributes: &str) -> String {
        let Self { entity_id, sso_url, name, scope, services, .. } = self;
        let category = r#"<mdattr:EntityAttributes xmlns:mdattr="urn:oasis:names:tc:SAML:metadata:attribute"><saml:Attribute xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Name="http://macedir.org/entity-category" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri"><saml:AttributeValue>http://refeds.org/category/hide-from-discovery</saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes>"#;
        let category = if self.hidden { category } else { "" };
        let keys: String = self
            .certificates
            .iter()
            .map(|certificate| format!("<md:KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"))
            .collect();
        format!(
            r#"<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" {attributes} entityID="{entity_id}"><md:Extensions>{category}<shibmd:Scope xmlns:shibmd="urn:mace:shibboleth:metadata:1.0" regexp="false">{scope}</shibmd:Scope></md:Extensions><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:Extensions><mdui:UIInfo xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui"><mdui:DisplayName xml:lang="en">{name}</mdui:DisplayName></mdui:UIInfo></md:Extensions>{keys}{services}<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{sso_url}"/></md:IDPSSODescriptor></md:EntityDescriptor>"#
        )
    }
}

/// A federation that signs what it publishes.
pub struct Registrar(pub Pair);

impl Registrar {
    pub fn new() -> Self {
        Self(Pair::rsa("registrar"))
    }

    pub fn aggregate(&self, valid_until: &str, members: &[Described<'_>]) -> String {
        let inside: String = members.iter().map(|member| member.xml("")).collect();
        let signature = signature("_all");
        self.sign(&format!(
            r#"<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_all" validUntil="{valid_until}">{signature}{inside}</md:EntitiesDescriptor>"#
        ))
    }

    pub fn alone(&self, valid_until: &str, member: &Described<'_>) -> String {
        let xml = member.xml(&format!(r#"ID="_one" validUntil="{valid_until}""#));
        self.sign(&xml.replacen("<md:Extensions>", &format!("{}<md:Extensions>", signature("_one")), 1))
    }

    fn sign(&self, xml: &str) -> String {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str| place.path().join(name);
        std::fs::write(file("key.pem"), self.0.key_pem()).unwrap();
        std::fs::write(file("template.xml"), xml).unwrap();
        let (key, output, template) = (file("key.pem"), file("signed.xml"), file("template.xml"));
        let mut arguments = vec!["--sign", "--privkey-pem", text(&key), "--output", text(&output)];
        for root in ["EntitiesDescriptor", "EntityDescriptor"] {
            arguments.push("--id-attr:ID");
            arguments.push(match root {
                "EntitiesDescriptor" => "urn:oasis:names:tc:SAML:2.0:metadata:EntitiesDescriptor",
                _ => "urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor",
            });
        }
        arguments.push(text(&template));
        run("xmlsec1", &arguments, "xmlsec1");
        std::fs::read_to_string(output).unwrap()
    }
}

fn signature(id: &str) -> String {
    format!(
        r##"<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><ds:Reference URI="#{id}"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>"##
    )
}

/// Without the lines around it.
pub fn bare(certificate_pem: &str) -> String {
    certificate_pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// As `validUntil` has it.
pub fn in_seconds(seconds: i64) -> String {
    use time::format_description::well_known::Rfc3339;
    (crate::harness::idp::now() + time::Duration::seconds(seconds)).format(&Rfc3339).unwrap()
}
