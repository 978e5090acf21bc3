//! The management API as a resource server: its identifier, and its scopes as Auth0 names them.

/// Below the issuer.
pub const PATH: &str = "/api/v2/";

/// Scopes that a person's token may have: what people may do with their own account.
pub const CURRENT_USER_SCOPES: &[(&str, &str)] = &[
    ("read:current_user", "Read the own profile"),
    ("create:current_user_metadata", "Set own user metadata"),
    ("update:current_user_metadata", "Change own user metadata"),
    ("delete:current_user_metadata", "Delete own user metadata"),
    ("update:current_user_identities", "Link and unlink own identities"),
];

/// Scopes of programs.
pub const SCOPES: &[(&str, &str)] = &[
    ("read:users", "Read users"),
    ("create:users", "Create and import users"),
    ("update:users", "Change, link and unlink users"),
    ("delete:users", "Delete users"),
    ("read:user_idp_tokens", "Read users with what identity providers gave"),
    ("read:users_app_metadata", "Read users' app_metadata"),
    ("create:users_app_metadata", "Set users' app_metadata"),
    ("update:users_app_metadata", "Change users' app_metadata"),
    ("delete:users_app_metadata", "Delete users' app_metadata"),
    ("read:authentication_methods", "Read users' second factors"),
    ("delete:authentication_methods", "Remove users' second factors"),
    ("read:connections", "Read connections"),
    ("create:connections", "Create connections"),
    ("update:connections", "Change connections"),
    ("delete:connections", "Delete connections"),
    ("read:clients", "Read applications"),
    ("create:clients", "Create applications"),
    ("update:clients", "Change applications"),
    ("delete:clients", "Delete applications"),
    ("read:client_keys", "Read applications' secrets' state"),
    ("update:client_keys", "Rotate applications' secrets"),
    ("read:client_grants", "Read what applications may have of resource servers"),
    ("create:client_grants", "Grant applications scopes of resource servers"),
    ("update:client_grants", "Change such grants"),
    ("delete:client_grants", "Delete such grants"),
    ("read:resource_servers", "Read resource servers"),
    ("create:resource_servers", "Create resource servers"),
    ("update:resource_servers", "Change resource servers"),
    ("delete:resource_servers", "Delete resource servers"),
    ("read:grants", "Read what users have granted to applications"),
    ("delete:grants", "Revoke such grants"),
    ("read:sessions", "Read users' sessions"),
    ("delete:sessions", "End users' sessions"),
    ("read:refresh_tokens", "Read users' refresh tokens"),
    ("delete:refresh_tokens", "Revoke users' refresh tokens"),
    ("read:device_credentials", "Read users' devices"),
    ("delete:device_credentials", "Delete users' devices"),
    ("read:rules", "Read rules"),
    ("create:rules", "Create rules"),
    ("update:rules", "Change rules"),
    ("delete:rules", "Delete rules"),
    ("read:rules_configs", "Read the names of the rules' settings"),
    ("update:rules_configs", "Set the rules' settings"),
    ("delete:rules_configs", "Delete the rules' settings"),
    ("read:actions", "Read actions"),
    ("create:actions", "Create actions"),
    ("update:actions", "Change, deploy and bind actions"),
    ("delete:actions", "Delete actions"),
    ("read:triggers", "Read which actions run when"),
    ("update:triggers", "Change which actions run when"),
    ("read:signing_keys", "Read signing keys"),
    ("create:signing_keys", "Rotate signing keys"),
    ("update:signing_keys", "Revoke signing keys"),
    ("read:attack_protection", "Read attack protection"),
    ("update:attack_protection", "Change attack protection"),
    ("read:tenant_settings", "Read the settings of this gateway"),
    ("update:tenant_settings", "Change the settings of this gateway"),
    ("read:logs", "Read logs"),
    ("read:logs_users", "Read the logs of one user"),
    ("read:stats", "Read statistics"),
    ("create:user_tickets", "Make links for users' passwords and addresses"),
    ("read:jobs", "Read jobs"),
    ("create:jobs", "Start jobs"),
];

/// The identifier (`audience`) of the management API of this issuer.
pub fn audience(issuer: &str) -> String {
    format!("{issuer}{PATH}")
}

/// Is this a scope of the management API, of whomever?
pub fn is_scope(scope: &str) -> bool {
    SCOPES.iter().chain(CURRENT_USER_SCOPES).any(|(known, _)| *known == scope)
}

/// May a person's token have it?
pub fn is_current_user_scope(scope: &str) -> bool {
    CURRENT_USER_SCOPES.iter().any(|(known, _)| *known == scope)
}
