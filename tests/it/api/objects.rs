//! Connections, clients, client grants and resource servers: each operation and each rule.

mod clients;
mod connections;
mod living;
mod servers;
