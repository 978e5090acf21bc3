//! Random people, the same ones for the same seed.

use super::samples::{Sample, SampleIdentity, normalized};
use crate::clock::Timestamp;
use crate::profile::{Field, Kind, ProviderTokens};
use crate::secret::Secret;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// xorshift64*, not seeded with 0. 64 bits of it make a word, so that words are unique.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % limit.max(1)
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn word(&mut self) -> String {
        format!("w{:016x}", self.next())
    }

    pub fn person(&mut self) -> Sample {
        let mut sample = Sample::of(json!({}));
        sample.identities.clear();
        sample.user_id = self.word();
        sample.created_at = self.time();
        sample.updated_at = self.time();
        sample.last_login = self.chance(70).then(|| self.time());
        sample.last_ip = self.chance(50).then(|| self.word());
        sample.logins_count = i64::try_from(self.below(1000)).unwrap_or(1);
        sample.blocked = self.chance(20);
        for map in [&mut sample.user_metadata, &mut sample.app_metadata, &mut sample.custom_fields] {
            for _ in 0..self.below(3) {
                map.insert(self.word(), json!({ "deep": [self.word(), self.word()] }));
            }
        }
        let strategies = ["samlp", "oidc", "ldap", "database", "facebook", "WeChat", "github"];
        let count = 1 + self.below(4);
        let login = self.below(count);
        for at in 0..count {
            let strategy = strategies[self.below(strategies.len())];
            let (connection, subject) = (self.word(), self.word().repeat(1 + self.below(30)));
            let is_social = !["samlp", "oidc", "ldap", "database"].contains(&strategy);
            let profile = normalized(Value::Object(self.members()), "unused", &subject);
            let tokens = self.chance(50).then(|| ProviderTokens::bare(Secret::new(self.word())));
            let (last_login, last_updated) = (self.time(), self.time());
            let identity = sample.add(strategy, &connection, &subject, is_social);
            *identity = SampleIdentity {
                connection,
                provider: strategy.to_owned(),
                subject,
                is_social,
                allows_login: true,
                is_login_identity: at == login,
                last_login,
                last_updated,
                expired_session: false,
                profile,
                tokens,
            };
        }
        sample.root = None;
        sample
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::from_millis(1_500_000_000_000 + i64::try_from(self.below(200_000_000)).unwrap_or(0) * 1000)
    }

    /// A value of its kind for about half of the fields that a connection can set.
    fn members(&mut self) -> Map<String, Value> {
        let mut members = Map::new();
        for name in Field::names() {
            let field = Field::parse(name).expect("known");
            if field.own || !self.chance(50) {
                continue;
            }
            let value = match (name, field.kind) {
                ("email", _) => json!(format!("{}@x.example", self.word())),
                ("gender", _) => json!(["male", "female", "x"][self.below(3)]),
                ("birthdate", _) => json!(["1966-04-12", "0000-12-31", "1999"][self.below(3)]),
                ("phone_number", _) => json!(format!("+{:014}", self.below(1 << 30))),
                ("address", _) => self.address(),
                ("mapped_provider_uids", _) => {
                    json!([{"provider_uid": self.word(), "api_key": self.word()}, {"provider_uid": self.word(), "api_key": self.word()}])
                }
                ("likes", _) => self.items(150),
                ("custom", _) => json!({ self.word(): [self.word()], self.word(): self.word() }),
                ("saml_data", _) => json!({ self.word(): [self.word()], self.word(): self.texts(4) }),
                (_, Kind::Text | Kind::Any) => json!(self.word()),
                (_, Kind::Url) => json!(format!("https://{}.example/", self.word())),
                (_, Kind::Bool) => json!(self.chance(50)),
                (_, Kind::Number) => json!(self.below(1 << 30)),
                (_, Kind::List) => self.texts(5),
                (_, Kind::Items) => self.items(5),
                (_, Kind::Object) => json!({ self.word(): [{ "name": self.word() }] }),
            };
            members.insert(name.to_owned(), value);
        }
        members
    }

    fn address(&mut self) -> Value {
        let names = ["formatted", "street_address", "locality", "region", "postal_code", "country"];
        let mut members: HashMap<&str, String> = HashMap::from([("formatted", self.word())]);
        for name in names {
            if self.chance(60) {
                members.insert(name, self.word());
            }
        }
        json!(members)
    }

    fn texts(&mut self, limit: usize) -> Value {
        let count = 1 + self.below(limit);
        (0..count).map(|_| Value::from(self.word())).collect()
    }

    fn items(&mut self, limit: usize) -> Value {
        let count = 1 + self.below(limit);
        (0..count)
            .map(|_| if self.chance(50) { json!(self.word()) } else { json!({ "a": self.word(), "b": self.below(1 << 30) }) })
            .collect()
    }
}
