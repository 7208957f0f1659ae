use std::collections::BTreeSet;

use sealpost_crypto::AccountId;

use super::*;
use crate::accounts::{LookUpAccount, Register};
use crate::devices::ReadDeviceLists;
use crate::endpoints::all;
use crate::sessions::EndSession;

fn read<E: Endpoint>(segments: &[(&str, &str)], query: &str) -> Result<E, ArgumentError> {
    let segment = |name: &str| segments.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    E::parse(&Arguments { segment: &segment, query })
}

#[test]
fn each_method_and_path_is_one_endpoint_and_each_name_too() {
    let calls: BTreeSet<(Method, &str)> = all().map(|endpoint| (endpoint.method, endpoint.path)).collect();
    let names: BTreeSet<&str> = all().map(|endpoint| endpoint.name).collect();
    assert_eq!((calls.len(), names.len()), (all().count(), all().count()));
}

#[test]
fn the_parameters_of_a_path_are_the_arguments_of_its_endpoint_in_the_same_order() {
    for endpoint in all() {
        let in_path: Vec<&str> = endpoint.path.split('{').skip(1).map(|part| part.split_once('}').unwrap().0).collect();
        let declared: Vec<&str> =
            endpoint.parameters.iter().filter(|one| one.place == Place::Path).map(|one| one.name).collect();
        assert_eq!(in_path, declared, "{}", endpoint.name);
    }
}

#[test]
fn a_path_stands_before_every_path_with_parameters_that_would_match_it() {
    let matches = |pattern: &str, path: &str| {
        let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
        pattern.len() == path.len() && pattern.iter().zip(&path).all(|(one, other)| one.contains('{') || one == other)
    };
    let paths: Vec<&str> = all().map(|endpoint| endpoint.path).collect();
    for (at, path) in paths.iter().enumerate() {
        let earlier = paths[..at].iter().find(|earlier| *earlier != path && matches(earlier, path));
        assert_eq!(earlier, None, "{path} is never reached");
    }
}

#[test]
fn only_posts_and_puts_take_a_body() {
    for endpoint in all().filter(|endpoint| endpoint.body) {
        assert!(matches!(endpoint.method, Method::Post | Method::Put), "{}", endpoint.name);
    }
}

#[test]
fn what_a_client_writes_is_what_the_server_reads() {
    let account_id = AccountId::from_bytes([0xff; 16]);
    let call = ReadDeviceLists { account_id, after: Some(u64::MAX) };
    assert_eq!(call.path(), format!("/v1/accounts/{}w/devices?after={}", "_".repeat(21), u64::MAX));
    let account = format!("{}w", "_".repeat(21));
    assert_eq!(read(&[("account_id", &account)], &format!("after={}", u64::MAX)), Ok(call));
    let call = ReadDeviceLists { account_id, after: None };
    assert_eq!(call.path(), format!("/v1/accounts/{account}/devices"));
    assert_eq!(read(&[("account_id", &account)], ""), Ok(call));
    assert_eq!(Register.path(), "/v1/accounts");
    assert_eq!(read(&[], "what=is not asked for"), Ok(Register));
}

#[test]
fn a_name_cannot_leave_its_segment() {
    let call = |name: &str| LookUpAccount { username: name.to_owned() }.path();
    assert_eq!(call("alice_1.x"), "/v1/accounts/by-name/alice_1.x");
    assert_eq!(call("a/../b?c#d%"), "/v1/accounts/by-name/a%2F..%2Fb%3Fc%23d%25");
    assert_eq!(call("é"), "/v1/accounts/by-name/%C3%A9");
}

#[test]
fn malformed_arguments_are_refused_by_name() {
    let account = "A".repeat(22);
    let lists = |account: &str, query: &str| read::<ReadDeviceLists>(&[("account_id", account)], query);
    assert!(lists(&account, "after=7").is_ok());
    for query in ["after=", "after=+1", "after=-1", "after=x", "after", "after=1&after=1", "after=18446744073709551616"]
    {
        assert_eq!(lists(&account, query), Err(ArgumentError { name: Some("after") }), "{query}");
    }
    for query in ["more=1", "after=1&more", "&", "=", "after=1&", "After=1"] {
        assert_eq!(lists(&account, query), Err(ArgumentError { name: None }), "{query}");
    }
    for account in ["", "x", &"A".repeat(21), &"A".repeat(23), &"=".repeat(22), &"A".repeat(100_000)] {
        assert_eq!(lists(account, ""), Err(ArgumentError { name: Some("account_id") }), "{account}");
    }
    assert_eq!(read::<EndSession>(&[], ""), Err(ArgumentError { name: Some("session_id") }));
}
