-- Version 1: accounts, devices, prekeys, sessions and queues.
--
-- Ids, keys and hashes are BLOBs of fixed length. A u64 is stored as the i64 with the same bits. Times are ms since 1970.
-- `dev` is a device's internal key: it is never given again, because the ids of queue rows are built on it.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    account_id    BLOB    NOT NULL PRIMARY KEY CHECK (length(account_id) = 16),
    username      TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    list_version  INTEGER NOT NULL,
    list_hash     BLOB    NOT NULL CHECK (length(list_hash) = 32)
) STRICT, WITHOUT ROWID;

-- Keyed hashes of the names of deleted accounts: a name is not given twice.
CREATE TABLE retired_names (
    username_hash BLOB NOT NULL PRIMARY KEY CHECK (length(username_hash) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE invites (
    invite_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(invite_hash) = 32),
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every list that was current, as it was signed; the newest is the one that `accounts` names.
CREATE TABLE device_lists (
    account_id BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    encoded    BLOB    NOT NULL,
    PRIMARY KEY (account_id, version)
) STRICT, WITHOUT ROWID;

-- `listed = 0` is a tombstone: the device is in no list any more, but queue rows may still name it as their sender.
-- `number_window` is the ring of the last 1,024 numbers up to `highest_number`, one bit each.
CREATE TABLE devices (
    dev              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account_id       BLOB    NOT NULL CHECK (length(account_id) = 16),
    device_id        INTEGER NOT NULL CHECK (device_id BETWEEN 1 AND 127),
    registration     BLOB    NOT NULL CHECK (length(registration) = 32),
    identity         BLOB    NOT NULL CHECK (length(identity) = 32),
    listed           INTEGER NOT NULL CHECK (listed IN (0, 1)),
    removed_at       INTEGER,
    last_seen_at     INTEGER NOT NULL,
    key_epoch        INTEGER NOT NULL,
    max_issued_id    INTEGER NOT NULL,
    connection_epoch INTEGER NOT NULL,
    queue_messages   INTEGER NOT NULL CHECK (queue_messages >= 0),
    queue_bytes      INTEGER NOT NULL CHECK (queue_bytes >= 0),
    queue_next       INTEGER NOT NULL,
    highest_number   INTEGER NOT NULL,
    number_window    BLOB    NOT NULL CHECK (length(number_window) = 128),
    UNIQUE (account_id, device_id, registration)
) STRICT;

CREATE UNIQUE INDEX devices_listed ON devices (account_id, device_id) WHERE listed = 1;
CREATE INDEX devices_removed ON devices (removed_at) WHERE listed = 0;

CREATE TABLE signed_prekeys (
    dev        INTEGER NOT NULL PRIMARY KEY,
    key_id     INTEGER NOT NULL,
    key        BLOB    NOT NULL CHECK (length(key) = 32),
    expires_at INTEGER NOT NULL,
    signature  BLOB    NOT NULL CHECK (length(signature) = 64)
) STRICT;

CREATE TABLE one_time_prekeys (
    dev    INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    key    BLOB    NOT NULL CHECK (length(key) = 32),
    PRIMARY KEY (dev, key_id)
) STRICT, WITHOUT ROWID;

-- Ended sessions stay for a while, so that their ids are recognised when a request is repeated.
CREATE TABLE sessions (
    session_id    BLOB    NOT NULL PRIMARY KEY CHECK (length(session_id) = 16),
    account_id    BLOB    NOT NULL,
    dev           INTEGER NOT NULL,
    refresh_hash  BLOB    NOT NULL CHECK (length(refresh_hash) = 32),
    previous_hash BLOB             CHECK (length(previous_hash) = 32),
    generation    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER NOT NULL,
    ended         INTEGER NOT NULL CHECK (ended IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_live ON sessions (account_id, dev) WHERE ended = 0;
CREATE INDEX sessions_ended ON sessions (last_used_at) WHERE ended = 1;

-- `id` is `dev << 34 | sequence`: a queue is one range of the table, oldest first, so that a drain reads neighbouring
-- pages, an acknowledged run is deleted by one statement, and no id of one device can reach a row of another.
CREATE TABLE queue (
    id          INTEGER NOT NULL PRIMARY KEY,
    dev         INTEGER NOT NULL,
    sender_dev  INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    ciphertext  BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX queue_numbers ON queue (dev, sender_dev, number);

-- `kind` 1: own messages that will not be delivered (`numbers`, u64 big-endian each; `reason` 1 expired, 2 device
-- removed, 3 account deleted). `kind` 2: others' messages that were not kept (`reason` 1 queue full, 2 dormant,
-- 3 expired). `sealed` once it was read for delivery: from then on it does not change, so that an ack means what was read.
CREATE TABLE notices (
    notice_id  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    dev        INTEGER NOT NULL,
    kind       INTEGER NOT NULL CHECK (kind IN (1, 2)),
    reason     INTEGER NOT NULL CHECK (reason IN (1, 2, 3)),
    peer       BLOB    NOT NULL CHECK (length(peer) = 49),
    count      INTEGER NOT NULL CHECK (count > 0),
    numbers    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    sealed     INTEGER NOT NULL CHECK (sealed IN (0, 1))
) STRICT;

CREATE UNIQUE INDEX notices_open ON notices (dev, kind, reason, peer) WHERE sealed = 0;
CREATE INDEX notices_by_device ON notices (dev);
CREATE INDEX notices_by_age ON notices (created_at);
