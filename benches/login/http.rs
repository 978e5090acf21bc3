//! As much HTTP as a load generator needs: one connection that stays open, and no cost worth mentioning.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Nothing may take longer; a gateway that hangs must not hang the bench.
const LIMIT: Duration = Duration::from_secs(20);

/// A connection to the gateway.
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

/// What came back.
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The values of a header; `name` in lower case.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Result<&str, String> {
        self.headers(name).next().ok_or_else(|| format!("status {} without {name}: {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// This answer, if it has the expected status.
    pub fn expect(self, status: u16) -> Result<Self, String> {
        if self.status == status { Ok(self) } else { Err(format!("status {} instead of {status}: {}", self.status, self.text())) }
    }
}

impl Connection {
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_string() })
    }

    pub fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> Result<Response, String> {
        self.send("GET", target, headers, "")
    }

    pub fn post(&mut self, target: &str, headers: &[(&str, &str)], form: &str) -> Result<Response, String> {
        self.send("POST", target, headers, form)
    }

    fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], form: &str) -> Result<Response, String> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        if method == "POST" {
            request.push_str(&format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", form.len()));
        }
        request.extend(["\r\n", form]);
        self.stream.get_mut().write_all(request.as_bytes()).map_err(|error| format!("{target}: {error}"))?;
        self.receive().map_err(|error| format!("{target}: {error}"))
    }

    fn receive(&mut self) -> std::io::Result<Response> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no status line but {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Response { status, headers, body })
    }
}
