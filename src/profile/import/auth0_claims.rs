//! `attribute_map` of Auth0's OpenID connections: profile field to template.

use super::auth0::field_of;
use super::object;
use super::writer::{NewRow, Writer};
use crate::profile::Direction;
use serde_json::{Map, Value};

/// Claims that no map writes at Auth0: those of tokens, and those that decide over access.
const RESERVED: [&str; 60] = [
    "acr",
    "act",
    "active",
    "amr",
    "at_hash",
    "ath",
    "attest",
    "aud",
    "auth_time",
    "authorization_details",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "cty",
    "dest",
    "entitlements",
    "events",
    "exp",
    "groups",
    "gty",
    "htm",
    "htu",
    "iat",
    "internalService",
    "iss",
    "jcard",
    "jku",
    "jti",
    "jwe",
    "jwk",
    "kid",
    "may_act",
    "mky",
    "nbf",
    "nonce",
    "object_id",
    "org_id",
    "org_name",
    "orig",
    "origid",
    "permissions",
    "roles",
    "rph",
    "s_hash",
    "sid",
    "sip_callid",
    "sip_cseq_num",
    "sip_date",
    "sip_from_tag",
    "sip_via_branch",
    "sub",
    "sub_jwk",
    "toe",
    "txn",
    "typ",
    "uuid",
    "vot",
    "vtm",
    "x5t#S256",
];

/// What the mode `basic_profile` takes over.
const BASIC: [&str; 18] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
    "address",
];

/// Part of a template.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `tokenset.email` or `userinfo.email`, as mapping tables name it.
    Claim(String),
}

/// `{mapping_mode, userinfo_scope, attributes: {profile field: template}}`; or the options of a connection.
pub fn attribute_map(input: &Map<String, Value>) -> Result<Writer, String> {
    let map = input.get("options").and_then(Value::as_object).unwrap_or(input);
    let map = map.get("attribute_map").map(object).transpose()?.unwrap_or(map);
    let mode = map.get("mapping_mode").filter(|mode| !mode.is_null()).map(|mode| mode.as_str().unwrap_or_default());
    let base = match mode {
        None | Some("bind_all") => Some("oidc"),
        Some("use_map" | "basic_profile") => None,
        Some(_) => return Err("mapping_mode is none of use_map, bind_all, basic_profile".to_owned()),
    };
    let mut writer = Writer::new(Direction::ToProfile, base, "From the attribute_map of an Auth0 OpenID connection.");
    let nothing = Map::new();
    let attributes = match map.get("attributes").filter(|attributes| !attributes.is_null()) {
        Some(attributes) => object(attributes)?,
        None => &nothing,
    };
    for (field, template) in attributes {
        let place = format!("attributes.{field}");
        if RESERVED.contains(&field.as_str()) || field == "user_id" {
            writer.lost(&place, "is reserved: no map writes it");
            continue;
        }
        match template.as_str().ok_or_else(|| "is no text".to_owned()).and_then(parts) {
            Ok(parts) => write(&mut writer, &place, &field_of(field), &parts),
            Err(why) => writer.lost(&place, why),
        }
    }
    if mode == Some("basic_profile") {
        for field in BASIC.into_iter().filter(|field| !attributes.contains_key(*field)) {
            writer.row(NewRow { place: "mapping_mode", targets: &[field], from: vec![field.to_owned()], ..NewRow::default() });
        }
    }
    if map.get("userinfo_scope").is_some_and(|scope| !scope.is_null()) && !std::ptr::eq(map, input) {
        writer.remark("userinfo_scope", "belongs to the connection: add its scopes to `scopes` of [connection.oidc]");
    }
    Ok(writer)
}

fn write(writer: &mut Writer, place: &str, target: &str, parts: &[Part]) {
    let (targets, free) = ([target], target.starts_with("custom."));
    if let [Part::Claim(claim)] = parts {
        return writer.row(NewRow {
            place,
            targets: &targets,
            from: vec![claim.clone()],
            take: free.then_some("as_is"),
            ..NewRow::default()
        });
    }
    let terms = parts.iter().map(|part| match part {
        Part::Text(text) => Value::from(text.as_str()).to_string(),
        Part::Claim(claim) => format!("string(attributes[{}][0])", Value::from(claim.as_str())),
    });
    let cel = terms.collect::<Vec<_>>().join(" + ");
    writer.row(NewRow { place, targets: &targets, cel: Some(&cel), take: free.then_some("first"), ..NewRow::default() });
}

/// Takes a template apart.
fn parts(template: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut rest) = (Vec::new(), template);
    let text = |parts: &mut Vec<Part>, text: &str| {
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
    };
    while let Some((before, after)) = rest.split_once("${") {
        let (expression, after) = after.split_once('}').ok_or("has ${ without }")?;
        text(&mut parts, before);
        let path = expression.trim().strip_prefix("context.").ok_or_else(|| format!("${{{expression}}} is nothing of `context`"))?;
        match path.split_once('.') {
            Some(("tokenset" | "userinfo", claim)) if is_claim(claim) => parts.push(Part::Claim(path.to_owned())),
            Some(("connection", "strategy")) => parts.push(Part::Text("oidc".to_owned())),
            Some(("connection", "id")) => return Err("the id of a connection is known to the management API only".to_owned()),
            _ => {
                return Err(format!(
                    "${{{expression}}} is none of context.tokenset.x, context.userinfo.x, context.connection.id, context.connection.strategy"
                ));
            }
        }
        rest = after;
    }
    text(&mut parts, rest);
    if parts.is_empty() { Err("is empty".to_owned()) } else { Ok(parts) }
}

/// Names with dots between them.
fn is_claim(path: &str) -> bool {
    path.split('.').all(|name| !name.is_empty()) && !path.contains(['"', '\\', '*', '$', '{']) && !path.chars().any(char::is_control)
}
