//! A mail server that takes everything and keeps it: RFC 5321 as far as a client needs it, plain or with STARTTLS.

use super::eventually;
use super::keys::Pair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A message that came.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: Vec<String>,
    pub headers: String,
    /// Decoded.
    pub text: String,
    /// By TLS.
    pub sealed: bool,
}

impl Mail {
    /// The address of ours in it.
    pub fn link(&self) -> String {
        let link = self.text.split_whitespace().find(|word| word.starts_with("http"));
        link.unwrap_or_else(|| panic!("no link in {}", self.text)).to_owned()
    }
}

/// Listens on loopback until the test ends.
pub struct Smtp {
    pub port: u16,
    pub pair: Pair,
    mails: Arc<Mutex<Vec<Mail>>>,
    /// Answers for so many messages that they may come again.
    pub fails: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
}

impl Smtp {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pair = Pair::rsa("mail");
        let (mails, fails, down) = (Arc::<Mutex<Vec<Mail>>>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let acceptor = acceptor(&pair);
        let world = World { mails: Arc::clone(&mails), fails: Arc::clone(&fails), acceptor: Arc::new(acceptor) };
        let stop = Arc::clone(&down);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let world = world.clone();
                thread::spawn(move || drop(world.serve(stream)));
            }
        });
        Self { port, pair, mails, fails, down }
    }

    /// `[mail]` for it.
    pub fn toml(&self) -> String {
        format!("[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"Acme <login@acme.example>\"\n", self.port)
    }

    /// With STARTTLS and an account; `authority` is a file beside the configuration.
    pub fn toml_by_tls(&self, authority: &str) -> String {
        format!(
            "[mail]\nhost = \"127.0.0.1\"\nport = {}\nca_file = \"{authority}\"\nusername = \"isthmus\"\npassword = \"mail-secret\"\nfrom = \"login@acme.example\"\n",
            self.port
        )
    }

    /// All that came to an address, the newest last.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        self.mails.lock().unwrap().iter().filter(|mail| mail.to.iter().any(|to| to.eq_ignore_ascii_case(address))).cloned().collect()
    }

    /// The message of this number to an address, counted from one.
    pub async fn wait_for(&self, address: &str, number: usize) -> Mail {
        eventually(&format!("mail {number} to {address}"), async || self.to(address).get(number - 1).cloned()).await
    }

    pub fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.down.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn acceptor(pair: &Pair) -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    builder.set_private_key(&pair.key).unwrap();
    builder.set_certificate(&pair.certificate).unwrap();
    builder.build()
}

#[derive(Clone)]
struct World {
    mails: Arc<Mutex<Vec<Mail>>>,
    fails: Arc<AtomicUsize>,
    acceptor: Arc<SslAcceptor>,
}

impl World {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.write_all(b"220 mail.test ESMTP\r\n")?;
        if self.talk(&mut stream, false)? {
            let mut sealed: SslStream<TcpStream> = self.acceptor.accept(stream).map_err(|_| io::ErrorKind::InvalidData)?;
            self.talk(&mut sealed, true)?;
        }
        Ok(())
    }

    /// True: TLS begins now.
    fn talk<S: Read + Write>(&self, stream: &mut S, sealed: bool) -> io::Result<bool> {
        let mut to = Vec::new();
        loop {
            let line = line(stream)?;
            let upper = line.to_ascii_uppercase();
            let answer = match upper.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" if sealed => "250-mail.test\r\n250 AUTH PLAIN\r\n",
                "EHLO" => "250-mail.test\r\n250 STARTTLS\r\n",
                "STARTTLS" if !sealed => {
                    stream.write_all(b"220 go\r\n")?;
                    return Ok(true);
                }
                "AUTH" if line == format!("AUTH PLAIN {}", STANDARD.encode("\0isthmus\0mail-secret")) => "235 yes\r\n",
                "AUTH" => "535 no\r\n",
                "RCPT" => {
                    to.push(line.split(['<', '>']).nth(1).unwrap_or_default().to_owned());
                    "250 ok\r\n"
                }
                "DATA" => {
                    stream.write_all(b"354 go\r\n")?;
                    let raw = data(stream)?;
                    if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                        "451 later\r\n"
                    } else {
                        self.mails.lock().unwrap().push(mail(&std::mem::take(&mut to), &raw, sealed));
                        "250 ok\r\n"
                    }
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n")?;
                    return Ok(false);
                }
                "MAIL" | "RSET" | "NOOP" => "250 ok\r\n",
                _ => "500 what\r\n",
            };
            stream.write_all(answer.as_bytes())?;
        }
    }
}

fn line<S: Read>(stream: &mut S) -> io::Result<String> {
    let mut text = Vec::new();
    let mut octet = [0];
    loop {
        stream.read_exact(&mut octet)?;
        match octet[0] {
            b'\n' => return Ok(String::from_utf8_lossy(&text).trim_end().to_owned()),
            other => text.push(other),
        }
    }
}

fn data<S: Read>(stream: &mut S) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let line = line(stream)?;
        if line == "." {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
}

fn mail(to: &[String], raw: &str, sealed: bool) -> Mail {
    let (headers, body) = raw.split_once("\n\n").unwrap_or((raw, ""));
    let lower = headers.to_ascii_lowercase();
    let text = if lower.contains("content-transfer-encoding: base64") {
        let joined: String = body.split_whitespace().collect();
        String::from_utf8(STANDARD.decode(joined).unwrap()).unwrap()
    } else if lower.contains("content-transfer-encoding: quoted-printable") {
        quoted_printable(body)
    } else {
        body.to_owned()
    };
    Mail { to: to.to_vec(), headers: headers.to_owned(), text, sealed }
}

/// RFC 2045 6.7.
fn quoted_printable(body: &str) -> String {
    let mut octets = Vec::new();
    for line in BufReader::new(body.as_bytes()).lines().map_while(Result::ok) {
        let (line, ends) = line.strip_suffix('=').map_or((line.as_str(), true), |line| (line, false));
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('=') {
            octets.extend_from_slice(before.as_bytes());
            let (hex, after) = after.split_at(2);
            octets.push(u8::from_str_radix(hex, 16).unwrap());
            rest = after;
        }
        octets.extend_from_slice(rest.as_bytes());
        if ends {
            octets.push(b'\n');
        }
    }
    String::from_utf8(octets).unwrap()
}
