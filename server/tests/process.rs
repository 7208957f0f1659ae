//! The program as an operator meets it: started, looked at, stopped, killed and started again.

#[cfg(test)]
mod process {
    mod admin;
    mod crawl;
    mod durability;
    mod login_flood;
    mod secrecy;
    mod starting;
    mod stopping;
    mod world;
}
