//! Hashes that Python's hashlib, crypt(3) and others have made of one password.

use super::*;
use serde_json::json;

const PASSWORD: &str = "Grüße 7";

/// One form a line.
const MADE_ELSEWHERE: &str = r#"
{"algorithm": "md5", "hash": {"value": "5427c6b0ec8effc4b88fc6d7957de400", "encoding": "hex"}}
{"algorithm": "sha1", "hash": {"value": "39d9b5126f6c56a5c2af52dc12608fe544b89251", "encoding": "hex"}}
{"algorithm": "sha256", "hash": {"value": "0118127c02b68be96cf995d28e72001ab5730e6fba814d13e7720f1a9baeaee1", "encoding": "hex"}}
{"algorithm": "sha512", "hash": {"value": "18611fce1c28066c9ad4d7023856eedce4b6600432e69416c7879a663ba36fdb60b21891ded01c577ceb7aef60bb02c67e2eb511332da3ac4c80cb3be9503879", "encoding": "hex"}}
{"algorithm": "md5", "hash": {"value": "qxI06PnlKzCNx5HkaV8Vpg==", "encoding": "base64"}, "salt": {"value": "c2FsdA==", "encoding": "base64", "position": "prefix"}}
{"algorithm": "sha256", "hash": {"value": "81649b0bb2c7487c766dd0e6d2b151daed86bf158f1ea800a6e4296985933373", "encoding": "hex"}, "salt": {"value": "salt", "position": "suffix"}}
{"algorithm": "sha1", "hash": {"value": "452db5ee071871de301ccaee32db78d273f737a1", "encoding": "hex"}, "password": {"encoding": "utf16le"}}
{"algorithm": "sha1", "hash": {"value": "0c33d4cc2b912b70b0943ba546e720d3945e25cb", "encoding": "hex"}, "password": {"encoding": "latin1"}}
{"algorithm": "hmac", "hash": {"value": "a110eade500655736496c066361530da", "encoding": "hex", "digest": "md5", "key": {"value": "c2VjcmV0", "encoding": "base64"}}}
{"algorithm": "hmac", "hash": {"value": "2fdd8cf464ab99db23dd5768670d7c2fa6c24cef", "encoding": "hex", "digest": "sha1", "key": {"value": "c2VjcmV0", "encoding": "base64"}}}
{"algorithm": "hmac", "hash": {"value": "28af110d10700db847a7fc1de685cd4c56dd7f088c89bf4f301fe967f66ea420", "encoding": "hex", "digest": "sha256", "key": {"value": "c2VjcmV0", "encoding": "base64"}}}
{"algorithm": "hmac", "hash": {"value": "ebf093696dfb591d6c7fc1be41fb3141c91c7f362706c38a670dc5136710b4d5411102a701309f28be18844ab3727708", "encoding": "hex", "digest": "sha384", "key": {"value": "c2VjcmV0", "encoding": "base64"}}}
{"algorithm": "hmac", "hash": {"value": "ff54086885bbdb2a28e407bf82efe291b5c780cb0aa6680b8a049803cc2ac7e6f1429f1a225c284f2dd45c991bbb41f71a0dcee132eb71eaa3c6776c220ed50d", "encoding": "hex", "digest": "sha512", "key": {"value": "c2VjcmV0", "encoding": "base64"}}}
{"algorithm": "hmac", "hash": {"value": "f2ecdebff1b9549e84068c5d651b46182e7a7a5850ff94db2afc715f", "encoding": "hex", "digest": "sha224", "key": {"value": "c2VjcmV0", "encoding": "base64"}}}
{"algorithm": "scrypt", "hash": {"value": "0867b5163d6500496cd0845e4633ea79f21296114903f63190f3f17d750050510dcd79d20d9e73a2c2ac286e7e1e223d5f46a92920e48359215254af7769a4d8", "encoding": "hex"}, "salt": {"value": "salt"}, "keylen": 64, "cost": 1024, "blockSize": 8, "parallelization": 1}
{"algorithm": "pbkdf2", "hash": {"value": "$pbkdf2-sha1$i=1000,l=20$c29tZXNhbHQ$Helpz2QTfqZj49ZWq+GhK4dZ2+Y"}}
{"algorithm": "pbkdf2", "hash": {"value": "$pbkdf2-sha256$i=1000,l=32$c29tZXNhbHQ$Qs1tra9RZl8ICqTQB1t5rNgq5ajgpc5HzTIdsAkQxWQ"}}
{"algorithm": "pbkdf2", "hash": {"value": "$pbkdf2-sha512$i=1000,l=32$c29tZXNhbHQ$L5jw9jSouXmNaWFRb/Vbrxp7W+Mamnobeaq8V8a/1HE"}}
{"algorithm": "ldap", "hash": {"value": "{SHA}Odm1Em9sVqXCr1LcEmCP5US4klE="}}
{"algorithm": "ldap", "hash": {"value": "{SSHA}dw0tWzGmi7L9VQ489lwYgWQ1NJFzYWx0eQ=="}}
{"algorithm": "ldap", "hash": {"value": "{MD5}VCfGsOyO/8S4j8bXlX3kAA=="}}
{"algorithm": "ldap", "hash": {"value": "{SMD5}QNAOgyfsP41fyKWqTlTUvXNhbHR5"}}
{"algorithm": "ldap", "hash": {"value": "{SHA256}ARgSfAK2i+ls+ZXSjnIAGrVzDm+6gU0T53IPGpuuruE="}}
{"algorithm": "ldap", "hash": {"value": "{SSHA256}E9NLR+66tiKKyuQsuHmW64JRJuBl464CjOc3iqyhtjhzYWx0eQ=="}}
{"algorithm": "ldap", "hash": {"value": "{CRYPT}$6$saltstring$jfSAGmbTKHZbH00plEYV3iKRniUEtuzhB7Oo/gVobEdBmOBXb878EqfGOunC7dmi/HUFkYcxcWRRkIXsiY7zD1"}}
{"algorithm": "ldap", "hash": {"value": "{crypt}$5$rounds=1000$salt$d78j9SlZSV3YIGj0ZlnC0BuYAtRlidQujfIMRnInTS."}}
{"algorithm": "ldap", "hash": {"value": "{CRYPT}$2b$04$abcdefghijklmnopqrstuuD0x2Loz4WdY9kHQ14utPfTng1AdTvrq"}}
{"algorithm": "bcrypt", "hash": {"value": "$2a$04$abcdefghijklmnopqrstuuD0x2Loz4WdY9kHQ14utPfTng1AdTvrq"}}
"#;

#[test]
fn details_e_every_form_lets_its_password_in_and_no_other() {
    let forms: Vec<Value> =
        MADE_ELSEWHERE.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(forms.len(), 28);
    for form in forms {
        assert_eq!(matches(&form, PASSWORD), Ok(true), "{form}");
        for other in ["Grüße 8", "grüße 7", "Grüße 7 ", ""] {
            assert_eq!(matches(&form, other), Ok(false), "{form} {other:?}");
        }
    }
}

#[test]
fn details_e_the_form_of_windows_and_that_of_argon2() {
    let nt = json!({"algorithm": "md4", "hash": {"value": "8846f7eaee8fb117ad06bdd830b7586c", "encoding": "hex"}, "password": {"encoding": "utf16le"}});
    assert_eq!((matches(&nt, "password"), matches(&nt, "Password")), (Ok(true), Ok(false)));
    // From the reference implementation's tests.
    for (phc, password) in [
        ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"),
        ("$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ", "password"),
        ("$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA", "password"),
    ] {
        let form = json!({"algorithm": "argon2", "hash": {"value": phc, "encoding": "utf8"}});
        assert_eq!((matches(&form, password), matches(&form, "passwore")), (Ok(true), Ok(false)), "{phc}");
    }
}

#[test]
fn what_costs_more_than_a_login_may_is_not_computed() {
    for costly in [
        json!({"algorithm": "pbkdf2", "hash": {"value": "$pbkdf2-sha256$i=100000000,l=8$c29tZXNhbHQ$c29tZXNhbHQ"}}),
        json!({"algorithm": "scrypt", "hash": {"value": "ab".repeat(64), "encoding": "hex"}, "salt": {"value": "s"}, "keylen": 64, "cost": 1_048_576, "blockSize": 64}),
        json!({"algorithm": "argon2", "hash": {"value": "$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"}}),
        json!({"algorithm": "ldap", "hash": {"value": "{CRYPT}$1$salt$x"}}),
        json!({"algorithm": "md5"}),
        json!({"algorithm": "bcrypt", "hash": {"value": "$2b$31$abcdefghijklmnopqrstuuCj7fyLDJytXL.TfOiOeiv0fQvSOK1/2"}}),
        json!({"algorithm": "ldap", "hash": {"value": "{CRYPT}$2y$31$abcdefghijklmnopqrstuuCj7fyLDJytXL.TfOiOeiv0fQvSOK1/2"}}),
    ] {
        assert!(matches(&costly, PASSWORD).is_err(), "{costly}");
    }
}
