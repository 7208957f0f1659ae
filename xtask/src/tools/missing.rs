//! What is not there and can't be installed from here, and what is left out because of it.

use anyhow::{Result, bail};

use super::Need;

/// Something that is missing.
#[derive(Debug)]
pub(crate) struct Lack {
    name: String,
    /// The command that installs it.
    install: String,
    need: Need,
    /// The tests that start it, as nextest selects them; empty unless it is needed for some tests.
    tests: String,
}

impl Lack {
    /// Returns a tool without which a whole check is left out.
    pub(crate) fn tool(name: &str, install: &str, need: Need) -> Self {
        Self { name: name.to_owned(), install: install.to_owned(), need, tests: String::new() }
    }

    /// Returns a program that these tests start.
    pub(crate) fn engine(name: &str, install: &str, tests: &str) -> Self {
        Self { tests: tests.to_owned(), ..Self::tool(name, install, Need::Tests) }
    }
}

/// Everything that is missing.
#[derive(Debug, Default)]
pub(crate) struct Missing(Vec<Lack>);

impl Missing {
    pub(crate) fn add(&mut self, lack: Lack) {
        self.0.push(lack);
    }

    /// Returns whether a check can't be done at all.
    pub(crate) fn lacks(&self, need: Need) -> bool {
        self.0.iter().any(|lack| lack.need == need)
    }

    /// Says what is missing, how to install it, and what is left out.
    pub(crate) fn report(&self) {
        for Lack { name, install, need, tests } in &self.0 {
            let left_out = match need {
                Need::Tests => format!("the tests {tests}"),
                Need::Nextest => "every test".to_owned(),
                Need::Supply => "the check of the dependencies".to_owned(),
                Need::Fuzz => "the replay of the fuzz corpora".to_owned(),
                Need::Web => "the build for WebAssembly".to_owned(),
            };
            eprintln!("==> {name} is missing ({install}); left out: {left_out}");
        }
    }

    /// Fails if anything is missing.
    ///
    /// # Errors
    /// Names what is missing and how to install it.
    pub(crate) fn refuse(&self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let missing: Vec<_> = self.0.iter().map(|Lack { name, install, .. }| format!("{name} ({install})")).collect();
        bail!("the checks need what is missing here: {}", missing.join(", "))
    }

    /// Returns the nextest filter that leaves out the tests of what is missing, or `None` when all of them can run.
    pub(crate) fn tests_that_can_run(&self) -> Option<String> {
        let left_out: Vec<_> =
            self.0.iter().filter(|lack| lack.need == Need::Tests).map(|lack| format!("({})", lack.tests)).collect();
        (!left_out.is_empty()).then(|| format!("not ({})", left_out.join(" | ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tests_of_what_is_missing_are_left_out() {
        let mut missing = Missing::default();
        assert_eq!(missing.tests_that_can_run(), None);
        missing.refuse().unwrap();
        missing.add(Lack::tool("clang", "apt-get install clang", Need::Web));
        assert_eq!(missing.tests_that_can_run(), None);
        missing.add(Lack::engine("strace", "apt-get install strace", "test(a)"));
        missing.add(Lack::engine("nginx", "apt-get install nginx-light", "test(b)"));
        assert_eq!(missing.tests_that_can_run().as_deref(), Some("not ((test(a)) | (test(b)))"));
        assert!(missing.lacks(Need::Web) && missing.lacks(Need::Tests) && !missing.lacks(Need::Fuzz));
        let refused = missing.refuse().unwrap_err().to_string();
        for name in ["clang", "strace", "apt-get install nginx-light"] {
            assert!(refused.contains(name), "{refused}");
        }
    }
}
