use super::*;
use proptest::prelude::*;

fn one(text: &str) -> Line<'_> {
    let mut lines = read(text);
    let found = lines.next().unwrap_or_else(|| panic!("no line in {text:?}"));
    assert_eq!(lines.next(), None, "one line in {text:?}");
    found.line.unwrap_or_else(|fault| panic!("{text:?}: {fault}"))
}

fn fault(text: &str) -> String {
    read(text).next().unwrap().line.unwrap_err().to_string()
}

#[test]
fn all_parts() {
    let line = one(
        "weather,location=us-midwest,season=summer temperature=82.5,humidity=71i,n=3u,wet=t,note=\"a b\" 1465839830100400200",
    );
    assert_eq!(line.measurement, "weather");
    assert_eq!(
        line.tags,
        [("location".into(), "us-midwest".into()), ("season".into(), "summer".into())]
    );
    assert_eq!(
        line.fields,
        [
            ("temperature".into(), Value::Float(82.5)),
            ("humidity".into(), Value::Integer(71)),
            ("n".into(), Value::Unsigned(3)),
            ("wet".into(), Value::Boolean(true)),
            ("note".into(), Value::Text("a b".into())),
        ]
    );
    assert_eq!(line.timestamp, Some(1_465_839_830_100_400_200));
}

#[test]
fn escapes() {
    let line = one(r#"wea\,th\ er\=x,loc\ ation\,\==us\=mid\,west te\=mp="say \"hi\" \\ \n" 5"#);
    assert_eq!(line.measurement, "wea,th er\\=x");
    assert_eq!(line.tags, [("loc ation,=".into(), "us=mid,west".into())]);
    assert_eq!(line.fields, [("te=mp".into(), Value::Text("say \"hi\" \\ \\n".into()))]);
    assert_eq!(one(r"a\b c\d=1").measurement, r"a\b");
}

#[test]
fn lines_comments_and_breaks() {
    let text = "# a comment\r\n\r\na v=1 1\r\n  \nb v=\"x\ny\" 2\n  # more\nc v=3";
    let found: Vec<_> =
        read(text).map(|l| (l.number, l.line.unwrap().measurement.into_owned())).collect();
    assert_eq!(found, [(3, "a".into()), (5, "b".into()), (8, "c".into())]);
}

#[test]
fn only_spaces_and_tabs_may_stand_before_a_comment() {
    assert_eq!(read("\t # a comment").count(), 0);
    for space in ["\u{b}", "\u{c}", "\u{a0}", "\u{2003}"] {
        let name = format!("{space}#");
        assert_eq!(one(&format!("{name} v=1")).measurement, name);
    }
}

#[test]
fn numbers() {
    for (text, value) in
        [("1", 1.0), ("-1.5e3", -1500.0), ("1.e2", 100.0), (".5", 0.5), ("+2", 2.0), ("1E-2", 0.01)]
    {
        assert_eq!(one(&format!("m v={text}")).fields[0].1, Value::Float(value), "{text}");
    }
    for truth in ["t", "T", "true", "True", "TRUE"] {
        assert_eq!(one(&format!("m v={truth}")).fields[0].1.as_f64(), Some(1.0));
    }
    assert_eq!(one("m v=-9223372036854775808i").fields[0].1, Value::Integer(i64::MIN));
    assert_eq!(one("m v=18446744073709551615u").fields[0].1, Value::Unsigned(u64::MAX));
}

#[test]
fn faults_say_what_and_where() {
    for (text, expected) in [
        (",a=b v=1", "the measurement is missing (column 1)"),
        ("m,=b v=1", "a tag has no key (column 3)"),
        ("m,a v=1", "tag \"a\" has no value (column 4)"),
        ("m,a= v=1", "tag \"a\" has no value (column 5)"),
        ("m,a=b,a=c v=1", "tag \"a\" is there twice (column 7)"),
        ("m", "there is no field: a space and key=value are expected (column 2)"),
        ("m,a=b ", "there is no field: a space and key=value are expected (column 7)"),
        ("m v", "field \"v\" has no value (column 4)"),
        ("m v=", "field \"v\" has no value (column 5)"),
        ("m v=1,", "a field has no key (column 7)"),
        ("m v=1,v=2", "field \"v\" is there twice (column 7)"),
        (
            "m v=abc",
            "field \"v\" has the value \"abc\", which is no number, integer (1i, 1u), text (\"…\") or boolean (column 5)",
        ),
        (
            "m v=NaN",
            "field \"v\" has the value \"NaN\", which is no number, integer (1i, 1u), text (\"…\") or boolean (column 5)",
        ),
        ("m v=1e999", "field \"v\" has 1e999, which is outside of what 64 bits hold (column 5)"),
        (
            "m v=9223372036854775808i",
            "field \"v\" has 9223372036854775808i, which is outside of what 64 bits hold (column 5)",
        ),
        (
            "m v=-1u",
            "field \"v\" has the value \"-1u\", which is no number, integer (1i, 1u), text (\"…\") or boolean (column 5)",
        ),
        ("m v=\"open", "the text of field \"v\" is not closed (column 5)"),
        (
            "m v=\"a\"b 1",
            "field \"v\" has the value \"\\\"a\\\"\", which is no number, integer (1i, 1u), text (\"…\") or boolean (column 5)",
        ),
        ("m v=1 12x", "the timestamp \"12x\" is not a whole number of 64 bits (column 7)"),
        ("m v=1 1 2", "the timestamp \"2\" is not a whole number of 64 bits (column 10)"),
        (
            "ä,b=c v=x",
            "field \"v\" has the value \"x\", which is no number, integer (1i, 1u), text (\"…\") or boolean (column 9)",
        ),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
}

#[test]
fn a_bad_line_costs_no_other() {
    let lines: Vec<_> = read("a v=1\nb v=\nc v=\"open\nd v=2\n").collect();
    assert_eq!(
        lines.iter().map(|l| (l.number, l.line.is_ok())).collect::<Vec<_>>(),
        [(1, true), (2, false), (3, false), (4, true)]
    );
    assert_eq!(lines[2].text, "c v=\"open");
}

#[test]
fn precisions() {
    assert_eq!(Precision::parse("ns").unwrap().to_micros(-1), Some(-1));
    assert_eq!(Precision::parse("h").unwrap().to_micros(2), Some(7_200_000_000));
    assert_eq!(Precision::parse("s").unwrap().to_micros(i64::MAX), None);
    assert_eq!(Precision::parse("d"), None);
}

fn escape(text: &str, special: &[char]) -> String {
    text.chars().flat_map(|c| special.contains(&c).then_some('\\').into_iter().chain([c])).collect()
}

/// Names without line breaks, nor backslashes, which can't stand before a delimiter.
fn name() -> impl Strategy<Value = String> {
    "[^\\\\\n\r\t\u{0}# ][^\\\\\n\r\u{0}]{0,8}"
}

proptest! {
    #[test]
    fn what_is_written_is_read(measurement in name(), tags in prop::collection::btree_map(name(), name(), 0..4),
                               fields in prop::collection::btree_map(name(), -1e12..1e12f64, 1..4), ts in any::<Option<i64>>()) {
        use std::fmt::Write;
        let mut text = escape(&measurement, &[',', ' ']);
        for (key, value) in &tags { write!(text, ",{}={}", escape(key, &[',', '=', ' ']), escape(value, &[',', '=', ' '])).unwrap(); }
        for (index, (key, value)) in fields.iter().enumerate() {
            write!(text, "{}{}={value:?}", if index == 0 { ' ' } else { ',' }, escape(key, &[',', '=', ' '])).unwrap();
        }
        if let Some(ts) = ts { write!(text, " {ts}").unwrap(); }
        let line = one(&text);
        prop_assert_eq!(&line.measurement, &measurement);
        prop_assert_eq!(line.tags.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<Vec<_>>(), tags.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(line.fields.iter().map(|(k, v)| (k.to_string(), v.as_f64().unwrap())).collect::<Vec<_>>(), fields.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(line.timestamp, ts);
    }

    #[test]
    fn any_text_ends_and_keeps_its_lines(text in "[a=, \"\\\\\n\r#1i.é]{0,60}") {
        let numbers: Vec<u32> = read(&text).map(|line| line.number).collect();
        prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(numbers.iter().all(|n| *n as usize <= text.matches('\n').count() + 1));
    }
}
