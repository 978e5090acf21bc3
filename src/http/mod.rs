//! HTTP: the only home of actix-web and askama. Handlers translate and decide nothing.

pub mod body;
mod caller;
pub mod cookies;
mod dbconnections;
pub mod headers;
pub mod health;
pub mod idp;
pub mod limit;
pub mod login;
pub mod logout;
pub mod look;
pub mod management;
pub mod metrics;
mod multipart;
pub mod op;
pub mod pages;
pub mod possession;
pub mod practice;
pub mod reply;
pub mod routes;
mod saml_form;
mod soap_reply;
mod sources;
pub mod state;
pub mod traces;
pub mod upstream;
pub mod words;
