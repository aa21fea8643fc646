//! Every rule, broken and kept: document, profile, and the codes with pointers that must come out.

use lake_geojson::{Level, Limits, Profile, Rule, Severity, scan};

/// `code pointer` of every fault; warnings in brackets.
fn faults(text: &str, profile: Profile) -> Vec<String> {
    scan(text.as_bytes(), Limits::new(profile), &mut || {})
        .faults
        .iter()
        .map(|f| match f.severity {
            Severity::Error => format!("{} {}", f.code(), f.pointer),
            Severity::Warning => format!("({} {})", f.code(), f.pointer),
        })
        .collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(faults(text, Profile::Rfc7946), expected, "{text}");
}

#[track_caller]
fn strict(text: &str, expected: &[&str]) {
    assert_eq!(faults(text, Profile::Strict), expected, "{text}");
}

#[track_caller]
fn lenient(text: &str, expected: &[&str]) {
    assert_eq!(faults(text, Profile::Lenient), expected, "{text}");
}

fn point(coordinates: &str) -> String {
    format!(r#"{{"type":"Point","coordinates":{coordinates}}}"#)
}

fn polygon(coordinates: &str) -> String {
    format!(r#"{{"type":"Polygon","coordinates":{coordinates}}}"#)
}

#[test]
fn what_the_rfc_allows_has_no_faults() {
    for text in [
        r#"{"type":"Point","coordinates":[100.0,0.0]}"#,
        r#"{"type":"Point","coordinates":[100,0,-12.5]}"#,
        r#"{"coordinates":[1e1,-2E-1],"type":"Point"}"#,
        r#"{"type":"LineString","coordinates":[[100,0],[101,1]]}"#,
        r#"{"type":"Polygon","coordinates":[[[100,0],[101,0],[101,1],[100,1],[100,0]],[[100.8,0.8],[100.8,0.2],[100.2,0.2],[100.2,0.8],[100.8,0.8]]]}"#,
        r#"{"type":"MultiPoint","coordinates":[[100,0],[101,1]]}"#,
        r#"{"type":"MultiLineString","coordinates":[[[100,0],[101,1]],[[102,2],[103,3]]]}"#,
        r#"{"type":"MultiPolygon","coordinates":[[[[102,2],[103,2],[103,3],[102,3],[102,2]]]]}"#,
        r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[100,0]}]}"#,
        r#"{"type":"GeometryCollection","geometries":[]}"#,
        r#"{"type":"Feature","geometry":null,"properties":null}"#,
        r#"{"properties":{"a":1},"geometry":{"coordinates":[1,2],"type":"Point"},"id":7,"type":"Feature"}"#,
        r#"{"type":"FeatureCollection","features":[]}"#,
        // Foreign members are never interpreted (6.1).
        r#"{"type":"Feature","geometry":null,"properties":{},"centerline":{"type":"LineString","coordinates":[9]}}"#,
        // Across the antimeridian: west greater than east (5.2); a pole (5.3).
        r#"{"type":"FeatureCollection","bbox":[177,-20,-178,-16],"features":[{"type":"Feature","properties":null,"geometry":{"type":"MultiPoint","coordinates":[[178,-18],[-179,-17]]}}]}"#,
        r#"{"type":"Feature","bbox":[-180,80,180,90],"properties":null,"geometry":{"type":"Point","coordinates":[5,85]}}"#,
        r#"{"type":"Feature","bbox":[5,85,1,5,85,1],"properties":null,"geometry":{"type":"Point","coordinates":[5,85,1]}}"#,
        // The same position, differently written, closes a ring.
        r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1.0],[0.0,-0]]]}"#,
        " \n\t{\"type\":\"Point\",\"coordinates\":[ 1 , 2 ]} \r\n",
    ] {
        check(text, &[]);
    }
}

#[test]
fn j1_strict_json() {
    check("", &["J1 "]);
    check("{", &["J1 "]);
    check(r#"{"type":"Point","coordinates":[1,2]"#, &["J1 "]);
    check(r#"{"type":"Point","coordinates":[1,2]} x"#, &["J1 "]);
    check(r#"{"type":"Point","coordinates":[1,2]}{}"#, &["J1 "]);
    check("\u{feff}{\"type\":\"Point\",\"coordinates\":[1,2]}", &["J1 "]);
    check(&point("[NaN,2]"), &["J1 /coordinates/0"]);
    check(&point("[1,-Infinity]"), &["J1 /coordinates/1"]);
    check(&point("[01,2]"), &["J1 /coordinates/0"]);
    check(&point("[+1,.5]"), &["J1 /coordinates/0", "J1 /coordinates/1"]);
    check(&point("[1,2,]"), &["J1 /coordinates"]);
    check(&point("[1 2]"), &["J1 /coordinates"]);
    check(&point("[1,2] // here"), &["J1 "]);
    check(r#"{'type':'Point'}"#, &["J1 "]);
    check(
        "{\"type\":\"Feature\",\"geometry\":null,\"properties\":{\"a\":\"x\ny\"}}",
        &["J1 /properties/a"],
    );
    check(r#"{"type":"Feature","geometry":null,"properties":{"a":"\x"}}"#, &["J1 /properties/a"]);
    check(r#"{"type":"Feature","geometry":null,"properties":nul}"#, &["J1 /properties"]);
    let scan = scan(b"{\"type\":\"P\xff\"}", Limits::new(Profile::Rfc7946), &mut || {});
    assert_eq!((scan.faults[0].code(), scan.faults[0].offset), ("J1", 10));
}

#[test]
fn j2_duplicate_members_and_numbers_beyond_doubles() {
    check(r#"{"type":"Point","coordinates":[1,2],"coordinates":[3,4]}"#, &["J2 /coordinates"]);
    // The same name by an escape.
    check(r#"{"type":"Point","coordinates":[1,2],"c\u006fordinates":[3,4]}"#, &["J2 /coordinates"]);
    check(
        r#"{"type":"Feature","geometry":null,"properties":{"a":1,"a":2}}"#,
        &["(J2 /properties/a)"],
    );
    check(&point("[1e400,2]"), &["J2 /coordinates/0"]);
    check(
        r#"{"type":"Feature","geometry":null,"properties":{"a":1e400}}"#,
        &["(J2 /properties/a)"],
    );
}

#[test]
fn j3_limits() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let text = format!(r#"{{"type":"Feature","geometry":null,"properties":{{"a":{deep}}}}}"#);
    let found = faults(&text, Profile::Rfc7946);
    assert!(found.last().unwrap().starts_with("J3 /properties/a/0"), "{found:?}");

    let many = vec!["[200,95]"; 2000].join(",");
    let text = format!(r#"{{"type":"MultiPoint","coordinates":[{many}]}}"#);
    let found = faults(&text, Profile::Rfc7946);
    assert_eq!(found.len(), 1000);
    assert!(found.last().unwrap().starts_with("J3"), "{found:?}");
}

#[test]
fn j4_what_jsonb_cannot_hold() {
    check(
        r#"{"type":"Feature","geometry":null,"properties":{"a":"\u0000"}}"#,
        &["(J4 /properties/a)"],
    );
    check(
        r#"{"type":"Feature","geometry":null,"properties":{"a":"\ud83d"}}"#,
        &["(J4 /properties/a)"],
    );
    check(r#"{"type":"Feature","geometry":null,"properties":{"a":"\ud83d\ude00"}}"#, &[]);
    check(
        r#"{"type":"Feature","geometry":null,"properties":{"a":1e900000}}"#,
        &["(J4 /properties/a)"],
    );
    check(
        r#"{"type":"Feature","geometry":null,"properties":{"a":1e-900000}}"#,
        &["(J4 /properties/a)"],
    );
}

#[test]
fn o1_x1_types() {
    check("[]", &["O1 "]);
    check("{}", &["O1 "]);
    check(r#"{"type":null}"#, &["O1 /type"]);
    check(r#"{"type":"point","coordinates":[1,2]}"#, &["X1 /type"]);
    check(r#"{"type":"CircularString","coordinates":[]}"#, &["X1 /type"]);
    check(r#"{"TYPE":"Point","coordinates":[1,2]}"#, &["O1 "]);
    check(r#"{"type":"FeatureCollection","features":[{}]}"#, &["O1 /features/0"]);
}

#[test]
fn g1_g2_coordinates() {
    check(r#"{"type":"Point"}"#, &["G1 "]);
    check(&point("null"), &["G1 /coordinates"]);
    check(&point("\"1,2\""), &["G1 /coordinates"]);
    check(&point("[]"), &["(G2 /coordinates)"]);
    check(&polygon("[]"), &["(G2 /coordinates)"]);
    check(
        &polygon("[[0,0],[1,0],[1,1],[0,0]]"),
        &[
            "G1 /coordinates/0/0",
            "G1 /coordinates/1/0",
            "G1 /coordinates/2/0",
            "G1 /coordinates/3/0",
        ],
    );
    check(r#"{"type":"LineString","coordinates":[1,2]}"#, &["G1 /coordinates/0"]);
    check(
        r#"{"type":"MultiPolygon","coordinates":[42,"x",null]}"#,
        &["G1 /coordinates/0", "G1 /coordinates/1", "G1 /coordinates/2"],
    );
    // The fault is found whichever member comes first.
    check(r#"{"coordinates":[1],"type":"Point"}"#, &["P1 /coordinates"]);
}

#[test]
fn p_positions() {
    check(&point("[1]"), &["P1 /coordinates"]);
    check(&point(r#"["abc","7"]"#), &["P1 /coordinates/0", "P1 /coordinates/1"]);
    check(&point("[null,true]"), &["P1 /coordinates/0", "P1 /coordinates/1"]);
    check(&point("[[1,2]]"), &["P1 /coordinates/0"]);
    check(
        r#"{"type":"LineString","coordinates":[[1,2],[],[3]]}"#,
        &["P1 /coordinates/1", "P1 /coordinates/2"],
    );
    check(&point("[1,2,3,4]"), &["(P2 /coordinates)"]);
    strict(&point("[1,2,3,4]"), &["P2 /coordinates"]);
    check(&point("[200,2]"), &["P3 /coordinates/0"]);
    lenient(&point("[200,2]"), &["(P3 /coordinates/0)"]);
    check(&point("[2,95]"), &["P3 /coordinates/1"]);
    lenient(&point("[2,95]"), &["P3 /coordinates/1"]);
    lenient(&point("[500000,95]"), &["P3 /coordinates/0", "P3 /coordinates/1"]);
    check(r#"{"type":"LineString","coordinates":[[1,2],[3,4,5]]}"#, &["(P4 /coordinates)"]);
    check(&point("[1.12345678,2]"), &[]);
    strict(&point("[1.12345678,2]"), &["(P5 /coordinates)"]);

    let hint = |text: &str| {
        let scan = scan(text.as_bytes(), Limits::new(Profile::Rfc7946), &mut || {});
        scan.faults[0].hint.clone().unwrap()
    };
    assert!(hint(&point("[48.1,-122.3]")).contains("swapped"));
    assert!(hint(&point("[1256000.5,6000000]")).contains("projection"));
    assert!(hint(&point(r#"["1.5",2]"#)).contains("quotes"));
}

#[test]
fn l1_r1_r2_lines_and_rings() {
    check(r#"{"type":"LineString","coordinates":[[1,2]]}"#, &["L1 /coordinates"]);
    check(r#"{"type":"LineString","coordinates":[[1,2],[1,2]]}"#, &["(L1 /coordinates)"]);
    check(r#"{"type":"MultiLineString","coordinates":[[[1,2],[2,3]],[]]}"#, &["L1 /coordinates/1"]);
    check(&polygon("[[]]"), &["R1 /coordinates/0"]);
    check(&polygon("[[[0,0],[1,0],[0,0]]]"), &["R1 /coordinates/0"]);
    check(&polygon("[[[0,0],[1,0],[1,1]]]"), &["R2 /coordinates/0"]);
    check(&polygon("[[[0,0],[1,0],[1,1],[0,1]]]"), &["R2 /coordinates/0"]);
    lenient(&polygon("[[[0,0],[1,0],[1,1],[0,1]]]"), &["(R2 /coordinates/0)"]);
    // Height counts too.
    check(&polygon("[[[0,0,1],[1,0,1],[1,1,1],[0,0,2]]]"), &["R2 /coordinates/0"]);
}

#[test]
fn r3_r4_winding_and_holes() {
    let clockwise = polygon("[[[0,0],[0,1],[1,1],[1,0],[0,0]]]");
    check(&clockwise, &["(R3 /coordinates/0)"]);
    strict(&clockwise, &["R3 /coordinates/0"]);
    check(
        &polygon("[[[0,0],[9,0],[9,9],[0,9],[0,0]],[[1,1],[2,1],[2,2],[1,2],[1,1]]]"),
        &["(R3 /coordinates/1)"],
    );
    check(
        &polygon("[[[0,0],[9,0],[9,9],[0,9],[0,0]],[[11,11],[11,12],[12,12],[12,11],[11,11]]]"),
        &["R4 /coordinates/1"],
    );
    // Within the box of the shell, but in its bay.
    check(
        &polygon("[[[0,0],[9,0],[9,9],[8,9],[8,1],[0,1],[0,0]],[[2,4],[2,5],[3,5],[3,4],[2,4]]]"),
        &["R4 /coordinates/1"],
    );
}

#[test]
fn c_collections() {
    check(r#"{"type":"GeometryCollection"}"#, &["C1 "]);
    check(r#"{"type":"GeometryCollection","geometries":{}}"#, &["C1 /geometries"]);
    check(r#"{"type":"GeometryCollection","geometries":[null]}"#, &["C1 /geometries/0"]);
    check(
        r#"{"type":"GeometryCollection","geometries":[{"type":"Feature","geometry":null,"properties":null}]}"#,
        &["C1 /geometries/0/type"],
    );
    check(
        r#"{"geometries":[{"geometries":[{"coordinates":[1],"type":"Point"}],"type":"GeometryCollection"}],"type":"GeometryCollection"}"#,
        &["P1 /geometries/0/geometries/0/coordinates", "(C2 /geometries/0)"],
    );
}

#[test]
fn a1_antimeridian() {
    check(r#"{"type":"LineString","coordinates":[[170,0],[-170,0]]}"#, &["(A1 /coordinates)"]);
    strict(r#"{"type":"LineString","coordinates":[[170,0],[-170,0]]}"#, &["A1 /coordinates"]);
    // The whole world.
    check(&polygon("[[[-180,-90],[180,-90],[180,90],[-180,90],[-180,-90]]]"), &[]);
}

#[test]
fn f_features() {
    check(r#"{"type":"Feature"}"#, &["F1 ", "F1 "]);
    check(
        r#"{"type":"Feature","geometry":[],"properties":7}"#,
        &["F1 /geometry", "F1 /properties"],
    );
    check(
        r#"{"type":"Feature","geometry":{"type":"Feature","geometry":null,"properties":null},"properties":null}"#,
        &["F1 /geometry/type"],
    );
    check(r#"{"type":"Feature","geometry":null,"properties":null,"id":null}"#, &["F2 /id"]);
    check(r#"{"type":"Feature","geometry":null,"properties":null,"id":true}"#, &["F2 /id"]);
    check(r#"{"type":"FeatureCollection"}"#, &["F3 "]);
    check(r#"{"type":"FeatureCollection","features":null}"#, &["F3 /features"]);
    check(
        r#"{"type":"FeatureCollection","features":[null,{"type":"Point","coordinates":[1,2]}]}"#,
        &["F3 /features/0", "F3 /features/1/type"],
    );
    // Every fault is reported, not only the first.
    check(
        r#"{"features":[{"type":"Feature","properties":{},"geometry":{"type":"Point","coordinates":[200,95]}},{"type":"Feature","properties":{},"geometry":{"type":"Point","coordinates":["1",2]},"id":{}}],"type":"FeatureCollection"}"#,
        &[
            "P3 /features/0/geometry/coordinates/0",
            "P3 /features/0/geometry/coordinates/1",
            "P1 /features/1/geometry/coordinates/0",
            "F2 /features/1/id",
        ],
    );
}

#[test]
fn b_boxes() {
    let with = |bbox: &str| format!(r#"{{"type":"Point","coordinates":[1,2],"bbox":{bbox}}}"#);
    check(&with("[1,2,1,2]"), &[]);
    check(&with("7"), &["B1 /bbox"]);
    check(&with("[]"), &["B1 /bbox"]);
    check(&with("[1,2,3]"), &["B1 /bbox"]);
    check(&with("[1,2,\"3\",4]"), &["B1 /bbox/2"]);
    check(&with("[1,2,0,1,2,0]"), &["B1 /bbox"]);
    check(&with("[1,3,1,1]"), &["B2 /bbox"]);
    check(&with("[1,-91,1,91]"), &["B4 /bbox"]);
    check(&with("[-190,2,190,2]"), &["B4 /bbox"]);
    check(&with("[2,2,3,3]"), &["(B5 /bbox)"]);
    // The box of a collection bounds what lies in it, wherever the member stands.
    check(
        r#"{"bbox":[5,5,6,6],"type":"FeatureCollection","features":[{"type":"Feature","properties":null,"geometry":{"type":"Point","coordinates":[1,2]}}]}"#,
        &["(B5 /bbox)"],
    );
}

#[test]
fn x2_forbidden_members() {
    check(
        r#"{"type":"FeatureCollection","features":[],"coordinates":[],"properties":{}}"#,
        &["X2 /coordinates", "X2 /properties"],
    );
    check(
        r#"{"type":"Feature","geometry":null,"properties":null,"coordinates":[1]}"#,
        &["X2 /coordinates"],
    );
    check(
        r#"{"type":"Point","coordinates":[1,2],"properties":{},"features":[]}"#,
        &["X2 /properties", "X2 /features"],
    );
}

#[test]
fn s1_crs() {
    let with = |crs: &str| format!(r#"{{"type":"Point","coordinates":[1,2],"crs":{crs}}}"#);
    check(&with("null"), &["(S1 /crs)"]);
    check(
        &with(r#"{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}}"#),
        &["(S1 /crs)"],
    );
    check(&with(r#"{"type":"name","properties":{"name":"EPSG:3857"}}"#), &["S1 /crs"]);
    lenient(&with(r#"{"type":"name","properties":{"name":"EPSG:3857"}}"#), &["S1 /crs"]);
}

#[test]
fn pointers_escape_and_offsets_point() {
    let text = r#"{"type":"Feature","geometry":null,"properties":{"a/b~c":{"d":1,"d":2}}}"#;
    let scan = scan(text.as_bytes(), Limits::new(Profile::Rfc7946), &mut || {});
    assert_eq!(scan.faults[0].pointer, "/properties/a~1b~0c/d");
    assert_eq!(&text[scan.faults[0].offset..=scan.faults[0].offset], "2");
}

#[test]
fn levels_are_what_the_profiles_make_of_them() {
    for rule in Rule::ALL {
        let [rfc, strict, lenient] =
            [Profile::Rfc7946, Profile::Strict, Profile::Lenient].map(|p| rule.severity(p));
        assert!(strict >= rfc && rfc >= lenient, "{rule:?}");
        assert_eq!(rule.level() == Level::Must, lenient == Some(Severity::Error), "{rule:?}");
    }
}

#[test]
fn long_reads_can_be_stopped() {
    let many = vec!["[1,2]"; 100_000].join(",");
    let text = format!(r#"{{"coordinates":[{many}],"type":"MultiPoint"}}"#);
    let mut polls = 0;
    scan(text.as_bytes(), Limits::new(Profile::Rfc7946), &mut || polls += 1);
    assert!(polls > 100, "{polls}");
}
