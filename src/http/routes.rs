//! Every path on one page.

use super::login::account::{RESET, SIGN_UP};
use super::{dbconnections, headers, health, idp, login, logout, management, op, sources, traces, upstream};
use crate::broker::factor;
use crate::connection::password::PAGE;
use actix_web::Route;
use actix_web::guard::{Any, Get, GuardContext, Head, fn_guard};
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig, delete, method, post, put};

/// The public listener.
pub fn public(config: &mut ServiceConfig) {
    config
        // applications: OpenID Connect
        .route("/authorize", get().to(op::authorize::get))
        .route("/authorize", post().to(op::authorize::post))
        .route("/oauth/par", post().to(op::par::post))
        .route("/oauth/par", method(Method::OPTIONS).to(op::preflight))
        .route("/oauth/token", post().to(op::token::post))
        .route("/oauth/token", method(Method::OPTIONS).to(op::preflight))
        .route("/oauth/device/code", post().to(op::device::post))
        .route("/oauth/device/code", method(Method::OPTIONS).to(op::preflight))
        .route("/oauth/revoke", post().to(op::revoke::post))
        .route("/oauth/revoke", method(Method::OPTIONS).to(op::preflight))
        .route("/oauth/introspect", post().to(op::introspect::post))
        .route("/userinfo", get().to(op::userinfo::get))
        .route("/userinfo", post().to(op::userinfo::post))
        .route("/userinfo", method(Method::OPTIONS).to(op::preflight))
        .route("/tokeninfo", get().to(op::tokeninfo::get))
        .route("/tokeninfo", post().to(op::tokeninfo::post))
        .route("/tokeninfo", method(Method::OPTIONS).to(op::preflight))
        .route("/.well-known/openid-configuration", get().to(op::metadata::discovery))
        .route("/.well-known/oauth-authorization-server", get().to(op::metadata::discovery))
        .route("/.well-known/jwks.json", get().to(op::metadata::jwks))
        .route("/start", get().to(op::start::get))
        .route("/oidc/register", post().to(op::register::post))
        .route("/oidc/register/{client_id}", get().to(op::register::get))
        .route("/oidc/register/{client_id}", put().to(op::register::put))
        .route("/oidc/register/{client_id}", delete().to(op::register::delete))
        .route("/oidc/logout", get().to(op::logout::get))
        .route("/oidc/logout", post().to(op::logout::post))
        .route("/oidc/logout/confirm", post().to(op::logout::confirm))
        .route("/v2/logout", get().to(op::logout::v2))
        .route("/oidc/session", get().to(op::session::get))
        // applications: SAML
        .route("/saml/sso", get().to(idp::sso::shared_get))
        .route("/saml/sso", post().to(idp::sso::shared_post))
        .route("/saml/slo", get().to(idp::slo::shared_get))
        .route("/saml/slo", post().to(idp::slo::shared_post))
        .route("/saml/artifact", post().to(idp::artifact::shared))
        // Every login comes by here. Paths are tried in this order, and those with a parameter take long: this is the first.
        .route("/connections/{name}/acs", post().to(upstream::acs::by_path))
        .route("/connections/{name}/acs", web::get().guard(fn_guard(carries_artifact)).to(upstream::acs::artifact_by_path))
        .route("/samlp/{client_id}/artifact", post().to(idp::artifact::of_application))
        .route("/saml/metadata", get().to(idp::metadata::shared))
        .route("/samlp/metadata", get().to(upstream::metadata::by_query))
        .route("/samlp/{client_id}", get().to(idp::sso::of_application_get))
        .route("/samlp/{client_id}", post().to(idp::sso::of_application_post))
        .route("/samlp/metadata/{client_id}", get().to(idp::metadata::of_application))
        .route("/saml/mirror/{connection}/metadata", get().to(idp::metadata::of_mirror))
        .route("/saml/mirror/{connection}/sso", get().to(idp::sso::of_mirror_get))
        .route("/saml/mirror/{connection}/sso", post().to(idp::sso::of_mirror_post))
        .route("/saml/mirror/{connection}/slo", get().to(idp::slo::of_mirror_get))
        .route("/saml/mirror/{connection}/slo", post().to(idp::slo::of_mirror_post))
        .route("/saml/mirror/{connection}/{idp}/slo", get().to(idp::slo::of_mirror_get))
        .route("/saml/mirror/{connection}/{idp}/slo", post().to(idp::slo::of_mirror_post))
        .route("/saml/mirror/{connection}/artifact", post().to(idp::artifact::of_mirror))
        .route("/saml/mirror/{connection}/{idp}/artifact", post().to(idp::artifact::of_mirror))
        .route("/saml/mirror/{connection}/{idp}/metadata", get().to(idp::metadata::of_mirror))
        .route("/saml/mirror/{connection}/{idp}/sso", get().to(idp::sso::of_mirror_get))
        .route("/saml/mirror/{connection}/{idp}/sso", post().to(idp::sso::of_mirror_post))
        .route("/samlp/{client_id}/logout", get().to(idp::slo::of_application_get))
        .route("/samlp/{client_id}/logout", post().to(idp::slo::of_application_post))
        // identity providers: SAML
        .route("/login/callback", web::get().to(upstream::callback::shared_get))
        .route("/login/callback", post().to(upstream::callback::shared_post))
        .route("/connections/{name}/callback", web::get().to(upstream::callback::get))
        .route("/connections/{name}/callback", post().to(upstream::callback::post))
        .route("/connections/{name}/backchannel-logout", post().to(upstream::backchannel::post))
        .route("/connections/{name}/signed-out", get().to(upstream::backchannel::returned))
        .route("/connections/{name}/frontchannel-logout", get().to(upstream::backchannel::frame))
        .route("/connections/{name}/slo", get().to(upstream::slo::get))
        .route("/connections/{name}/slo", post().to(upstream::slo::post))
        .route("/connections/{name}/start", get().to(op::start::at_connection))
        .route("/connections/{name}/discovery", get().to(login::discovered))
        .route("/connections/{name}/metadata", get().to(upstream::metadata::by_path))
        // people
        .route("/", get().to(login::home))
        .route("/discovery", get().to(login::discovery))
        .route("/login", get().to(login::chooser))
        .route("/login", post().to(login::choose))
        .route("/login/link", get().to(login::link_question))
        .route("/login/link", post().to(login::link))
        .route("/login/consent", get().to(login::consent_question))
        .route("/login/consent", post().to(login::consent))
        .route(PAGE, get().to(login::password::show))
        .route(PAGE, post().to(login::password::typed))
        .route(factor::PAGE, get().to(login::factor::show))
        .route(factor::PAGE, post().to(login::factor::sent))
        .route(SIGN_UP, get().to(login::account::sign_up))
        .route(SIGN_UP, post().to(login::account::sign_up))
        .route(RESET, get().to(login::account::reset))
        .route(RESET, post().to(login::account::reset))
        .route("/login/verify", get().to(login::account::verify))
        .route("/login/verify", post().to(login::account::verify))
        .route("/login/new-password", get().to(login::account::new_password))
        .route("/login/new-password", post().to(login::account::new_password))
        .route("/dbconnections/signup", post().to(dbconnections::sign_up))
        .route("/dbconnections/change_password", post().to(dbconnections::change_password))
        .route("/activate", get().to(op::device::activation))
        .route("/activate", post().to(op::device::activate_by_form))
        .route("/continue", get().to(login::resume))
        .route("/continue", post().to(login::resume_by_form))
        .route("/logged-out", get().to(login::logged_out))
        .route("/logout/{id}", get().to(logout::show))
        .route("/logout/{id}", post().to(logout::step))
        .route("/logout/{id}/frame/{place}", get().to(logout::frame))
        .route("/assets/page.css", get().to(login::style))
        .route("/assets/{file}", get().to(login::asset))
        .route("/favicon.ico", get().to(login::no_icon))
        .configure(management::routes)
        .default_service(web::to(headers::nothing_here));
}

/// The operations listener: machines and operators, not the public.
pub fn operations(config: &mut ServiceConfig) {
    config
        .route("/health/live", get().to(health::live))
        .route("/health/ready", get().to(health::ready))
        .route("/metrics", get().to(health::metrics))
        .route("/metadata", get().to(sources::show))
        .route("/traces", get().to(traces::list::list))
        .route("/traces/{correlation_id}", get().to(traces::show))
        .route("/assets/page.css", get().to(login::style))
        .route("/favicon.ico", get().to(login::no_icon))
        .default_service(web::to(headers::nothing_here));
}

/// Only an artifact comes to an assertion consumer service by GET.
fn carries_artifact(context: &GuardContext<'_>) -> bool {
    context.head().uri.query().is_some_and(|query| query.contains("SAMLart="))
}

/// GET, and HEAD as its answer without the body.
fn get() -> Route {
    web::route().guard(Any(Get()).or(Head()))
}

/// The methods that a path takes, for the `Allow` header (RFC 9110 15.5.6).
pub fn allowed(path: &str) -> &'static str {
    match path {
        "/oauth/token" | "/oauth/par" | "/oauth/device/code" | "/oauth/revoke" => "POST, OPTIONS",
        "/oauth/introspect" | "/dbconnections/signup" | "/dbconnections/change_password" => "POST",
        "/userinfo" | "/tokeninfo" => "GET, HEAD, POST, OPTIONS",
        "/authorize"
        | "/saml/sso"
        | "/saml/slo"
        | "/oidc/logout"
        | "/login"
        | "/login/link"
        | "/login/consent"
        | PAGE
        | factor::PAGE
        | SIGN_UP
        | RESET
        | "/login/verify"
        | "/login/new-password"
        | "/activate"
        | "/continue" => "GET, HEAD, POST",
        "/oidc/register" | "/oidc/logout/confirm" | "/saml/artifact" => "POST",
        "/login/callback" => "GET, POST",
        path if path.ends_with("/artifact") && (path.starts_with("/samlp/") || path.starts_with("/saml/mirror/")) => "POST",
        path if path.starts_with("/connections/") && (path.ends_with("/acs") || path.ends_with("/callback")) => "GET, POST",
        path if path.starts_with("/saml/mirror/") && (path.ends_with("/sso") || path.ends_with("/slo")) => "GET, HEAD, POST",
        path if (path.starts_with("/logout/") && !path.contains("/frame/"))
            || (path.starts_with("/connections/") && path.ends_with("/slo")) =>
        {
            "GET, HEAD, POST"
        }
        path if path.starts_with("/oidc/register/") => "GET, HEAD, PUT, DELETE",
        path if path.starts_with("/samlp/") && path.ends_with("/logout") => "GET, HEAD, POST",
        path if path.strip_prefix("/samlp/").is_some_and(|rest| rest != "metadata" && !rest.contains('/')) => "GET, HEAD, POST",
        _ => "GET, HEAD",
    }
}
