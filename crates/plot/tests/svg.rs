//! Charts are well-formed XML that shows what it should, whatever the texts and the values are.

use lake_chunks::{DAY, HOUR};
use lake_plot::{Chart, Line, gaps};
use proptest::prelude::*;

fn chart(title: &str, names: &[&str], points: &[(i64, f64)], left_out: usize) -> String {
    let lines = names
        .iter()
        .map(|name| Line { name: (*name).to_owned(), stretches: gaps::by_step(points, 0) })
        .collect();
    let (nothing, zone) = ("no points", "UTC");
    let (width, height, span) = (800, 400, 0..0);
    Chart { title, nothing, zone, offset_at: |_| 0, width, height, span, lines, left_out }
        .svg()
        .unwrap()
}

/// The texts of a document, each trimmed; fails where it isn't well-formed or holds anything but shapes.
fn texts(svg: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|e| panic!("{e}: {svg}"));
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        assert!(
            matches!(name, "svg" | "rect" | "text" | "line" | "polyline" | "circle"),
            "<{name}>"
        );
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on") && attribute.name() != "href");
        }
    }
    let text = document.descendants().filter(|node| node.has_tag_name("text"));
    text.filter_map(|node| Some(node.text()?.trim().to_owned())).collect()
}

fn count(svg: &str, element: &str) -> usize {
    let document = roxmltree::Document::parse(svg).unwrap();
    document.descendants().filter(|node| node.tag_name().name() == element).count()
}

#[test]
fn shows_title_ticks_zone_and_legend() {
    let points: Vec<_> = (0..100).map(|i| (9_583 * DAY + i * HOUR, i as f64)).collect();
    let svg = chart("cpu (percent)", &["host=a", "host=b"], &points, 3);
    let texts = texts(&svg);
    for wanted in ["cpu (percent)", "host=a", "host=b", "… and 3 more", "Mar 28", "20"] {
        assert!(texts.iter().any(|text| text == wanted), "{wanted} is not in {texts:?}");
    }
    assert!(texts.contains(&"2026-03-28 00:00 – 2026-04-01 03:00, UTC".to_owned()), "{texts:?}");
    let document = roxmltree::Document::parse(&svg).unwrap();
    let size = |name| document.root_element().attribute(name).map(str::to_owned);
    assert_eq!((size("width"), size("height")), (Some("800".into()), Some("400".into())));
}

#[test]
fn a_gap_breaks_the_line_and_a_point_alone_is_a_dot() {
    let whole: Vec<_> = (0..10).map(|i| (i * HOUR, 1.0 + i as f64)).collect();
    let broken: Vec<_> =
        whole.iter().copied().filter(|p| !(3..7).contains(&(p.0 / HOUR))).collect();
    let data = |svg: &str| {
        // Axes and ticks are thinner.
        let document = roxmltree::Document::parse(svg).unwrap();
        let lines = document.descendants().filter(|node| node.has_tag_name("polyline"));
        lines.filter(|node| node.attribute("stroke-width") == Some("2")).count()
    };
    assert_eq!(data(&chart("t", &["a"], &whole, 0)), 1);
    assert_eq!(data(&chart("t", &["a"], &broken, 0)), 2);
    let mut alone = whole.clone();
    alone.push((50 * HOUR, 3.0));
    let svg = chart("t", &["a"], &alone, 0);
    assert_eq!((data(&svg), count(&svg, "circle")), (1, 1));
}

#[test]
fn nothing_says_so() {
    assert_eq!(texts(&chart("cpu", &["a"], &[], 0)), ["cpu", "no points"]);
    assert_eq!(texts(&chart("cpu", &["a"], &[(0, f64::NAN)], 0)), ["cpu", "no points"]);
}

#[test]
fn hostile_names_are_texts() {
    let name = "<script>alert(1)</script>\u{1}&\"'";
    let svg = chart(name, &[name], &[(0, 1.0), (HOUR, 2.0)], 0);
    assert!(!svg.contains("<script"));
    let shown = texts(&svg);
    assert_eq!(
        shown.iter().filter(|text| text.starts_with("<script>alert(1)</script>")).count(),
        2
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_chart_is_well_formed(
        title in ".*",
        names in prop::collection::vec(any::<String>(), 0..30),
        mut points in prop::collection::vec((any::<i64>(), any::<f64>()), 0..60),
        (width, height) in (100u32..1200, 100u32..900),
        left_out in 0usize..1000,
        offset in -14i64..=14,
    ) {
        points.retain(|p| (lake_chunks::MIN_INSTANT..lake_chunks::END_INSTANT).contains(&p.0));
        points.sort_unstable_by_key(|point| point.0);
        let lines = names
            .iter()
            .map(|name| Line { name: name.clone(), stretches: gaps::by_step(&points, 0) })
            .collect();
        let chart = Chart {
            title: &title, nothing: "none", zone: "z", offset_at: |_| offset * HOUR,
            width, height, span: 0..0, lines, left_out,
        };
        texts(&chart.svg().unwrap());
    }
}
