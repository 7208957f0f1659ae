//! The table of rate limits: what each is for, what it counts, how much it allows, and what it does when it is crowded.

use std::collections::BTreeMap;

use crate::base::config::Limit;

/// What a limit does with a new key when all of its buckets are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowding {
    /// Fail open: the fullest buckets are forgotten. For limits that keep the server usable.
    Open,
    /// Fail closed: new keys are refused. For limits that guard secrets, where a forgotten bucket is a free guess.
    Closed,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in `[limits]`.
    pub name: &'static str,
    /// What it counts.
    pub key: &'static str,
    /// Its rate, unless `[limits]` sets another.
    pub limit: Limit,
    /// Whether it fails open or closed.
    pub crowding: Crowding,
    /// The reason for it.
    pub reason: &'static str,
}

macro_rules! limits {
    ($($variant:ident = $name:literal, $key:literal, $burst:literal, $tokens:literal / $seconds:literal, $crowding:ident, $reason:literal;)*) => {
        /// Names a limit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum LimitName {
            $(#[doc = $reason] $variant,)*
        }

        impl LimitName {
            /// Every limit, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns its line of the table.
            #[must_use]
            pub const fn rule(self) -> Rule {
                match self {
                    $(Self::$variant => Rule {
                        name: $name,
                        key: $key,
                        limit: Limit { burst: $burst, tokens: $tokens, per_seconds: $seconds },
                        crowding: Crowding::$crowding,
                        reason: $reason,
                    },)*
                }
            }
        }
    };
}

limits! {
    RequestsAddress = "requests_address", "network", 1_000, 100 / 1, Open,
        "Any call: one machine must not take the whole server.";
    RegisterAddress = "register_address", "network", 20, 20 / 3_600, Closed,
        "Names are for people, and each costs a password hash.";
    LoginAccount = "login_account", "username", 10, 1 / 60, Closed,
        "Guesses at a password without a device's key: 1,450 a day.";
    LoginDevice = "login_device", "device", 10, 1 / 60, Closed,
        "Logins with a valid signature of a device are counted separately, so that guessing locks nobody out.";
    LoginAddress = "login_address", "network", 30, 10 / 60, Open,
        "Guesses at many accounts from one place.";
    LoginServer = "login_server", "server", 30, 10 / 1, Closed,
        "All guesses without a device's key together, so that logins with one find the password pool free.";
    PasswordAccount = "password_account", "account", 5, 1 / 60, Closed,
        "Guesses at the password by anyone with a live login.";
    LookupAccount = "lookup_account", "account", 100, 1 / 900, Closed,
        "Looking names up one after the other would list everybody.";
    LookupAddress = "lookup_address", "network", 400, 1 / 60, Open,
        "The same with many accounts from one place.";
    PublishAccount = "publish_account", "account", 20, 1 / 600, Open,
        "Every device list is kept for ever.";
    UploadDevice = "upload_device", "device", 60, 1 / 5, Open,
        "An upload is a hundred rows.";
    BundlePair = "bundle_pair", "account to device", 6, 1 / 600, Closed,
        "One account must not drain a device's one-time prekeys; above it a bundle comes without one.";
    BundleTarget = "bundle_target", "device", 60, 60 / 3_600, Closed,
        "Many accounts together must not either.";
    BundleRefuse = "bundle_refuse", "account to account", 30, 30 / 3_600, Open,
        "Far above what set-up ever needs, bundles are refused.";
    ConnectDevice = "connect_device", "device", 30, 1 / 2, Open,
        "Every new socket is a durable write.";
    SendPair = "send_pair", "account to account", 60, 1 / 1, Open,
        "One account must not flood another's queues.";
}

impl LimitName {
    /// Returns its index in the table.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Why a line of `[limits]` cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No limit has this name.
    #[error("there is no limit of this name")]
    Unknown,
    /// One of the numbers is 0. A limit can neither be switched off nor refuse everything.
    #[error("a limit's numbers start from 1")]
    Zero,
}

/// The limits in force: the table's, changed by `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitTable {
    limits: Vec<Limit>,
}

impl Default for LimitTable {
    fn default() -> Self {
        Self { limits: LimitName::ALL.iter().map(|name| name.rule().limit).collect() }
    }
}

impl LimitTable {
    /// Returns the table with these limits, by their names in `[limits]`, in place of its own.
    ///
    /// # Errors
    /// [`LimitError`] for an unknown name or a zero.
    pub fn changed(limits: &BTreeMap<String, Limit>) -> Result<Self, LimitError> {
        let mut table = Self::default();
        for (name, limit) in limits {
            table.set(name, *limit)?;
        }
        Ok(table)
    }

    /// Changes the limit with this name in `[limits]`.
    ///
    /// # Errors
    /// [`LimitError`]; nothing is changed then.
    pub fn set(&mut self, name: &str, limit: Limit) -> Result<(), LimitError> {
        if limit.burst == 0 || limit.tokens == 0 || limit.per_seconds == 0 {
            return Err(LimitError::Zero);
        }
        let name = LimitName::ALL.iter().find(|known| known.rule().name == name).ok_or(LimitError::Unknown)?;
        *self.limits.get_mut(name.index()).ok_or(LimitError::Unknown)? = limit;
        Ok(())
    }

    /// Returns the limit in force.
    #[must_use]
    pub fn limit(&self, name: LimitName) -> &Limit {
        /// Never used, because the table has a line for each name. It allows one request an hour.
        static STRICT: Limit = Limit { burst: 1, tokens: 1, per_seconds: 3_600 };
        self.limits.get(name.index()).unwrap_or(&STRICT)
    }

    /// Returns every limit in force, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = (LimitName, &Limit)> {
        LimitName::ALL.iter().copied().zip(&self.limits)
    }
}
