use rustix::process::Signal;

use super::world::World;

#[tokio::test]
async fn after_a_restore_old_tokens_are_refused_and_people_log_in_again() {
    let mut world = World::new();
    let mut server = world.start_local();
    let (client, backup) = (server.client(), world.file("backup"));
    let alice = client.register("alice", "correct horse battery").await;
    let backed_up =
        world.command().arg("backup").arg("--data").arg(world.data()).arg("--to").arg(&backup).output().unwrap();
    assert!(backed_up.status.success(), "{}", String::from_utf8_lossy(&backed_up.stderr));
    let restore = || {
        let mut command = world.command();
        command.args(["restore", "--replace", "--from"]).arg(&backup).arg("--data").arg(world.data());
        command.output().unwrap()
    };
    let while_it_runs = restore();
    assert!(!while_it_runs.status.success());
    assert!(String::from_utf8_lossy(&while_it_runs.stderr).contains("another process uses the data folder"));
    assert_eq!(client.call("GET", "/v1/sessions", &alice.token, "").await.0, 200);
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    let restored = restore();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));

    let server = world.start_local();
    // The authority was restored too: what clients have pinned is still right.
    let client = server.client();
    assert_eq!(client.call("GET", "/v1/sessions", &alice.token, "").await.0, 401);
    let body = client.login_body(&alice, "correct horse battery").await;
    assert_eq!(client.call("POST", "/v1/sessions", "", &body).await.0, 200);
    assert_eq!(client.call("GET", "/v1/sessions", &alice.token, "").await.0, 401);
}
