//! What needs no server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Ended, finish, program};

fn run(arguments: &[&str]) -> Ended {
    let mut command = program();
    command.args(arguments);
    finish(command)
}

#[test]
fn help_teaches_examples_and_exit_codes() {
    let ended = run(&["--help"]);
    assert_eq!(ended.code, Some(0));
    for word in ["Examples:", "Exit codes:", "register", "receive --follow", "vault locked", "--passphrase-file"] {
        assert!(ended.stdout.contains(word), "{word}");
    }
    for command in ["register", "login", "send", "receive", "verify", "password", "completions"] {
        let ended = run(&[command, "--help"]);
        assert_eq!(ended.code, Some(0), "{command}");
        assert!(ended.stdout.contains("Usage:"), "{command}");
    }
}

#[test]
fn wrong_usage_exits_2_and_says_so_in_json_when_asked() {
    for arguments in [&["nonsense"][..], &["send", "bob"], &["receive", "--max", "x"], &[]] {
        assert_eq!(run(arguments).code, Some(2), "{arguments:?}");
    }
    let ended = run(&["send", "bob", "--json"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.error(), "usage");
    assert!(ended.stdout.is_empty());
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.code, Some(0));
        for command in ["delete-account", "receive", "sessions"] {
            assert!(ended.stdout.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn a_profile_without_an_account_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let ended = run(&["--json", "--data", data, "whoami"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(1), "no_account"));
    let value: Value = serde_json::from_str(ended.stderr.trim()).unwrap();
    assert!(value["error"]["hint"].as_str().unwrap().contains("register"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "looking makes nothing");
}

#[test]
fn flags_come_from_the_environment_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command
        .env("SEALPOST_DATA", folder.path().join("data"))
        .env("SEALPOST_JSON", "1")
        .env("SEALPOST_PROFILE", "../x")
        .arg("whoami");
    let ended = finish(command);
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "profile_name"));
}

#[test]
fn a_loose_data_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
    let ended = run(&["--json", "--data", folder.path().to_str().unwrap(), "register", "alice"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(7), "loose_mode"));
}

#[test]
fn only_one_thing_is_read_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let ended = run(&["--json", "--data", data, "--passphrase-file", "-", "send", "bob", "-"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "standard_input"));
}

#[test]
fn without_a_terminal_secrets_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let ended = run(&["--json", "--data", data, "register", "alice", "--server", "https://127.0.0.1:1"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "password_needed"));
    let secret = folder.path().join("secret");
    fs::write(&secret, "a password of some length").unwrap();
    let secret = secret.to_str().unwrap();
    let ended = run(&[
        "--json",
        "--data",
        data,
        "--password-file",
        secret,
        "register",
        "alice",
        "--server",
        "https://127.0.0.1:1",
    ]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(7), "passphrase_needed"));
}

#[test]
fn an_unreachable_server_is_3_and_an_absent_one_2() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let secret = folder.path().join("secret");
    fs::write(&secret, "a password of some length").unwrap();
    let secret = secret.to_str().unwrap();
    let begin = ["--json", "--data", data.to_str().unwrap(), "--password-file", secret, "--passphrase-file", secret];
    let with = |more: &[&str]| run(&[&begin[..], more].concat());
    let ended = with(&["register", "alice", "--server", "https://127.0.0.1:1"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(3), "unreachable"));
    let ended = with(&["register", "alice"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "server_needed"));
    let ended = with(&["register", "alice", "--server", "http://example.org"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "server_url"));
    let ended = with(&["register", "al", "--server", "https://127.0.0.1:1"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(2), "username_invalid"));
}

#[test]
fn a_damaged_vault_is_7_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("default");
    for path in [folder.path(), &profile] {
        let _ = fs::create_dir(path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let vault = profile.join("vault.db");
    let garbage = b"this is no vault, but something that a user may still want".repeat(100);
    fs::write(&vault, &garbage).unwrap();
    fs::set_permissions(&vault, fs::Permissions::from_mode(0o600)).unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "x").unwrap();
    let ended = run(&[
        "--json",
        "--data",
        folder.path().to_str().unwrap(),
        "--passphrase-file",
        secret.to_str().unwrap(),
        "whoami",
    ]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(7), "vault_damaged"), "{ended:?}");
    assert_eq!(fs::read(&vault).unwrap(), garbage);
}
