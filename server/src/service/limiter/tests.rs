use proptest::prelude::*;
use sealpost_crypto::{AccountId, UnixMillis};

use super::*;

const NAME: LimitName = LimitName::BundlePair;

fn key(number: u64) -> LimitKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    LimitKey::Account(AccountId::from_bytes(bytes))
}

#[test]
fn a_burst_of_six_and_then_one_every_ten_minutes() {
    let limiter = Limiter::new(LimitTable::default());
    let start = UnixMillis(1_000_000);
    for _ in 0..6 {
        assert_eq!(limiter.take(start, NAME, key(1)), Ok(()));
    }
    assert_eq!(limiter.take(start, NAME, key(1)), Err(600_000));
    assert_eq!(limiter.take(start, NAME, key(2)), Ok(()), "another key has its own bucket");
    let later = start.saturating_add(599_999);
    assert_eq!(limiter.take(later, NAME, key(1)), Err(1));
    assert_eq!(limiter.peek(start.saturating_add(600_000), NAME, key(1)), Ok(()));
    assert_eq!(limiter.take(start.saturating_add(600_000), NAME, key(1)), Ok(()));
    assert!(limiter.take(start.saturating_add(600_000), NAME, key(1)).is_err());
}

#[test]
fn a_clock_that_goes_back_gives_nothing_away() {
    let limiter = Limiter::new(LimitTable::default());
    let now = UnixMillis(10_000_000);
    for _ in 0..6 {
        limiter.take(now, NAME, key(1)).unwrap();
    }
    assert!(limiter.take(UnixMillis(0), NAME, key(1)).is_err());
    assert!(limiter.take(now.saturating_add(599_999), NAME, key(1)).is_err());
}

#[test]
fn a_crowded_open_table_forgets_the_fullest_and_keeps_who_is_limited() {
    let limiter = Limiter::new(LimitTable::default());
    let (now, open) = (UnixMillis(0), LimitName::SendPair);
    while limiter.take(now, open, key(0)).is_ok() {}
    for number in 1..(2 * ENTRIES_MAX as u64) {
        limiter.take(now, open, key(number)).unwrap();
    }
    assert!(limiter.buckets[open.index()].lock().len() <= ENTRIES_MAX);
    assert!(limiter.take(now, open, key(0)).is_err(), "a flood of others buys no fresh bucket");
}

#[test]
fn a_crowded_closed_table_refuses_new_keys_until_a_bucket_is_full_again() {
    let limiter = Limiter::new(LimitTable::default());
    let name = LimitName::LoginAccount;
    for number in 0..ENTRIES_MAX as u64 {
        limiter.take(UnixMillis(0), name, key(number)).unwrap();
    }
    assert!(limiter.take(UnixMillis(0), name, key(u64::MAX)).is_err());
    assert_eq!(limiter.take(UnixMillis(0), name, key(5)), Ok(()), "known keys go on");
    assert_eq!(limiter.take(UnixMillis(60_000), name, key(u64::MAX)), Ok(()));
}

#[test]
fn limits_have_distinct_names_and_cannot_be_switched_off() {
    let mut table = LimitTable::default();
    for (index, name) in LimitName::ALL.iter().enumerate() {
        assert_eq!(name.index(), index);
        assert_eq!(LimitName::ALL.iter().position(|other| other.rule().name == name.rule().name), Some(index));
        assert!(!name.rule().reason.is_empty());
    }
    assert_eq!(table.set("send_pair", Limit { burst: 0, tokens: 1, per_seconds: 1 }), Err(LimitError::Zero));
    assert_eq!(table.set("send_pears", Limit { burst: 1, tokens: 1, per_seconds: 1 }), Err(LimitError::Unknown));
    let raised = Limit { burst: 1_000, tokens: 1_000, per_seconds: 1 };
    assert_eq!(table.set("send_pair", raised), Ok(()));
    assert_eq!(*table.limit(LimitName::SendPair), raised);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn never_more_is_allowed_than_the_burst_and_the_rate(
        burst in 1_u32..20, tokens in 1_u32..20, per_seconds in 1_u32..100,
        steps in proptest::collection::vec(0_u64..20_000, 1..200),
    ) {
        let limit = Limit { burst, tokens, per_seconds };
        let mut table = LimitTable::default();
        table.set(NAME.rule().name, limit).unwrap();
        let limiter = Limiter::new(table);
        let (mut now, mut allowed) = (UnixMillis(0), 0_u64);
        for step in steps {
            now = now.saturating_add(step);
            match limiter.take(now, NAME, key(1)) {
                Ok(()) => allowed += 1,
                Err(wait) => {
                    prop_assert!(wait > 0);
                    prop_assert!(limiter.peek(now.saturating_add(wait), NAME, key(1)).is_ok());
                    prop_assert!(limiter.peek(now.saturating_add(wait - 1), NAME, key(1)).is_err());
                }
            }
            let most = u64::from(burst) + now.0 * u64::from(tokens) / limit.parts();
            prop_assert!(allowed <= most, "{allowed} > {most}");
        }
    }
}

#[test]
fn another_table_is_in_force_at_once_and_gives_nobody_a_fresh_start() {
    let limiter = Limiter::new(LimitTable::default());
    let now = UnixMillis(1_000_000);
    for _ in 0..4 {
        limiter.take(now, NAME, key(1)).unwrap();
    }
    let mut table = LimitTable::default();
    table.set(NAME.rule().name, Limit { burst: 20, tokens: 1, per_seconds: 60 }).unwrap();
    limiter.replace(table);
    for _ in 0..2 {
        limiter.take(now, NAME, key(1)).unwrap();
    }
    assert_eq!(limiter.take(now, NAME, key(1)), Err(60_000), "two of six were left, whatever a token is made of");
    let taken = (0..30).filter(|_| limiter.take(now, NAME, key(2)).is_ok()).count();
    assert_eq!(taken, 20);
    limiter.replace(LimitTable::default());
    assert_eq!(limiter.take(now, NAME, key(2)), Err(600_000));
    assert_eq!((0..30).filter(|_| limiter.take(now, NAME, key(3)).is_ok()).count(), 6);
}
