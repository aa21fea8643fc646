//! Random statements on stores with rollups of three levels, against slow and obvious SQL.

use super::helpers::{Dice, all, on_each, run, text};
use pgrx::prelude::*;

/// The view of each rollup, and the unit of its buckets.
const ROLLUPS: [(&str, &str); 3] = [("hourly", "hour"), ("daily", "day"), ("monthly", "month")];

/// Rows in which a view and the points differ. Values are quarters, so that no sum is rounded.
fn differences(view: &str, unit: &str) -> String {
    let points = format!(
        "SELECT date_trunc('{unit}', ts, 'Europe/Berlin') AS bucket, series_id, sum(value) / count(*), min(value),
                max(value), sum(value), count(*), (array_agg(value ORDER BY ts))[1],
                (array_agg(value ORDER BY ts DESC))[1], lake.percentile(lake.percentile_sketch(value), 0.95)
         FROM s GROUP BY 1, 2"
    );
    let view = format!(
        "SELECT bucket, series_id, avg, min, max, sum, count, first, last, p95 FROM {view}"
    );
    all(&format!("(({view}) EXCEPT ALL ({points})) UNION ALL (({points}) EXCEPT ALL ({view}))"))
}

/// An instant round the night in which clocks are put back, and round the end of that month.
fn instant(dice: &mut Dice) -> String {
    format!("'2025-10-24 00:00Z'::timestamptz + {} * interval '1 minute'", dice.below(10 * 24 * 60))
}

fn statement(dice: &mut Dice, engine: &str) -> String {
    let (at, series) = (instant(dice), 1 + dice.below(3));
    let range = format!("ts >= {at} AND ts < {at} + {} * interval '1 hour'", 1 + dice.below(30));
    match dice.below(14) {
        0..=2 => format!(
            "INSERT INTO s SELECT t, {series}, (extract(epoch FROM t)::int8 % 97) / 4.0
             FROM generate_series({at}, {at} + interval '9 hours', {} * interval '1 minute') t
             ON CONFLICT (series_id, ts) DO UPDATE SET value = s.value + 1",
            7 + dice.below(60)
        ),
        3 => format!(
            "SELECT lake.series_ingest('s', ARRAY[{at}, {}], ARRAY['m1', 'm3'], NULL, ARRAY[{1}, {1}])",
            instant(dice),
            dice.below(50)
        ),
        4 => format!("UPDATE s SET value = value / 2 + 1 WHERE {range} AND value::int % 2 = 0"),
        // TimescaleDB moves no row out of its chunk.
        5 if engine == "native" => format!(
            "UPDATE s SET ts = ts + interval '1 day 1 microsecond' WHERE {range} AND ts < '2025-11-01'"
        ),
        5 => format!("UPDATE s SET ts = ts + interval '1 microsecond' WHERE {range}"),
        6 | 7 => format!("DELETE FROM s WHERE {range}"),
        8 => format!("DELETE FROM s WHERE {range} AND series_id = {series}"),
        9 => format!("DO $$ BEGIN DELETE FROM s WHERE {range}; RAISE 'no'; EXCEPTION WHEN raise_exception THEN END $$"),
        10 => format!(
            "WITH gone AS (DELETE FROM s WHERE {range} RETURNING *)
             INSERT INTO s SELECT '2025-11-02 12:00Z'::timestamptz - (ts - '2025-10-24Z'), series_id, value FROM gone
             ON CONFLICT DO NOTHING"
        ),
        11 => "SELECT lake.run_job(job_id) FROM lake.jobs WHERE action = 'refresh_rollup'".into(),
        12 => {
            let (view, _) = dice.pick(&ROLLUPS);
            format!("SELECT lake.series_refresh_rollup('{view}', {at}, {at} + interval '2 days')")
        }
        _ if dice.below(4) == 0 => "TRUNCATE s".into(),
        _ => {
            let (view, _) = dice.pick(&ROLLUPS);
            format!("SELECT lake.series_refresh_rollup('{view}')")
        }
    }
}

#[pg_schema]
mod tests {
    use super::*;

    #[pg_test]
    fn rollups_equal_the_points_after_random_statements() {
        on_each(|engine| {
            // A chunk for each day, and ids for the series.
            run("SELECT lake.series_ingest('s', array_agg(t), array_agg('m' || n), NULL, array_agg(n::float8))
                 FROM generate_series('2025-10-20'::timestamptz, '2025-11-10', '1 day') t, generate_series(1, 3) n;
                 SELECT lake.series_add_rollup('s', 'hourly', '1 hour', '{avg,min,max,sum,count,first,last,p95}', timezone => 'Europe/Berlin');
                 SELECT lake.series_add_rollup('hourly', 'daily', '1 day', '{avg,min,max,sum,count,first,last,p95}', timezone => 'Europe/Berlin');
                 SELECT lake.series_add_rollup('daily', 'monthly', '1 month', '{avg,min,max,sum,count,first,last,p95}', timezone => 'Europe/Berlin')");
            for seed in 1..=3 {
                let mut dice = Dice(seed);
                let mut done = Vec::new();
                for _ in 0..40 {
                    let sql = statement(&mut dice, engine);
                    run(&sql);
                    done.push(sql);
                    for (view, unit) in ROLLUPS {
                        let differences = differences(view, unit);
                        assert!(
                            differences.is_empty(),
                            "{engine}, seed {seed}, {view}: {differences}\nafter\n{}",
                            done.join(";\n")
                        );
                    }
                }
            }
            for (view, unit) in ROLLUPS {
                run(&format!("SELECT lake.series_refresh_rollup('{view}')"));
                assert_eq!(differences(view, unit), "");
                let kept = text(&format!("SELECT count(*) FROM {view}_parts"));
                assert_eq!(kept, text(&format!("SELECT count(*) FROM {view}")));
            }
            assert_eq!(text("SELECT sum(pending) FROM lake.rollups").as_deref(), Some("0"));
        });
    }
}
