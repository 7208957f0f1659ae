//! Short forms of `bench load` against the real server: what it counts, and that it notices what does not arrive as it should.

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::{Command, Output};

    use serde_json::Value;

    /// Where the server is when it is not beside the bench.
    fn server() -> Option<PathBuf> {
        std::env::var_os("SEALPOST_TEST_PROGRAMS").map(|folder| PathBuf::from(folder).join("sealpost-server"))
    }

    fn bench(arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command.args(["load", "--unpinned", "--json", "--repeats", "1", "--pairs", "3"]).args(arguments);
        command.envs(server().map(|server| ("SEALPOST_SERVER_BINARY", server)));
        command.output().unwrap()
    }

    fn objects(output: &Output) -> Vec<Value> {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn measure<'a>(objects: &'a [Value], name: &str, transport: &str) -> &'a Value {
        let found = objects.iter().find(|object| object["measure"] == name && object["transport"] == transport);
        found.unwrap_or_else(|| panic!("{name} over {transport} is missing in {objects:?}"))
    }

    #[test]
    fn every_message_is_counted_once_over_both_transports() {
        let output = bench(&["--measure", "store,drain,online", "--messages", "70"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let objects = objects(&output);
        for transport in ["ws", "wss"] {
            for name in ["store", "drain", "online"] {
                let object = measure(&objects, name, transport);
                assert_eq!(object["messages"], 70.0, "{object}");
                assert_eq!(
                    (&object["lost"], &object["doubled"], &object["altered"]),
                    (&0.into(), &0.into(), &0.into())
                );
                assert!(object["rate"].as_f64().unwrap() > 0.0);
            }
        }
    }

    #[test]
    fn latencies_backlogs_idle_streams_and_log_ins_are_measured() {
        let output = bench(&[
            "--measure",
            "latency,backlog,idle,logins",
            "--transport",
            "ws",
            "--rates",
            "50",
            "--seconds",
            "1",
            "--backlog",
            "200",
            "--sockets",
            "5",
            "--settle",
            "0",
            "--logins",
            "3",
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let objects = objects(&output);
        let latency = measure(&objects, "latency at 50/s", "ws");
        assert!(latency["p50_ms"].as_f64().unwrap() > 0.0 && latency["p50_ms"].as_f64() <= latency["p999_ms"].as_f64());
        assert_eq!(measure(&objects, "backlog", "ws")["messages"], 200.0);
        assert_eq!(measure(&objects, "idle", "ws")["sockets"], 5.0);
        assert!(measure(&objects, "log-ins", "ws")["hashes"].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn two_builds_are_compared_figure_by_figure() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        let folder = PathBuf::from(env!("CARGO_BIN_EXE_bench")).parent().unwrap().to_owned();
        command.args(["load", "--unpinned", "--json", "--pairs", "2", "--measure", "store", "--transport", "ws"]);
        let output = command.args(["--messages", "40", "--rounds", "2", "--against"]).arg(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let objects = objects(&output);
        let rate = objects.iter().find(|object| object["figure"] == "rate").unwrap();
        let (ours, theirs) = (rate["ours"].as_f64().unwrap(), rate["theirs"].as_f64().unwrap());
        assert!((rate["cost"].as_f64().unwrap() - theirs / ours).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn a_message_that_is_lost_doubled_or_altered_fails_the_run() {
        for (doctor, noticed) in [("lose", "lost"), ("double", "doubled"), ("alter", "altered")] {
            let output = bench(&["--measure", "drain", "--transport", "ws", "--messages", "30", "--doctor", doctor]);
            assert_eq!(output.status.code(), Some(1), "{doctor}");
            let objects = objects(&output);
            assert_eq!(measure(&objects, "drain", "ws")[noticed], 1, "{objects:?}");
        }
    }
}
