-- prosody for `bench peers`. Words between at signs are filled in by the bench.
--
-- NOT DURABLE: the internal storage appends each offline message to a file of its recipient, and never syncs it. A power
-- cut loses messages that had been accepted.
--
-- The modules are those that Debian's prosody.cfg.lua enables, but for those that serve other servers and operators. What
-- differs is in its favour: no TLS, `limits` (10 kB/s a client) isn't loaded, no limit on stored messages, and passwords
-- kept as they are, so that a log-in costs no key derivation.

run_as_root = true -- The bench may run as root in a container.
daemonize = false
pidfile = "@FOLDER@/prosody.pid"
data_path = "@FOLDER@"
log = { { levels = { min = "error" }, to = "file", filename = "@FOLDER@/prosody.log" } }

interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
network_settings = { tcp_backlog = 4096 }

modules_enabled = {
	"disco";
	"roster";
	"saslauth";
	"blocklist";
	"bookmarks";
	"carbons";
	"pep";
	"private";
	"smacks";
	"vcard4";
	"vcard_legacy";
	"csi_simple";
	"invites";
	"invites_adhoc";
	"invites_register";
	"ping";
	"register";
	"time";
	"uptime";
	"version";
}
-- Loaded unless told otherwise: message, presence, iq, offline, c2s.
modules_disabled = { "s2s", "s2s_auth_certs", "tls" }

storage = "internal"
storage_archive_item_limit = 10000000
authentication = "internal_plain"
allow_registration = true
registration_invite_only = false
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
c2s_stanza_size_limit = 262144

VirtualHost "localhost"
