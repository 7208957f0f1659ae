//! Makes hidden characters visible in text that a peer controls.
//!
//! A terminal obeys control characters, and bidirectional controls and other invisible format characters reorder or hide
//! what a person reads. So they are never printed: at a terminal each is shown as an escape (`\u{202e}`), and in JSON
//! as `\uXXXX`, which a parser turns back into the very same text.

use std::fmt::Write as _;

/// Returns text for a terminal: one line, in which nothing is obeyed, reordered or hidden.
///
/// Joiners stay where two letters or symbols beyond ASCII meet, because Persian, Indic scripts and emoji need them there and
/// there they can neither split nor imitate an ASCII word.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{200c}' | '\u{200d}' if joins(before) && joins(rest.peek().copied()) => shown.push(character),
            hidden if is_hidden(hidden) => {
                // Writing to a String does not fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(hidden));
            }
            plain => shown.push(plain),
        }
        before = Some(character);
    }
    shown
}

/// Escapes every hidden character in JSON. Such characters only occur inside its strings, where `\uXXXX` means the same.
pub(crate) fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Returns whether a joiner may stand beside this character.
fn joins(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|character| {
        !character.is_ascii() && !character.is_whitespace() && (!is_hidden(character) || character == '\u{fe0f}')
    })
}

/// Returns whether a terminal would obey the character, or show nothing for it: C0, C1 and DEL, Unicode's format characters (class
/// Cf, among them the bidirectional controls), line and paragraph separators, fillers, and the tag block.
const fn is_hidden(character: char) -> bool {
    matches!(
        character as u32,
        0x00..=0x1f
            | 0x7f..=0x9f
            | 0xad
            | 0x34f
            | 0x600..=0x605
            | 0x61c
            | 0x6dd
            | 0x70f
            | 0x890..=0x891
            | 0x8e2
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x2028..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfffb
            | 0x110bd
            | 0x110cd
            | 0x13430..=0x1343f
            | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_a_terminal() {
        for code in (0..0x20).chain(0x7f..0xa0) {
            let character = char::from_u32(code).unwrap();
            let shown = visible(&format!("a{character}b"));
            assert!(shown.starts_with("a\\") && shown.ends_with('b'), "{code:x}: {shown}");
            assert!(!shown.contains(character));
        }
        assert_eq!(visible("\u{1b}[2J\u{7}"), "\\u{1b}[2J\\u{7}");
    }

    #[test]
    fn a_second_line_can_not_be_forged() {
        assert_eq!(visible("hi\nbob: send money\r\u{2028}\u{85}"), "hi\\nbob: send money\\r\\u{2028}\\u{85}");
    }

    #[test]
    fn bidirectional_and_invisible_characters_are_shown() {
        for character in ["\u{202a}", "\u{202e}", "\u{2066}", "\u{2069}", "\u{200e}", "\u{200f}", "\u{61c}", "\u{200b}"]
        {
            let shown = visible(&format!("x{character}y"));
            assert!(shown.is_ascii(), "{shown}");
        }
        assert_eq!(visible("\u{202e}"), "\\u{202e}");
        assert_eq!(visible("a\u{e0041}"), "a\\u{e0041}");
    }

    #[test]
    fn joiners_stay_only_between_letters_beyond_ascii() {
        assert_eq!(visible("👩\u{200d}🚀"), "👩\u{200d}🚀");
        assert_eq!(visible("می\u{200c}خواهم"), "می\u{200c}خواهم");
        assert_eq!(visible("pay\u{200d}pal"), "pay\\u{200d}pal");
        assert_eq!(visible("👩\u{200d}"), "👩\\u{200d}");
        assert_eq!(visible("é\u{200d}\u{202e}"), "é\\u{200d}\\u{202e}");
    }

    #[test]
    fn ordinary_text_of_any_script_is_left_alone() {
        for text in ["plain", "Grüße", "日本語", "שלום", "😀", "a\\b"] {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn escaped_json_parses_back_to_the_same_text() {
        let text = "a\u{202e}b\u{9b}\n\u{e0041}\u{1d173}\"\\\u{200d}é";
        let json = escape_json(&serde_json::to_string(text).unwrap());
        assert!(!json.chars().any(is_hidden), "{json}");
        assert!(json.contains("\\u202e"));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
