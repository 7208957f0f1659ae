//! The countermeasures by name, and the rows of the threat table that they answer.

/// A row of the threat table: an attack. Its number never changes; tests are named after it (`threat_22_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub u8);

macro_rules! countermeasures {
    ($($name:ident = $row:literal, $text:literal, $answer:literal;)*) => {
        /// What answers an attack, and can be left out of a special build.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Countermeasure {
            $(#[doc = concat!("Row ", $row, ": ", $answer, ".")] $name,)*
        }

        impl Countermeasure {
            /// Every countermeasure, in the order of the rows.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the row of the threat table that it answers.
            #[must_use]
            pub const fn row(self) -> Row {
                match self { $(Self::$name => Row($row)),* }
            }

            /// Returns its name in snake case, as `SEALPOST_SABOTAGE` takes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Returns what it does, in half a sentence.
            #[must_use]
            pub const fn answer(self) -> &'static str {
                match self { $(Self::$name => $answer),* }
            }

            /// Returns the countermeasure of this [name](Self::name).
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|countermeasure| countermeasure.name() == name)
            }

            /// Returns the countermeasures that answer a row.
            pub fn of(row: Row) -> impl Iterator<Item = Self> {
                Self::ALL.iter().copied().filter(move |countermeasure| countermeasure.row() == row)
            }
        }
    };
}

countermeasures! {
    BundleLimits = 1, "bundle_limits", "limits on taking bundles, by requester and by target";
    AtomicTake = 2, "atomic_take", "a take reads and deletes a one-time prekey in one step";
    DurableTake = 3, "durable_take", "answers wait for the commit";
    MaxIssuedId = 4, "max_issued_id", "one-time prekey ids at or below the highest ever uploaded change nothing";
    KeyEpoch = 5, "key_epoch", "one-time prekeys stay out of backups, and a restore begins a key epoch";
    SignedPrekeySignature = 6, "signed_prekey_signature", "the signature of a signed prekey is verified";
    IdentityPin = 7, "identity_pin", "the account identity key is pinned, and safety numbers are made of it";
    SignedDeviceList = 8, "signed_device_list", "devices come from signed lists that never go back";
    KeyEncoding = 9, "key_encoding", "type bytes of keys and labels of signatures";
    ContributoryKeys = 10, "contributory_keys", "keys of low order and all-zero shared secrets are refused";
    InitialMessageOnce = 11, "initial_message_once", "an initial message makes one session";
    PartyBinding = 12, "party_binding", "both parties' ids and keys are in the associated data";
    SignedPrekeyExpiry = 13, "signed_prekey_expiry", "expired signed prekeys are refused";
    SkipLimit = 14, "skip_limit", "a bounded number of message keys is skipped";
    SyncedCommit = 15, "synced_commit", "a commit is synced before it is answered";
    AcceptedNumbers = 16, "accepted_numbers", "an accepted number is not stored again";
    ShownOnce = 17, "shown_once", "what was shown is remembered";
    CounterOrder = 18, "counter_order", "messages are shown in the order of their counters";
    GapNotice = 19, "gap_notice", "a missing counter is shown";
    AckOwnership = 20, "ack_ownership", "an ack reaches the own device's rows alone";
    AckDelivered = 21, "ack_delivered", "an ack names what was delivered on its connection";
    ConnectionEpoch = 22, "connection_epoch", "an older connection neither sends nor acks";
    PingTimeout = 23, "ping_timeout", "a connection that misses pings is dropped";
    FairShare = 24, "fair_share", "one sender's share of a queue is bounded";
    AckUndecryptable = 25, "ack_undecryptable", "a message that does not decrypt is acked all the same";
    RegistrationKey = 26, "registration_key", "queues belong to a registration, not to a device number";
    AllCopies = 27, "all_copies", "all device copies are stored, or none";
    ClocklessOrder = 29, "clockless_order", "queues are in order of row ids, not of times";
    HashingQueue = 30, "hashing_queue", "password hashing is bounded, behind limits";
    GuessLimits = 31, "guess_limits", "guesses are limited, and common passwords refused";
    SameAnswer = 32, "same_answer", "unknown names get the answer of known ones";
    SameTime = 33, "same_time", "unknown names cost the time of known ones";
    LookUpLimits = 34, "look_up_limits", "looking up names is limited";
    TokenHeader = 35, "token_header", "a token's algorithm and type are checked";
    TokenTimes = 36, "token_times", "a token's times are checked";
    Revocation = 37, "revocation", "each use of a token asks whether its session lives";
    RefreshRotation = 38, "refresh_rotation", "a spent refresh token ends its session";
    RoutePatterns = 39, "route_patterns", "logs hold route patterns, never addresses";
    OriginCheck = 40, "origin_check", "a stream opens for listed origins alone";
    UsernameAlphabet = 41, "username_alphabet", "usernames are plain ASCII";
    PasswordBytes = 42, "password_bytes", "passwords are taken as given";
    UniqueName = 43, "unique_name", "a name is registered once";
    NewIdentityMark = 44, "new_identity_mark", "a new identity is marked in the signed list";
    HeadTimeout = 45, "head_timeout", "request heads have a time limit";
    BodyTimeout = 46, "body_timeout", "request bodies have a time limit";
    WriterBound = 47, "writer_bound", "what waits for a slow reader is bounded, in size and time";
    MessageLimits = 48, "message_limits", "frames and fragments are bounded";
    FrameRules = 49, "frame_rules", "frames against the protocol end the connection";
    PlainBodies = 50, "plain_bodies", "compressed bodies are refused";
    BodyLimit = 51, "body_limit", "bodies are bounded before they are parsed";
    ConnectionLimits = 52, "connection_limits", "connections are bounded, by network and by account";
    LengthOnly = 53, "length_only", "bodies have a length, never chunks";
    TrustedProxies = 54, "trusted_proxies", "a client's address is believed of listed proxies alone";
    StrictTransport = 55, "strict_transport", "answers over TLS demand TLS";
    PanicBoundary = 56, "panic_boundary", "a panic is caught where its request ends";
    OwnerCheck = 57, "owner_check", "ids are looked up among the caller's own";
    ObjectBodies = 58, "object_bodies", "a body is an object of the documented fields";
    ClosedErrors = 59, "closed_errors", "a 5xx answer says code and request id alone";
    SecureDelete = 62, "secure_delete", "deleted rows are overwritten";
    RestoreEndsLogins = 63, "restore_ends_logins", "a restore ends all logins";
    DatabaseVersions = 64, "database_versions", "database versions with known leaks are refused";
    DurabilityCheck = 65, "durability_check", "a store that does not wait for the disk is refused";
    HintsOnly = 66, "hints_only", "a hint makes a node look, and nothing else";
    Sweep = 67, "sweep", "nodes look without hints, too";
    ClosedRoutes = 68, "closed_routes", "only documented routes answer";
    NoCoreDumps = 69, "no_core_dumps", "the process leaves no core";
    DependencyRules = 72, "dependency_rules", "licences and sources are agreed to beforehand";
    DiskReserve = 73, "disk_reserve", "messages are refused before the disk is full";
    FatalSync = 74, "fatal_sync", "a failed sync ends the process";
}

impl Row {
    /// Every row that has a countermeasure here, with its attack, ascending.
    pub const ALL: &[(Self, &str)] = &[
        (Self(1), "draining somebody's one-time prekeys"),
        (Self(2), "one one-time prekey for two takers at once"),
        (Self(3), "… through a crash in the middle of a take"),
        (Self(4), "… through an upload repeated after its answer was lost"),
        (Self(5), "… through a restored backup"),
        (Self(6), "the server swaps a signed prekey or its signature"),
        (Self(7), "the server swaps an identity key"),
        (Self(8), "the server adds a device, or rolls the device list back"),
        (Self(9), "a key or a signature of one kind passed off as another"),
        (Self(10), "keys of low order, all-zero shared secrets"),
        (Self(11), "an initial message replayed"),
        (Self(12), "a message passed off as to or from somebody else"),
        (Self(13), "an expired signed prekey"),
        (Self(14), "a header that makes the recipient derive endless skipped message keys"),
        (Self(15), "an accepted message lost"),
        (Self(16), "a message accepted or shown twice"),
        (Self(17), "the server replays what was delivered"),
        (Self(18), "the server reorders messages"),
        (Self(19), "the server drops a message silently"),
        (Self(20), "acknowledging another device's messages"),
        (Self(21), "acknowledging what was not delivered on this connection"),
        (Self(22), "an old connection that goes on after a new one took over"),
        (Self(23), "a half-open connection that swallows messages"),
        (Self(24), "flooding a queue"),
        (Self(25), "a message that never decrypts holds up the others"),
        (Self(26), "delivery to another device under the same number"),
        (Self(27), "some device copies stored and others not"),
        (Self(29), "a clock that lies"),
        (Self(30), "logins that use up the processor"),
        (Self(31), "guessing passwords"),
        (Self(32), "telling from an answer whether a name exists"),
        (Self(33), "telling it from the time an answer takes"),
        (Self(34), "crawling for names"),
        (Self(35), "a token with another algorithm, key or type"),
        (Self(36), "a token whose times are of the wrong type"),
        (Self(37), "a token used after log-out, password change or removal"),
        (Self(38), "a stolen refresh token"),
        (Self(39), "tokens in addresses and logs"),
        (Self(40), "a web page that opens a stream"),
        (Self(41), "names that look like other names"),
        (Self(42), "passwords trimmed, cut or normalised"),
        (Self(43), "one name registered twice at once"),
        (Self(44), "a reset password as a way into conversations"),
        (Self(45), "request heads that come slowly"),
        (Self(46), "request bodies that come slowly"),
        (Self(47), "streams that are never read"),
        (Self(48), "oversized frames and floods of fragments"),
        (Self(49), "WebSocket frames against the protocol"),
        (Self(50), "compressed bombs"),
        (Self(51), "JSON too deep, too wide or with two keys of one name"),
        (Self(52), "using up connections"),
        (Self(53), "one request for the proxy, another for the server"),
        (Self(54), "a forged client address"),
        (Self(55), "a weaker TLS"),
        (Self(56), "a panic that ends more than its own request"),
        (Self(57), "reaching another's device, session or queue by its id"),
        (Self(58), "database operators in input"),
        (Self(59), "fields nobody asked for, in requests or answers"),
        (Self(62), "a stolen database"),
        (Self(63), "a restored backup that brings ended sessions back"),
        (Self(64), "a database that anyone can read"),
        (Self(65), "a store that does not keep what it accepted"),
        (Self(66), "a relay that forges hints"),
        (Self(67), "a relay that loses hints"),
        (Self(68), "debugging pages left open"),
        (Self(69), "secrets in logs"),
        (Self(72), "a dependency with a licence, source or flaw that was not agreed to"),
        (Self(73), "a full disk"),
        (Self(74), "a sync that fails"),
    ];
}
