//! What must hold between the rows of a sound database.

/// Queries that find rows which cannot be true: a text for the operator, and a query with one column.
pub(super) const INVARIANTS: [(&str, &str); 12] = [
    (
        "a device's counters differ from its queue",
        "SELECT devices.dev FROM devices LEFT JOIN (SELECT dev, count(*) AS messages, sum(length(ciphertext)) AS bytes \
         FROM queue GROUP BY dev) AS held ON held.dev = devices.dev \
         WHERE queue_messages <> coalesce(messages, 0) OR queue_bytes <> coalesce(bytes, 0)",
    ),
    ("a queue row lies outside of its device's range", "SELECT id FROM queue WHERE id >> 34 <> dev"),
    (
        "a queue row's sequence was never given",
        "SELECT id FROM queue JOIN devices USING (dev) WHERE id & 17179869183 >= queue_next",
    ),
    (
        "a queue row has no recipient in a current list",
        "SELECT id FROM queue WHERE NOT EXISTS (SELECT 1 FROM devices WHERE devices.dev = queue.dev AND listed = 1)",
    ),
    (
        "a queue row has no sender",
        "SELECT id FROM queue WHERE NOT EXISTS (SELECT 1 FROM devices WHERE devices.dev = queue.sender_dev)",
    ),
    (
        "a queue row's number is above its sender's highest",
        "SELECT id FROM queue JOIN devices ON devices.dev = queue.sender_dev \
         WHERE highest_number > 0 AND number > highest_number",
    ),
    (
        "a notice has no device in a current list",
        "SELECT notice_id FROM notices \
         WHERE NOT EXISTS (SELECT 1 FROM devices WHERE devices.dev = notices.dev AND listed = 1)",
    ),
    (
        "a notice's count differs from its numbers",
        "SELECT notice_id FROM notices WHERE kind = 1 AND count * 8 <> length(numbers)",
    ),
    (
        "a one-time prekey has no device, or an id that was never issued",
        "SELECT key_id FROM one_time_prekeys WHERE NOT EXISTS (SELECT 1 FROM devices \
         WHERE devices.dev = one_time_prekeys.dev AND listed = 1 AND max_issued_id >= key_id)",
    ),
    (
        "a signed prekey has no device in a current list",
        "SELECT dev FROM signed_prekeys \
         WHERE NOT EXISTS (SELECT 1 FROM devices WHERE devices.dev = signed_prekeys.dev AND listed = 1)",
    ),
    (
        "a live session has no device in a current list of its account",
        "SELECT hex(session_id) FROM sessions WHERE ended = 0 AND NOT EXISTS (SELECT 1 FROM devices \
         WHERE devices.dev = sessions.dev AND devices.account_id = sessions.account_id AND listed = 1)",
    ),
    (
        "an account has no current device list or no device",
        "SELECT hex(account_id) FROM accounts WHERE NOT EXISTS (SELECT 1 FROM device_lists \
         WHERE device_lists.account_id = accounts.account_id AND version = list_version) \
         OR NOT EXISTS (SELECT 1 FROM devices WHERE devices.account_id = accounts.account_id AND listed = 1)",
    ),
];
