//! Questions to partners in SOAP, without the browser: one at a time, bounded in size and time, to addresses that metadata or
//! an operator has named. Metadata are somebody else's words: they lead to no machine that may not be asked.

use super::download::{INSIDE, Reach};
use super::why;
use crate::error::{Error, ErrorKind, Result};
use crate::saml::soap::{ACTION, CONTENT_TYPE as MEDIA_TYPE, SOAP_LIMIT};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use reqwest::{Client, Response, StatusCode};
use std::sync::OnceLock;
use std::time::Duration;
use url::Url;

/// How long a partner may take.
const CONNECT: Duration = Duration::from_secs(3);
const TOTAL: Duration = Duration::from_secs(10);

/// Posts an envelope and reads the one that comes back: 3 seconds to connect, 10 in all.
///
/// # Errors
/// Why there is none, without what was sent. A client that cannot be made is [`crate::error::ErrorKind::Internal`].
pub async fn ask(url: &Url, envelope: String, reach: Reach) -> Result<Result<String, String>> {
    if !reach.allows_literal(url) {
        return Ok(Err(INSIDE.to_owned()));
    }
    let request = soap_client(reach)?.post(url.clone()).header(CONTENT_TYPE, MEDIA_TYPE).header(ACCEPT, "text/xml");
    let request = request.header(HeaderName::from_static("soapaction"), ACTION).body(envelope);
    Ok(match request.send().await {
        Ok(answer) => read(answer).await,
        Err(error) => Err(why(error)),
    })
}

async fn read(mut answer: Response) -> Result<String, String> {
    // SOAP 1.1 6.2: a fault comes with 500, and its text says more than the number.
    let status = answer.status();
    if status != StatusCode::OK && status != StatusCode::INTERNAL_SERVER_ERROR {
        return Err(format!("it answers with status {}", status.as_u16()));
    }
    let too_large = || format!("its answer has more than {SOAP_LIMIT} bytes");
    if answer.content_length().is_some_and(|length| length > SOAP_LIMIT as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(why)? {
        if body.len() + chunk.len() > SOAP_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| "its answer is not UTF-8".to_owned())
}

/// Made once for each reach: it keeps its connections.
fn soap_client(reach: Reach) -> Result<&'static Client> {
    static CLIENTS: [OnceLock<Client>; 3] = [const { OnceLock::new() }; 3];
    let [public, network, everything] = &CLIENTS;
    let place = match reach {
        Reach::Public => public,
        Reach::Network => network,
        Reach::Everything => everything,
    };
    if let Some(client) = place.get() {
        return Ok(client);
    }
    let made = reach.client().connect_timeout(CONNECT).timeout(TOTAL).build();
    let made = made.map_err(|error| Error::new(ErrorKind::Internal, "an HTTP client cannot be made").because(error))?;
    Ok(place.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Somebody who answers every connection with this, and then with more of the same, and never ends.
    async fn partner(answer: &'static str, endless: bool) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = Url::parse(&format!("http://{}/artifact", listener.local_addr().expect("an address"))).expect("a URL");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = vec![0; 4096];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                while endless && stream.write_all(&[b'x'; 8192]).await.is_ok() {}
            }
        });
        url
    }

    async fn asked(answer: &'static str, endless: bool) -> Result<String, String> {
        ask(&partner(answer, endless).await, "<x/>".to_owned(), Reach::Everything).await.expect("a client")
    }

    #[tokio::test]
    async fn metadata_lead_to_no_machine_of_our_own() {
        let mut url = partner("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<y/>", false).await;
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            url.set_host(Some(host)).expect("a host");
            for reach in [Reach::Public, Reach::Network] {
                let said = ask(&url, "<x/>".to_owned(), reach).await.expect("a client");
                assert!(said.is_err_and(|why| why.contains(INSIDE)), "{host} {reach:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_answer_or_a_fault_is_read() {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<y/>";
        assert_eq!(asked(ok, false).await, Ok("<y/>".to_owned()));
        let fault = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<f/>";
        assert_eq!(asked(fault, false).await, Ok("<f/>".to_owned()));
    }

    #[tokio::test]
    async fn a_partner_cannot_send_without_end_nor_elsewhere() {
        let announced = "HTTP/1.1 200 OK\r\ncontent-length: 900000000\r\n\r\n";
        assert!(asked(announced, true).await.is_err_and(|why| why.contains("more than")));
        assert!(asked(announced, false).await.is_err_and(|why| why.contains("more than")), "nothing of it has come");
        assert!(asked("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", true).await.is_err_and(|why| why.contains("more than")));
        let away = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        assert_eq!(asked(away, false).await, Err("it answers with status 302".to_owned()));
        let denied = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        assert_eq!(asked(denied, false).await, Err("it answers with status 403".to_owned()));
    }

    #[tokio::test]
    async fn a_partner_that_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = Url::parse(&format!("http://{}/", listener.local_addr().expect("an address"))).expect("a URL");
        let answer =
            tokio::time::timeout(Duration::from_secs(15), ask(&url, "<x/>".to_owned(), Reach::Everything)).await.expect("given up in time");
        assert_eq!(answer.expect("a client"), Err("it does not answer in time".to_owned()));
    }
}
