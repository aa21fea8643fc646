//! Texts that a chart can hold.

/// Longest text, in characters: names may be thousands of bytes.
const MOST: usize = 60;

/// The text, cut to fit, without the characters that no XML document can hold, escaped or not. The rest,
/// `<` and `&` among it, is escaped where it is written.
pub fn clean(text: &str) -> String {
    let mut out: String = text.chars().take(MOST).map(allowed).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    out
}

/// XML 1.0, section 2.2, production 2, and no line breaks: a text is one line.
fn allowed(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => ' ',
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        // What turns the direction of the text after it would turn the rest of the chart's.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        assert_eq!(clean("a\u{1}b\u{ffff}\nc<&>"), "a\u{fffd}b\u{fffd} c<&>");
        assert_eq!(clean(&"é".repeat(100)), format!("{}…", "é".repeat(60)));
        assert_eq!(clean(&"é".repeat(60)), "é".repeat(60));
    }
}
