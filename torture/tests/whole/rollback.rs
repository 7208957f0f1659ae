use std::fs;
use std::path::Path;

use super::scene::{Scene, events, receive, run, send, texts};

fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_profile_rolled_back_to_an_old_copy_notices_and_goes_on_with_new_sessions() {
    let scene = Scene::new();
    let (alice, bob) = (scene.person("alice"), scene.person("bob"));
    send(&alice, &bob, "before the backup");
    assert_eq!(texts(&receive(&bob)), ["before the backup"]);
    send(&bob, &alice, "an answer");
    assert_eq!(texts(&receive(&alice)), ["an answer"]);

    let (profile, backup) = (scene.profile("alice"), scene.folder.path().join("backup"));
    copy(&profile, &backup);
    for number in 1..=3 {
        send(&alice, &bob, &format!("after the backup, {number}"));
    }
    assert_eq!(texts(&receive(&bob)).len(), 3);
    copy(&backup, &profile);

    let ended = run(&alice, &["receive", "--timeout", "5"]);
    assert!(events(&ended.lines).iter().any(|event| event.contains("rolled_back")), "{ended:?}");
    send(&alice, &bob, "from the old copy");
    let shown = receive(&bob);
    assert_eq!(texts(&shown), ["from the old copy"]);
    assert!(!events(&shown).contains(&"undecryptable"), "{shown:?}");
    send(&bob, &alice, "heard you");
    assert_eq!(texts(&receive(&alice)), ["heard you"]);
    send(&alice, &bob, "and on");
    assert_eq!(texts(&receive(&bob)), ["and on"]);
}
