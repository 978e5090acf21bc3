//! The endpoints that identity providers' answers reach.

pub mod acs;
pub mod backchannel;
pub mod callback;
pub mod metadata;
pub mod slo;
