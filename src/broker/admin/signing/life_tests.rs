use super::*;

fn key(kid: &str, published_at: i64, since: Option<i64>) -> SigningKey {
    let (kid, certificate) = (kid.to_owned(), String::new());
    SigningKey { kid, certificate, sealed: None, published_at, since, until: None, revoked_at: None }
}

fn kid(key: Option<&SigningKey>) -> Option<&str> {
    key.map(|key| key.kid.as_str())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Makes keys of these names, one after the other.
fn fresh<'a>(names: &'a [&'a str], published_at: i64) -> impl FnMut() -> Result<SigningKey> + 'a {
    let mut names = names.iter();
    move || Ok(key(names.next().expect("one more key than was expected"), published_at, None))
}

fn how(when: When) -> Rotation {
    Rotation { when, ..Rotation::default() }
}

const OIDC: Purpose = Purpose::OidcEs256;
const SIGNING: Purpose = Purpose::SamlSigning;
const DAYS: i64 = 86_400;

#[test]
fn a_key_is_published_before_it_signs_and_kept_afterwards() {
    let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0))] };
    assert_eq!((kid(keys.current(at(1000))), kid(keys.next(at(1000)))), (Some("a"), None));
    let rotated = keys.rotate(OIDC, fresh(&["b", "c"], 1_000_000), how(When::Published), at(1000)).expect("rotated");
    assert_eq!(rotated.since, Some(1_305_000));
    // It is there, and does not sign yet; meanwhile nobody rotates again.
    assert_eq!((kid(keys.current(at(1304))), kid(keys.next(at(1304)))), (Some("a"), Some("b")));
    assert_eq!(keys.next_change(at(1304)), Some(at(1305)));
    let refused = keys.rotate(OIDC, fresh(&[], 0), how(When::Published), at(1304)).expect_err("too soon");
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!((kid(keys.current(at(1305))), kid(keys.next(at(1305))), keys.next_change(at(1305))), (Some("b"), Some("c"), None));
    // The next was published long ago: it signs from now on.
    let rotated = keys.rotate(OIDC, fresh(&["d"], 5_000_000), how(When::Published), at(5000)).expect("rotated");
    assert_eq!(rotated.since, Some(5_000_000));
    assert_eq!((kid(keys.current(at(5000))), kid(keys.next(at(5000)))), (Some("c"), Some("d")));
    assert_eq!(keys.keys.len(), 4);
    // At once means at once.
    assert_eq!(keys.rotate(OIDC, fresh(&["e"], 5_001_000), how(When::AtOnce), at(5001)).expect("rotated").kid, "d");
    assert_eq!(kid(keys.current(at(5001))), Some("d"));
    // Keys of ID tokens stay published until somebody revokes them.
    assert_eq!(keys.standing(&keys.keys[0], at(900 * DAYS)), Standing::In(KeyState::Previous));
}

#[test]
fn a_saml_key_is_published_for_a_week_then_signs_and_the_old_one_has_its_grace() {
    let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0))] };
    let begin = 1000 * DAYS;
    let rotated = keys.rotate(SIGNING, fresh(&["b"], begin * 1000), how(When::Published), at(begin)).expect("rotated");
    assert_eq!(rotated.since, Some((begin + 7 * DAYS) * 1000));
    let standings = |keys: &SigningKeys, time: i64| -> Vec<Standing> { keys.keys.iter().map(|key| keys.standing(key, at(time))).collect() };
    let (active, next, previous) = (Standing::In(KeyState::Active), Standing::In(KeyState::Next), Standing::In(KeyState::Previous));
    assert_eq!(standings(&keys, begin), [active, next]);
    assert_eq!(standings(&keys, begin + 7 * DAYS - 1), [active, next]);
    assert_eq!(standings(&keys, begin + 7 * DAYS), [previous, active]);
    assert_eq!(standings(&keys, begin + 37 * DAYS - 1), [previous, active]);
    assert_eq!(standings(&keys, begin + 37 * DAYS), [Standing::Over, active]);
    // Each of these moments is one at which the set is made anew.
    let mut moments = Vec::new();
    let mut time = at(begin);
    while let Some(change) = keys.next_change(time) {
        moments.push((change.seconds() - begin) / DAYS);
        time = change;
    }
    assert_eq!(moments, [7, 37]);
}

#[test]
fn a_time_may_be_given_and_changed_and_the_next_key_withdrawn() {
    let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0))] };
    let begin = 1000 * DAYS;
    assert_eq!(keys.rotate(SIGNING, fresh(&["b"], begin * 1000), how(When::Later), at(begin)).expect("published").since, None);
    assert_eq!((kid(keys.next(at(begin))), keys.keys[0].until), (Some("b"), None));
    assert_eq!(keys.rotate(SIGNING, fresh(&[], 0), how(When::Later), at(begin)).expect_err("refused").kind, ErrorKind::Conflict);
    let past = keys.rotate(SIGNING, fresh(&[], 0), how(When::At(at(begin - 1))), at(begin)).expect_err("refused");
    assert_eq!(past.kind, ErrorKind::InvalidRequest);
    let rotation = Rotation { when: When::At(at(begin + 2 * DAYS)), grace_days: 3 };
    assert_eq!(keys.rotate(SIGNING, fresh(&[], 0), rotation, at(begin)).expect("planned").since, Some((begin + 2 * DAYS) * 1000));
    assert_eq!(keys.keys[0].until, Some((begin + 5 * DAYS) * 1000));
    // Earlier or later: the old key's end moves along.
    let rotation = Rotation { when: When::At(at(begin + 4 * DAYS)), grace_days: 3 };
    keys.rotate(SIGNING, fresh(&[], 0), rotation, at(begin)).expect("planned anew");
    assert_eq!((keys.keys.len(), keys.keys[0].until), (2, Some((begin + 7 * DAYS) * 1000)));
    // Withdrawn: the key in use has no end any more.
    keys.revoke(SIGNING, "b", at(begin)).expect("withdrawn");
    assert_eq!((kid(keys.next(at(begin))), keys.keys[0].until), (None, None));
    assert_eq!(kid(keys.current(at(begin + 90 * DAYS))), Some("a"));
    assert_eq!(keys.revoke(SIGNING, "a", at(begin)).expect_err("in use").kind, ErrorKind::Conflict);
}

#[test]
fn a_rotation_does_not_prolong_those_that_are_ending() {
    let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0))] };
    for (day, name) in [(1000, "b"), (1001, "c")] {
        keys.rotate(SIGNING, fresh(&[name], 0), how(When::AtOnce), at(day * DAYS)).expect("rotated");
    }
    let ends: Vec<Option<i64>> = keys.keys.iter().map(|key| key.until.map(|until| until / DAYS / 1000)).collect();
    assert_eq!(ends, [Some(1030), Some(1031), None]);
}

#[test]
fn only_a_key_of_the_past_can_be_revoked() {
    let at = Timestamp::from_seconds(10);
    let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0)), key("b", 0, Some(5000)), key("c", 0, None)] };
    for (name, kind) in [("b", ErrorKind::Conflict), ("c", ErrorKind::Conflict), ("x", ErrorKind::NotFound)] {
        let mut fresh = keys.clone();
        // The next one, by the order of the list.
        assert_eq!(fresh.revoke(OIDC, name, at).map_or_else(|error| error.kind, |_| panic!("{name}")), kind);
    }
    assert_eq!(keys.revoke(OIDC, "a", at).expect("revoked").revoked_at, Some(10_000));
    assert_eq!(keys.revoke(OIDC, "a", Timestamp::from_seconds(20)).expect("already").revoked_at, Some(10_000));
}

#[test]
fn old_keys_are_forgotten_and_never_those_in_use() {
    for purpose in [OIDC, SIGNING] {
        let mut keys = SigningKeys { keys: vec![key("a", 0, Some(0))] };
        let mut made = 0;
        for number in 1..40_i64 {
            let fresh = || {
                made += 1;
                Ok(key(&format!("y{made}"), 0, None))
            };
            let rotated = keys.rotate(purpose, fresh, how(When::AtOnce), at(number)).expect("rotated").kid;
            assert!(keys.keys.len() <= MOST_KEYS);
            assert_eq!(kid(keys.current(at(number))), Some(rotated.as_str()));
            assert_eq!(keys.next(at(number)).is_some(), purpose == OIDC);
        }
    }
}

#[test]
fn prepared_sets_are_what_each_moment_wants() {
    let place = tempfile::tempdir().expect("a directory");
    let keyring = Keyring::open_or_create(place.path()).expect("keys");
    let purpose = Purpose::SamlEncryption;
    let mut keys = SigningKeys::of(&keyring, purpose).expect("those of the files");
    let now = Timestamp::from_seconds(1_800_000_000);
    let prints = |set: &KeySet| set.all().map(|key| key.key.fingerprint().expect("a fingerprint")).collect::<Vec<_>>();
    let published = |set: &KeySet| set.published().map(|key| key.key.fingerprint().expect("a fingerprint")).collect::<Vec<_>>();
    let before = keys.keys[0].kid.clone();
    let next = keys.rotate(purpose, || SigningKey::generate(&keyring, purpose, now), how(When::Later), now).expect("published").kid;
    let prepared = |keys: &SigningKeys, seconds: i64| keys.prepare(&keyring, purpose, now.plus_seconds(seconds)).expect("prepared");
    // It decrypts at once, and is told to partners when every node has it.
    assert_eq!((prints(&prepared(&keys, 0)), published(&prepared(&keys, 0))), (vec![before.clone(), next.clone()], vec![before.clone()]));
    assert_eq!(published(&prepared(&keys, FOLLOWED)), [before.clone(), next.clone()]);
    let later = now.plus_seconds(100);
    keys.rotate(purpose, || panic!("there is a next key"), how(When::Published), later).expect("rotated");
    // The one before still decrypts, and nobody is told of it.
    assert_eq!(prints(&prepared(&keys, 100)), [next.clone(), before.clone()]);
    assert_eq!(published(&prepared(&keys, 100)), std::slice::from_ref(&next));
    assert_eq!(prints(&prepared(&keys, 100 + GRACE_DAYS * DAYS)), [next]);
    assert_ne!(keys.keys[1].certificate, "");
}

#[test]
fn a_previous_key_goes_with_its_certificate_and_a_foreign_one_is_not_opened() {
    let place = tempfile::tempdir().expect("a directory");
    let keyring = Keyring::open_or_create(place.path()).expect("keys");
    let now = Timestamp::from_seconds(1_800_000_000);
    let mut keys = SigningKeys::of(&keyring, SIGNING).expect("those of the files");
    let long = Rotation { when: When::AtOnce, grace_days: 100_000 };
    keys.rotate(SIGNING, || SigningKey::generate(&keyring, SIGNING, now), long, now).expect("rotated");
    assert_eq!(keys.prepare(&keyring, SIGNING, now).expect("prepared").all().count(), 2);
    let eleven_years = keys.keys[0].not_after().expect("an end").plus_seconds(1);
    assert_eq!(keys.prepare(&keyring, SIGNING, eleven_years).expect("prepared").all().count(), 1);
    // Another keyring seals otherwise.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let foreign = Keyring::open_or_create(elsewhere.path()).expect("keys");
    assert!(keys.prepare(&foreign, SIGNING, now).is_err());
    // Nor does a sealed key of one purpose open as one of another.
    let other = SigningKeys { keys: vec![SigningKey { since: Some(0), ..keys.keys[1].clone() }] };
    assert!(other.prepare(&keyring, Purpose::SamlEncryption, now).is_err());
    assert!(!format!("{keys:?}").contains("PRIVATE"));
    // A key of another kind is not taken.
    let ec = CertifiedKey::self_signed(PrivateKey::generate(crate::keys::KeyKind::EcP256).expect("a key"), "x").expect("a certificate");
    assert_eq!(SigningKey::sealed(&ec, &keyring, SIGNING, now).expect_err("refused").kind, ErrorKind::InvalidRequest);
}
