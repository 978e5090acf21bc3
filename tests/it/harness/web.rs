//! A tiny web server for real browsers: each path has a function that makes a page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The request line and the headers.
    pub head: String,
    pub body: String,
}

impl Asked {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Parameters of the query and of the form.
    pub fn parameters(&self) -> HashMap<String, String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = |text: &str| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect::<Vec<_>>();
        pairs(query).into_iter().chain(pairs(&self.body)).collect()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub location: Option<String>,
    pub body: String,
}

impl Reply {
    pub const fn page(body: String) -> Self {
        Self { status: 200, content_type: "text/html; charset=utf-8", location: None, body }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::page(String::new()) }
    }

    pub fn redirect(location: &str) -> Self {
        Self { location: Some(location.to_owned()), ..Self::status(303) }
    }
}

type Page = dyn Fn(&Asked) -> Reply + Send + Sync;

/// Listens on loopback until dropped.
pub struct Site {
    pub port: u16,
    seen: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Site {
    /// `page` makes the HTML of every answer.
    pub async fn start(page: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        Self::answering(0, move |asked| Reply::page(page(asked))).await
    }

    /// `page` makes whole answers, at this port of loopback; 0 for a free one.
    pub async fn answering(port: u16, page: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (page, log): (Arc<Page>, _) = (Arc::new(page), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(answer(stream, Arc::clone(&page), Arc::clone(&log)));
            }
        });
        Self { port, seen, task }
    }

    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request per connection.
async fn answer(mut stream: TcpStream, page: Arc<Page>, seen: Arc<Mutex<Vec<Asked>>>) {
    let Some(asked) = read(&mut stream).await else { return };
    seen.lock().unwrap().push(asked.clone());
    let reply = tokio::task::spawn_blocking(move || page(&asked)).await;
    let Reply { status, content_type, location, body } = reply.unwrap_or_else(|error| Reply::page(format!("the page panicked: {error}")));
    let location = location.map(|location| format!("location: {location}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} As asked\r\n{location}content-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let _ = stream.write_all((head + &body).as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0);
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let (method, target) = {
        let mut words = head.lines().next()?.split(' ');
        (words.next()?.to_owned(), words.next()?.to_owned())
    };
    Some(Asked { method, target, head, body: String::from_utf8_lossy(&bytes[head_end..]).into_owned() })
}
