//! Tables, data, and what does not fit.

use serde_json::json;

use super::*;

fn topics() -> Table {
    let mut table = Table::new(&[
        text("topic"),
        number("partitions"),
        text("id").wide(),
        text("leaderEpochs").in_data(),
    ]);
    table.push([json!("orders"), json!(3), json!("AAAA"), json!([1, 2])]);
    table.push([json!("no"), json!(12), json!(""), json!(null)]);
    table
}

fn output(format: Format) -> Output {
    Output { format, is_colored: false, width: None }
}

#[test]
fn tables_have_what_is_asked_for() {
    let narrow = output(Format::Table).drawn(&topics());
    assert_eq!(narrow, "TOPIC   PARTITIONS\norders           3\nno              12\n");
    let wide = output(Format::Wide).drawn(&topics());
    assert_eq!(wide, "TOPIC   PARTITIONS  ID\norders           3  AAAA\nno              12  -\n");
    assert_eq!(topics().names(), "orders\nno\n");
    assert_eq!(topics().named_by(2).names(), "orders-3\nno-12\n");
}

#[test]
fn long_texts_give_way_to_the_terminal() {
    let mut table = Table::new(&[text("topic"), number("offset"), text("host")]);
    table.push([json!("a-long-name-of-a-topic"), json!(123_456_789_012_i64), json!("/1.2.3.4")]);
    let lines = table.lines(false, Some(40));
    assert_eq!(lines[1], "a-long-name-of-…  123456789012  /1.2.3.4");
    assert_eq!(lines[1].chars().count(), 40);
    // Nothing is less than what makes sense, and a number is never cut.
    let lines = table.lines(false, Some(5));
    assert_eq!(lines[1], "a-long-…  123456789012  /1.2.3.4");
    assert!(table.lines(false, None)[1].starts_with("a-long-name-of-a-topic  "));
}

#[test]
fn data_keeps_the_order_of_the_columns() {
    let json = output(Format::Json).encoded(&Data::List(topics().data()));
    let parsed: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed[0]["leaderEpochs"], json!([1, 2]));
    assert_eq!(
        json.lines().take(7).collect::<Vec<_>>(),
        [
            "[",
            "  {",
            "    \"topic\": \"orders\",",
            "    \"partitions\": 3,",
            "    \"id\": \"AAAA\",",
            "    \"leaderEpochs\": [1,2]",
            "  },",
        ]
    );
    let yaml = output(Format::Yaml).encoded(&Data::List(topics().data()));
    assert_eq!(
        yaml,
        "- topic: orders\n  partitions: 3\n  id: AAAA\n  leaderEpochs: [1,2]\n\
         - topic: \"no\"\n  partitions: 12\n  id: \"\"\n  leaderEpochs: null\n"
    );
    assert_eq!(Data::List(Vec::new()).json(), "[]\n");
    assert_eq!(Data::List(Vec::new()).yaml(), "[]\n");
}

#[test]
fn sections_have_facts_and_parts() {
    let section = Section {
        facts: vec![("topic", json!("orders")), ("isInternal", json!(false))],
        tables: vec![("partitions", topics())],
    };
    let text = output(Format::Table).section(&section);
    assert!(text.starts_with("Topic:       orders\nIs internal: no\n\nTOPIC "), "{text}");
    let yaml = Data::List(vec![section.data()]).yaml();
    assert!(yaml.starts_with("- topic: orders\n  isInternal: false\n  partitions:\n    - topic:"));
    assert!(yaml.contains("\n      partitions: 3\n"), "{yaml}");
}

#[test]
fn what_would_move_the_terminal_is_not_printed() {
    assert_eq!(table::shown(&json!("a\x1b[2Jb\n")), "a\u{fffd}[2Jb\u{fffd}");
}
