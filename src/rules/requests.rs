//! `fetch`: which requests scripts may make, and the threads on which they are made.

use super::{Fetch, FetchAnswer, FetchRequest};
use serde_json::{Value, json};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use url::{Host, Url};

/// Requests of one run of scripts.
pub(super) const MAX_REQUESTS: usize = 10;
/// Octets of an answer's body.
const MAX_ANSWER: usize = 1024 * 1024;
/// Octets of an address, and of all headers.
const MAX_URL: usize = 4096;
const MAX_HEADERS: usize = 16 * 1024;
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Headers that belong to the connection.
const NOT_THEIRS: [&str; 7] = ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"];

/// Makes requests on a thread of its own, which starts with the first of them: the threads that run scripts only wait.
pub(super) struct Requests {
    fetch: Arc<dyn Fetch>,
    runtime: OnceLock<Option<Runtime>>,
}

impl Requests {
    pub(super) fn new(fetch: Arc<dyn Fetch>) -> Self {
        Self { fetch, runtime: OnceLock::new() }
    }

    /// Begins a request; its answer, or the error's text, goes to `answers` with `number`.
    pub(super) fn begin(&self, request: FetchRequest, number: u32, answers: Sender<(u32, Value)>) -> Result<(), String> {
        let start = || Builder::new_multi_thread().worker_threads(1).thread_name("rules-fetch").enable_all().build().ok();
        let runtime = self.runtime.get_or_init(start).as_ref().ok_or("fetch is not possible now")?;
        let (fetch, time) = (Arc::clone(&self.fetch), Duration::from_millis(request.time));
        runtime.spawn(async move {
            let answer = match tokio::time::timeout(time, fetch.fetch(request)).await {
                Ok(Ok(answer)) => read(answer),
                Ok(Err(error)) => format!("fetch failed: {}", error.detail).into(),
                Err(_) => "fetch failed: the time is over".into(),
            };
            // Who asked may be gone.
            drop(answers.send((number, answer)));
        });
        Ok(())
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        // Whoever drops the host may be on a reactor's thread, which must not wait.
        if let Some(Some(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Reads the arguments of `fetch`: address, method, headers, body.
pub(super) fn request(arguments: &[Value], hosts: &[String], time: u64) -> Result<FetchRequest, String> {
    let text = |at: usize| arguments.get(at).and_then(Value::as_str);
    let url = text(0).filter(|url| url.len() <= MAX_URL).ok_or("fetch needs an address")?;
    let url = allowed(url, hosts)?;
    let method = text(1).unwrap_or("GET").to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return Err(format!("fetch makes no {} request", method.chars().take(20).collect::<String>()));
    }
    let mut headers = Vec::new();
    for pair in arguments.get(2).and_then(Value::as_array).into_iter().flatten() {
        let (Some(name), Some(value)) = (pair.get(0).and_then(Value::as_str), pair.get(1).and_then(Value::as_str)) else {
            return Err("a header is a name and a text".to_owned());
        };
        headers.push(header(name, value)?);
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_HEADERS {
        return Err(format!("the headers are longer than {MAX_HEADERS} octets"));
    }
    Ok(FetchRequest { method, url, headers, body: text(3).map(str::to_owned), time, hosts: hosts.to_vec() })
}

/// Only what the operator listed, and only by TLS unless it is this machine.
fn allowed(text: &str, hosts: &[String]) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| "fetch needs an absolute address")?;
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address of fetch must not contain a name or password".to_owned());
    }
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err("fetch asks by https only".to_owned());
    }
    if !hosts.contains(&host) {
        return Err(format!("{host} is not among the hosts that this script may ask"));
    }
    Ok(url.into())
}

fn header(name: &str, value: &str) -> Result<(String, String), String> {
    let name = name.to_ascii_lowercase();
    let token = !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c));
    let plain = value.bytes().all(|c| c == b'\t' || (b' '..=b'~').contains(&c));
    if !token || !plain || NOT_THEIRS.contains(&name.as_str()) {
        return Err(format!("the header {} cannot be sent", name.chars().take(50).filter(char::is_ascii_graphic).collect::<String>()));
    }
    Ok((name, value.to_owned()))
}

fn read(answer: FetchAnswer) -> Value {
    if answer.body.len() > MAX_ANSWER {
        return format!("fetch failed: the answer is longer than {MAX_ANSWER} octets").into();
    }
    json!({ "status": answer.status, "headers": answer.headers, "body": answer.body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_hosts_by_tls_can_be_asked() {
        let hosts = ["api.acme.example".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        for good in ["https://api.acme.example/x?y=1", "https://API.acme.example:8443/", "http://127.0.0.1:1234/", "http://[::1]/"] {
            assert!(allowed(good, &hosts).is_ok(), "{good}");
        }
        for bad in [
            "http://api.acme.example/",
            "https://evil.example/",
            "https://api.acme.example.evil.example/",
            "https://api.acme.example@evil.example/",
            "https://jane:pw@api.acme.example/",
            "http://2130706434/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "/relative",
            "http://localhost/",
        ] {
            assert!(allowed(bad, &hosts).is_err(), "{bad}");
        }
        // The URL standard reads this as 127.0.0.1, which is listed.
        assert_eq!(allowed("http://0x7f.1/", &hosts).as_deref(), Ok("http://127.0.0.1/"));
        assert!(allowed("http://0x7f.1/", &hosts[..1]).is_err());
    }

    #[test]
    fn headers_cannot_split_a_request_nor_name_its_host() {
        for (name, value) in [("host", "evil.example"), ("x", "a\r\nb: c"), ("x y", "1"), ("", "1"), ("Transfer-Encoding", "chunked")] {
            assert!(header(name, value).is_err(), "{name}");
        }
        assert_eq!(header("X-Key", "abc"), Ok(("x-key".to_owned(), "abc".to_owned())));
    }
}
