//! Every path on one page.

use super::{headers, health, login, op, traces, upstream};
use actix_web::web::{self, ServiceConfig, get, post};

/// The public listener.
pub fn public(config: &mut ServiceConfig) {
    config
        // applications: OpenID Connect
        .route("/authorize", get().to(op::authorize::get))
        .route("/authorize", post().to(op::authorize::post))
        .route("/oauth/token", post().to(op::token::post))
        .route("/userinfo", get().to(op::userinfo::get))
        .route("/userinfo", post().to(op::userinfo::post))
        .route("/.well-known/openid-configuration", get().to(op::metadata::discovery))
        .route("/.well-known/oauth-authorization-server", get().to(op::metadata::discovery))
        .route("/.well-known/jwks.json", get().to(op::metadata::jwks))
        .route("/oidc/logout", get().to(op::logout::get))
        .route("/oidc/logout", post().to(op::logout::post))
        .route("/oidc/logout/confirm", post().to(op::logout::confirm))
        // identity providers: SAML
        .route("/connections/{name}/acs", post().to(upstream::acs::by_path))
        .route("/login/callback", post().to(upstream::acs::by_query))
        .route("/connections/{name}/metadata", get().to(upstream::metadata::by_path))
        .route("/samlp/metadata", get().to(upstream::metadata::by_query))
        // people
        .route("/", get().to(login::home))
        .route("/login", get().to(login::chooser))
        .route("/login", post().to(login::choose))
        .route("/logged-out", get().to(login::logged_out))
        .route("/assets/page.css", get().to(login::style))
        .default_service(web::to(headers::nothing_here));
}

/// The operations listener: machines and operators, not the public.
pub fn operations(config: &mut ServiceConfig) {
    config
        .route("/health/live", get().to(health::live))
        .route("/health/ready", get().to(health::ready))
        .route("/metrics", get().to(health::metrics))
        .route("/traces/{correlation_id}", get().to(traces::show))
        .route("/assets/page.css", get().to(login::style))
        .default_service(web::to(headers::nothing_here));
}
