use zeroize::Zeroizing;

use super::*;
use crate::domain::clock::SystemRandom;

fn settings() -> PasswordSettings {
    PasswordSettings {
        memory_kib: 64,
        passes: 1,
        threads: 2,
        queue_max: 50,
        pepper: None,
        ..PasswordSettings::default()
    }
}

fn pool(settings: &PasswordSettings) -> Passwords {
    Passwords::new(settings, Arc::new(SystemRandom)).unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

#[tokio::test]
async fn the_default_parameters_are_those_of_the_design() {
    let pool = pool(&PasswordSettings::default());
    let hash = pool.hash(password("correct horse")).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert_eq!(pool.verify(password("correct horse"), Some(hash)).await, Ok(Verdict::Right));
}

#[tokio::test]
async fn a_password_is_taken_exactly_as_given() {
    let pool = pool(&settings());
    let long = "x".repeat(1_024);
    for text in [" leading", "trailing ", "nul\0inside", "emoji 🦀🦀", "Ünïcode", long.as_str()] {
        let hash = pool.hash(password(text)).await.unwrap();
        assert_eq!(pool.verify(password(text), Some(hash.clone())).await, Ok(Verdict::Right));
        for other in [
            text.trim().to_owned() + "!",
            text.chars().take(1).collect(),
            format!("{text}\0"),
            text.to_uppercase() + "1",
        ] {
            assert_eq!(pool.verify(password(&other), Some(hash.clone())).await, Ok(Verdict::Wrong));
        }
    }
}

#[tokio::test]
async fn the_same_password_has_another_salt_each_time() {
    let pool = pool(&settings());
    assert_ne!(pool.hash(password("same same")).await, pool.hash(password("same same")).await);
}

#[tokio::test]
async fn a_missing_account_has_no_password_not_even_the_dummy() {
    let pool = pool(&settings());
    for text in ["no account has this", "anything"] {
        assert_eq!(pool.verify(password(text), None).await, Ok(Verdict::Wrong));
    }
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_right_but_outdated() {
    let old = pool(&settings()).hash(password("correct horse")).await.unwrap();
    let new = pool(&PasswordSettings { passes: 2, ..settings() });
    assert_eq!(new.verify(password("correct horse"), Some(old.clone())).await, Ok(Verdict::RightButOutdated));
    assert_eq!(new.verify(password("wrong horse"), Some(old)).await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn a_hash_of_the_reference_implementation_is_understood() {
    let reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let pool = pool(&settings());
    let verdict = pool.verify(password("password"), Some(reference.to_owned())).await;
    assert_eq!(verdict, Ok(Verdict::RightButOutdated));
    assert_eq!(pool.verify(password("Password"), Some(reference.to_owned())).await, Ok(Verdict::Wrong));
    // A smaller hash in the same memory afterwards.
    let own = pool.hash(password("password")).await.unwrap();
    assert_eq!(pool.verify(password("password"), Some(own)).await, Ok(Verdict::Right));
}

#[tokio::test]
async fn without_the_pepper_nothing_matches() {
    let peppered = pool(&PasswordSettings { pepper: Some(Zeroizing::new(vec![7; 32])), ..settings() });
    let hash = peppered.hash(password("correct horse")).await.unwrap();
    assert_eq!(peppered.verify(password("correct horse"), Some(hash.clone())).await, Ok(Verdict::Right));
    assert_eq!(pool(&settings()).verify(password("correct horse"), Some(hash)).await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn a_damaged_hash_is_an_error_and_no_match() {
    let pool = pool(&settings());
    for hash in ["", "plain", "$argon2id$v=19$m=64,t=1,p=1$", "$scrypt$ln=1$c2FsdHNhbHQ$aGFzaA"] {
        assert!(matches!(
            pool.verify(password("x"), Some(hash.to_owned())).await,
            Err(PasswordsError::Hash(_)) | Ok(Verdict::Wrong)
        ));
    }
}

#[tokio::test]
async fn beyond_the_queue_it_is_busy_and_goes_on_afterwards() {
    // One thread, one place: of twenty at once at most a few are taken.
    let pool = pool(&PasswordSettings { memory_kib: 19_456, threads: 1, queue_max: 1, ..settings() });
    let results = futures_util::future::join_all((0..20).map(|_| pool.hash(password("at the same time")))).await;
    let busy = results.iter().filter(|result| **result == Err(PasswordsError::Busy)).count();
    let done = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(busy + done, 20);
    assert!((1..=4).contains(&done), "{done}");
    assert_eq!(pool.waiting(), 0);
    assert!(pool.hash(password("afterwards")).await.is_ok());
}
