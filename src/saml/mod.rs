//! SAML 2.0 without I/O.
