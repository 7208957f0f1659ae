//! All nodes have the same keys, or do not start.

use std::os::unix::fs::PermissionsExt as _;

use super::world::{Cluster, PASSWORD, With};

fn secrets(cluster: &Cluster, arguments: &[&str]) -> serde_json::Value {
    let mut command = cluster.nodes[0].world.command();
    let output =
        command.args(["secrets", "--json", "--secrets"]).arg(cluster.secrets()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn reload(cluster: &Cluster, node: usize) -> String {
    let world = &cluster.nodes[node].world;
    let output = world.command().args(["admin", "reload", "--data"]).arg(world.data()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_other_keys_does_not_start() {
    let mut cluster = Cluster::start(With { nats: false, nginx: false });
    cluster.nodes[2].stop();
    let (shared, node) = (cluster.secrets(), &mut cluster.nodes[2]);
    let elsewhere = node.world.file("other-secrets");
    let refused = |more: &[&str]| {
        let folder = ["--secrets", elsewhere.to_str().unwrap()];
        node.world.refused(&[&node.flags_without_secrets()[..], &folder, more].concat())
    };
    let copy = |name: &str| assert!(std::fs::copy(shared.join(name), elsewhere.join(name)).is_ok());
    let said = refused(&[]);
    assert!(said.contains("retired_names.key") && said.contains("copy the secrets folder"), "{said}");
    copy("retired_names.key");
    let said = refused(&[]);
    assert!(said.contains("replace-keys --replaces"), "{said}");
    copy("token_keys.json");
    let pepper = node.world.file("pepper");
    std::fs::write(&pepper, "a pepper of enough bytes").unwrap();
    std::fs::set_permissions(&pepper, std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = refused(&["--pepper-file", pepper.to_str().unwrap()]);
    assert!(said.contains("--pepper-file holds another secret"), "{said}");
    let flags: Vec<_> = node.flags_without_secrets().into_iter().map(str::to_owned).collect();
    let mut flags: Vec<_> = flags.iter().map(String::as_str).collect();
    flags.extend(["--secrets", elsewhere.to_str().unwrap()]);
    drop(node.world.start(&flags));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_tokens_change_without_logging_anyone_out() {
    let cluster = Cluster::start(With { nats: true, nginx: false });
    let people = cluster.people(1).await;
    let everywhere = async |token: &str| {
        let mut answers = Vec::new();
        for node in &cluster.nodes {
            answers.push(node.client().call("GET", "/v1/sessions", token, "").await.0);
        }
        answers
    };
    let fresh = async |node: usize| {
        let client = cluster.nodes[node].client();
        let body = client.login_body(&people[0], PASSWORD).await;
        let (status, body) = client.call("POST", "/v1/sessions", "", &body).await;
        assert_eq!(status, 200, "{body}");
        let grant: serde_json::Value = serde_json::from_str(&body).unwrap();
        grant["access_token"].as_str().unwrap().to_owned()
    };
    let mut token = people[0].token.clone();
    assert_eq!(everywhere(&token).await, [200; 3]);
    for (step, states) in [("add-key", &["signs", "waiting"][..]), ("use-key", &["believed", "signs"])] {
        let keys = secrets(&cluster, &[step]);
        let shown: Vec<_> =
            keys["token_keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
        assert_eq!(shown, states);
        // While some nodes have taken it up and others have not, each believes what any of them issues.
        for node in 0..3 {
            assert!(reload(&cluster, node).contains("token"), "it says what has changed");
            assert_eq!(everywhere(&token).await, [200; 3], "{step} on node {node}");
            for issuer in 0..3 {
                token = fresh(issuer).await;
                assert_eq!(everywhere(&token).await, [200; 3], "{step} on node {node}, issued by {issuer}");
            }
        }
    }
    secrets(&cluster, &["drop-keys"]);
    (0..3).for_each(|node| drop(reload(&cluster, node)));
    assert_eq!(everywhere(&token).await, [200; 3], "it was signed with the new key");
    secrets(&cluster, &["replace-keys"]);
    (0..3).for_each(|node| drop(reload(&cluster, node)));
    assert_eq!(everywhere(&token).await, [401; 3], "no token of before is believed");
    assert_eq!(everywhere(&fresh(1).await).await, [200; 3]);
}
