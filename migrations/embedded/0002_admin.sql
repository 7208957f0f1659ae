-- Version 2: what an operator looks at and decides.
--
-- `created_at` of an invite: 0 for those that were made before this version. `disabled_at` of an account: NULL while its
-- owner may log in.

ALTER TABLE invites ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN disabled_at INTEGER;
