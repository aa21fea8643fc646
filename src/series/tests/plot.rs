//! `lake.series_plot`: what it reads; how it is drawn is tested in `crates/plot`.

use super::helpers::{failure, on_both, run, text};
use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use super::*;

    fn load(store: &str) {
        run(&format!(
            "SELECT lake.series_define_metric('{store}', 'cpu', unit => 'percent');
             SELECT i.* FROM (
                 SELECT array_agg('2026-03-28 00:00+00'::timestamptz + s * interval '1 minute' ORDER BY s, h) AS ts,
                        array_agg('cpu'::text) AS metric,
                        array_agg(jsonb_build_object('host', h) ORDER BY s, h) AS tags,
                        array_agg(s::float8 ORDER BY s, h) AS value
                 FROM unnest(ARRAY['a', '<script>alert(1)</script>', 'c']) h, generate_series(0, 2999) s
                 WHERE s NOT BETWEEN 1000 AND 1500) b,
                 lake.series_ingest('{store}', b.ts, b.metric, b.tags, b.value) i"
        ));
    }

    fn plot(store: &str, more: &str) -> String {
        text(&format!("SELECT lake.series_plot('{store}', 'cpu'{more})")).unwrap_or_default()
    }

    /// The points of each line; axes and ticks are thinner.
    fn lines(svg: &str) -> Vec<usize> {
        let drawn =
            svg.lines().filter(|l| l.contains("<polyline") && l.contains("stroke-width=\"2\""));
        let points = drawn.filter_map(|line| line.split_once("points=\"")?.1.split_once('"'));
        points.map(|(points, _)| points.split_whitespace().count()).collect()
    }

    fn says(svg: &str, wanted: &str) -> bool {
        svg.contains(wanted)
    }

    #[pg_test]
    fn lines_gaps_legend_and_zone() {
        on_both("{}", |_, store| {
            load(store);
            run("SET LOCAL TimeZone = 'Europe/Oslo'");
            for more in ["", ", bucket => '10 minutes', agg => 'max'"] {
                let svg = plot(store, more);
                let lines = lines(&svg);
                assert_eq!(lines.len(), 6, "three series with a gap each: {more}");
                assert!(lines.iter().sum::<usize>() <= 3 * 810, "{lines:?}");
                assert!(!svg.contains("<script"));
                assert!(says(&svg, "host=&lt;script&gt;alert(1)&lt;/script&gt;"));
                assert!(says(&svg, "2026-03-28 01:00") && says(&svg, "Europe/Oslo"));
                assert!(says(&svg, "cpu (percent)"));
            }
            assert!(says(
                &plot(store, ", bucket => '10 minutes', agg => 'max'"),
                "max of 00:10:00"
            ));
            let small = plot(
                store,
                ", tags => '{\"host\": \"a\"}', width => 200, height => 100, title => 'A & B'",
            );
            assert_eq!(lines(&small).len(), 2);
            assert!(says(&small, "A &amp; B"));
            assert!(says(&plot(store, ", max_series => 1"), "… and 2 more"));
        });
    }

    #[pg_test]
    fn nothing_to_show_and_bad_arguments() {
        on_both("{}", |_, store| {
            load(store);
            for more in [", tags => '{\"host\": \"none\"}'", ", to_ts => '2000-01-01'"] {
                assert!(says(&plot(store, more), "There are no points."), "{more}");
            }
            for (more, state) in [
                (", width => 99", "22023"),
                (", height => 10001", "22023"),
                (", max_series => 0", "22023"),
                (", agg => 'max'", "22023"),
                (", bucket => '1 hour', agg => 'mean'", "22023"),
                (", from_ts => 'infinity'", "22023"),
                (", width => NULL", "22004"),
            ] {
                assert_eq!(
                    failure(&format!("SELECT lake.series_plot('{store}', 'cpu'{more})")).0,
                    state,
                    "{more}"
                );
            }
        });
    }
}
