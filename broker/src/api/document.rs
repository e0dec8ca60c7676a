//! `docs/PROTOCOL.md`, from the table of what is served.

use std::fmt::Write as _;

use ottla_protocol::api::ApiKey;

use super::served;

/// The page's text.
pub fn document() -> String {
    let mut page = String::from(
        "# The protocol\n\n\
         What Ottla serves, next to what Apache Kafka 4.3.1 serves. This page is written from the \
         table\nthat dispatches requests; a test fails when it is stale.\n\n\
         A request of a kind or a version that is not served closes its connection, as in Kafka. \
         Produce is\nadvertised from version 0 and served from 3, as in Kafka (KAFKA-18659).\n\n\
         | key | request | versions | in Kafka 4.3.1 |\n|---:|---|---|---|\n",
    );
    for api in ApiKey::ALL {
        let here = served().find(|(key, _)| key == api).map_or_else(
            || "not yet".to_owned(),
            |(_, versions)| format!("{}-{}", versions.start(), versions.end()),
        );
        let kafka = api.advertised();
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {here} | {}-{} |",
            api.as_i16(),
            api.name(),
            kafka.start(),
            kafka.end()
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md");
        let page = super::document();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page, "docs/PROTOCOL.md is stale: run the test with UPDATE_EXPECT=1");
    }
}
