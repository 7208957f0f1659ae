//! Programs that the checks start, from Debian's packages.

use std::process::Command;

use anyhow::Result;

use super::{Lack, Missing, Need};
use crate::command::{answers, run};

/// A program that a check starts.
struct Program {
    name: &'static str,
    /// Arguments with which it ends at once.
    answers: &'static [&'static str],
    /// The Debian package that brings it.
    package: &'static str,
    need: Need,
    /// The tests that start it, as nextest selects them. Without the program they are left out.
    tests: &'static str,
}

impl Program {
    /// Returns a tool without which a whole check is left out.
    const fn tool(name: &'static str, package: &'static str, need: Need) -> Self {
        Self { name, answers: &["--version"], package, need, tests: "" }
    }

    /// Returns a program that these tests start.
    const fn engine(name: &'static str, package: &'static str, tests: &'static str) -> Self {
        Self { name, answers: &["--version"], package, need: Need::Tests, tests }
    }

    const fn that_answers(self, answers: &'static [&'static str]) -> Self {
        Self { answers, ..self }
    }
}

/// Every program. A test's module is named as the file that it is in.
const PROGRAMS: [Program; 19] = [
    Program::tool("git", "git", Need::Supply),
    Program::tool("c++", "g++", Need::Fuzz),
    Program::tool("clang", "clang", Need::Web),
    Program::engine("make", "make", "test(/(^|::)containers::/)"),
    Program::engine("docker-compose", "docker-compose", "test(/(^|::)containers::/)"),
    Program::engine("fuse2fs", "fuse2fs", "test(/(^|::)unsafe_disk::/)"),
    Program::engine("git", "git", "test(/(^|::)supply::/)"),
    Program::engine("mkfs.ext4", "e2fsprogs", "test(/(^|::)(power|full_disk|unsafe_disk)::/)").that_answers(&["-V"]),
    Program::engine("nats-server", "nats-server", "test(/(^|::)(cluster|containers)::/)"),
    Program::engine("nginx", "nginx-light", "test(/(^|::)(nginx|tls|cluster|containers)::/)").that_answers(&["-v"]),
    Program::engine("openssl", "openssl", "test(/(^|::)(containers|tls)::/)").that_answers(&["version"]),
    Program::engine("promtool", "prometheus", "test(/(^|::)containers::/)"),
    Program::engine("slowhttptest", "slowhttptest", "test(/(^|::)slow::/)").that_answers(&["-h"]),
    Program::engine("strace", "strace", "test(/(^|::)(failing_sync|killed)::/)").that_answers(&["-V"]),
    Program::engine("testssl", "testssl.sh", "test(/(^|::)tls::/)"),
    Program::engine("python3", "python3", "binary(autobahn)"),
    Program::engine("python3", "python3-pip", "binary(autobahn)").that_answers(&["-m", "pip", "--version"]),
    Program::engine("python3", "python3", "test(/(^|::)generated_client::/)"),
    Program::engine("python3", "python3-venv", "test(/(^|::)generated_client::/)").that_answers(&[
        "-m",
        "ensurepip",
        "--version",
    ]),
];

/// Installs the programs that these needs lack, as root on Debian; elsewhere returns them.
///
/// # Errors
/// When Debian's packages can't be installed.
pub(super) fn ensure(needs: &[Need]) -> Result<Missing> {
    let mut missing = Missing::default();
    let absent: Vec<&Program> = PROGRAMS
        .iter()
        .filter(|program| needs.contains(&program.need) && !answers(program.name, program.answers))
        .collect();
    if absent.is_empty() {
        return Ok(missing);
    }
    if rustix::process::getuid().is_root() && answers("apt-get", &["--version"]) {
        install(&absent)?;
        return Ok(missing);
    }
    for Program { name, package, need, tests, .. } in absent {
        let command = format!("on Debian, as root: apt-get install --no-install-recommends {package}");
        missing.add(match need {
            Need::Tests => Lack::engine(name, &command, tests),
            need => Lack::tool(name, &command, *need),
        });
    }
    Ok(missing)
}

fn install(absent: &[&Program]) -> Result<()> {
    let mut packages: Vec<&str> = absent.iter().map(|program| program.package).collect();
    packages.sort_unstable();
    packages.dedup();
    eprintln!("==> apt-get install --yes --no-install-recommends {}", packages.join(" "));
    run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(install.args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(packages))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::command::root;

    /// Collects the names of the modules and test binaries below a folder.
    fn modules(folder: &Path, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
            if path.is_dir() {
                modules(&path, names);
            }
        }
    }

    #[test]
    fn every_module_of_tests_that_would_be_left_out_is_there() {
        let mut names = Vec::new();
        for folder in ["server/tests", "xtask/src"] {
            modules(&root().unwrap().join(folder), &mut names);
        }
        let filters = PROGRAMS.iter().map(|program| program.tests).chain(super::super::wheels::filters());
        let mut checked = 0;
        for filter in filters {
            let words = filter.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            for word in words.filter(|word| !["", "test", "binary"].contains(word)) {
                assert!(names.iter().any(|name| name == word), "{filter}: there is no {word}");
                checked += 1;
            }
        }
        assert!(checked > 20, "only {checked} names were found in the filters");
    }
}
