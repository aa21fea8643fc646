//! Times, numbers and JSON as messages and payloads show them.

use lake_chunks::{Micros, text};
use serde_json::Value;

/// An instant as text, also an infinite one.
pub fn time_text(ts: Micros) -> String {
    match ts {
        Micros::MAX => "infinity".into(),
        Micros::MIN => "-infinity".into(),
        ts => text::format(ts),
    }
}

/// A number as JSON, where what JSON numbers can't be is a text.
pub fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(
        || {
            Value::from(if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        },
        Value::Number,
    )
}

/// JSON text that fits into a message.
pub fn brief(value: &Value) -> String {
    let text = value.to_string();
    let cut = lake_chunks::range::cut(&text, 80);
    if cut.len() == text.len() { text } else { format!("{cut}…") }
}

/// RFC 6901, section 3.
pub fn escape_pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
