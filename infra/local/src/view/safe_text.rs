/// Text from a trace as one line a terminal can show: control characters, ANSI escapes and
/// bidirectional marks become visible, so that no name forges a line or a colour.
pub(crate) fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => shown.push(' '),
            '\u{200e}'
            | '\u{200f}'
            | '\u{061c}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {
                shown.extend(character.escape_unicode());
            }
            control if control.is_control() => shown.extend(control.escape_unicode()),
            plain => shown.push(plain),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn hard_case_27_no_name_forges_terminal_output() {
        assert_eq!(safe("Classify\r\nforged"), "Classify  forged");
        assert_eq!(safe("\u{1b}[2Jgone"), "\\u{1b}[2Jgone");
        assert_eq!(safe("user\u{202e}txt.exe"), "user\\u{202e}txt.exe");
        assert_eq!(safe("Prüfung 日本"), "Prüfung 日本");
    }
}
