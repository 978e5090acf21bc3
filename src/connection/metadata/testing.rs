//! Little federations, and a web server that does what it is told.

use crate::clock::Timestamp;
use crate::keys::{CertifiedKey, KeyKind, PrivateKey};
use crate::saml::aggregate::{Aggregate, Terms, Trust};
use crate::saml::signature::{Signer, sign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

fn key() -> CertifiedKey {
    CertifiedKey::self_signed(PrivateKey::generate(KeyKind::EcP256).expect("a key"), "test").expect("a certificate")
}

pub static FEDERATION: LazyLock<CertifiedKey> = LazyLock::new(key);
pub static ONE: LazyLock<CertifiedKey> = LazyLock::new(key);
pub static TWO: LazyLock<CertifiedKey> = LazyLock::new(key);

pub fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T02:42:00Z").expect("a date")
}

pub fn terms() -> Terms {
    Terms::new(Trust::new(std::slice::from_ref(FEDERATION.certificate()), false).expect("usable"))
}

/// An identity provider: its name, the host of its endpoints, its certificate, its scope.
#[derive(Clone, Copy)]
pub struct Idp<'a>(pub &'a str, pub &'a str, pub &'a CertifiedKey, pub &'a str);

impl Idp<'_> {
    pub fn xml(&self, attributes: &str) -> String {
        let Self(name, host, key, scope) = self;
        let certificate = STANDARD.encode(key.certificate_der());
        format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" \
             xmlns:shibmd=\"urn:mace:shibboleth:metadata:1.0\" {attributes} entityID=\"https://{name}/idp\"><md:Extensions>\
             <shibmd:Scope>{scope}</shibmd:Scope></md:Extensions><md:IDPSSODescriptor \
             protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor><ds:KeyInfo><ds:X509Data>\
             <ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\
             <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://{host}/sso\"/>\
             </md:IDPSSODescriptor></md:EntityDescriptor>"
        )
    }
}

/// The metadata of a federation, signed.
pub fn group(valid_until: &str, cache: &str, idps: &[Idp<'_>]) -> String {
    let inside: String = idps.iter().map(|idp| idp.xml("")).collect();
    let xml = format!(
        "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"_g\" validUntil=\"{valid_until}\" \
         cacheDuration=\"{cache}\">{inside}</md:EntitiesDescriptor>"
    );
    sign(&xml, Signer::new(&FEDERATION)).expect("signed")
}

/// One entity, signed.
pub fn alone(valid_until: &str, idp: Idp<'_>) -> String {
    sign(&idp.xml(&format!("ID=\"_e\" validUntil=\"{valid_until}\"")), Signer::new(&FEDERATION)).expect("signed")
}

pub fn read(xml: &str) -> Arc<Aggregate> {
    Arc::new(Aggregate::read(xml.as_bytes(), &terms(), now()).expect("read"))
}

/// What the server does next.
#[derive(Clone)]
pub enum Reply {
    /// Head lines after the status line, each ended, and the body.
    With(&'static str, String, String),
    /// Begins, and never ends.
    Endless,
    /// Begins, and stops.
    Stuck,
    /// Breaks off in the middle of this body.
    Broken(String),
}

pub fn ok(headers: &str, body: &str) -> Reply {
    Reply::With("200 OK", headers.to_owned(), body.to_owned())
}

pub fn status(status: &'static str) -> Reply {
    Reply::With(status, String::new(), String::new())
}

/// A web server with a list of replies; the last one is repeated. It remembers what it was asked.
pub struct Server {
    pub address: String,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let replies = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (given, heard) = (Arc::clone(&replies), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (given, heard) = (Arc::clone(&given), Arc::clone(&heard));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    let mut buffer = [0; 4096];
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        match stream.read(&mut buffer).await {
                            Ok(0) | Err(_) => return,
                            Ok(length) => head.extend_from_slice(&buffer[..length]),
                        }
                    }
                    heard.lock().expect("a lock").push(String::from_utf8_lossy(&head).into_owned());
                    let reply = {
                        let mut given = given.lock().expect("a lock");
                        if given.len() > 1 { given.pop_front() } else { given.front().cloned() }
                    };
                    drop(answer(&mut stream, reply.expect("a reply")).await);
                });
            }
        });
        Self { address, replies, asked }
    }

    /// From now on.
    pub fn set(&self, reply: Reply) {
        *self.replies.lock().expect("a lock") = VecDeque::from([reply]);
    }

    /// Heads of the requests so far, lower case.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a lock").iter().map(|head| head.to_ascii_lowercase()).collect()
    }

    pub fn asked_paths(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("a lock");
        asked.iter().filter_map(|head| head.split(' ').nth(1).map(str::to_owned)).collect()
    }
}

async fn answer(stream: &mut tokio::net::TcpStream, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::With(status, headers, body) => {
            let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Reply::Broken(body) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len() * 2);
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Reply::Stuck => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<").await?;
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await?;
            loop {
                stream.write_all(&[b' '; 8192]).await?;
            }
        }
    }
}
