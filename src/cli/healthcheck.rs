//! `isthmus healthcheck`: for a container's HEALTHCHECK.

use super::{complain, print};
use clap::Args;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// Address of the operations listener.
    #[arg(long, default_value = "127.0.0.1:8401")]
    address: String,
}

pub fn run(options: &Options) -> ExitCode {
    match ask(&options.address) {
        Ok(status) if status.contains(" 200 ") => {
            print("ready");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            complain(&format!("not ready: {}", status.trim()));
            ExitCode::from(1)
        }
        Err(error) => {
            complain(&format!("{} does not answer: {error}", options.address));
            ExitCode::from(1)
        }
    }
}

/// The status line of `/health/ready`.
fn ask(address: &str) -> std::io::Result<String> {
    let limit = Duration::from_secs(3);
    let target = address.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("no such address"))?;
    let mut stream = TcpStream::connect_timeout(&target, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(16 * 1024).read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
