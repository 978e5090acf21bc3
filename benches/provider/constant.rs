//! A server of the same framework with one route, which returns a constant: what nothing but HTTP costs.

use crate::http::Connection;
use crate::test_servers::free_port;
use actix_web::{App, HttpResponse, HttpServer, web};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The argument that makes this program the server.
const ARGUMENT: &str = "--serve-a-constant";

/// A running one; killed when dropped.
pub struct Constant {
    child: Child,
    address: SocketAddr,
}

impl Constant {
    /// `octets`: of the body.
    pub fn start(octets: usize) -> Result<Self, String> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let arguments = [ARGUMENT.to_owned(), address.to_string(), octets.to_string()];
        let child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        let (constant, begin) = (Self { child, address }, Instant::now());
        while Connection::open(address).is_err() {
            if begin.elapsed() > Duration::from_secs(10) {
                return Err("the server of a constant does not answer".to_owned());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(constant)
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub fn visitor(&self) -> Result<Connection, String> {
        Connection::open(self.address).map_err(|error| error.to_string())
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        // The answer does not matter: it is gone either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves, if that is what this process was started for.
pub fn serve_if_asked() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, argument, address, octets] = arguments.as_slice() else { return None };
    if argument != ARGUMENT {
        return None;
    }
    let body = vec![b'x'; octets.parse().ok()?];
    let served = actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(move || {
            let body = web::Bytes::from(body.clone());
            let constant = move || {
                let body = body.clone();
                async move { HttpResponse::Ok().content_type("application/json").body(body) }
            };
            App::new().route("/", web::get().to(constant))
        });
        server.bind(address)?.run().await
    });
    Some(if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
