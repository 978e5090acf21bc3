//! Logins of applications that speak SAML: the gateway as their identity provider. Requests are made and answers are judged
//! by programs that are not ours: xmlsec1, xmllint with the schemas of OASIS, pysaml2, node-saml.

mod answers;
mod attacks;
mod demo;
pub mod judge;
mod living;
mod mirror;
mod peers;
mod requests;
mod rules;
pub mod sp;
mod traces;
