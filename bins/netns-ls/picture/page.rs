//! The picture as a page: one file with its style, its script and the map in it. It asks for nothing on any network, and its
//! browser runs no script but its own.

use std::io;

use serde::Serialize;

use super::model::MapPicture;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = concat!(include_str!("picture.css"), include_str!("page/page.css"));
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("page/boxes.js"),
    include_str!("page/layout.js"),
    include_str!("page/details.js"),
    include_str!("page/keys.js"),
    "})();\n"
);

/// A picture with what a page says above it.
#[derive(Debug, Serialize)]
pub struct MapPage<'a> {
    /// The host's name, safe to show.
    pub host_name: String,
    /// When the map was read, as people write it.
    pub taken_at: String,
    #[serde(flatten)]
    pub picture: &'a MapPicture,
}

impl MapPage<'_> {
    /// The page. `nonce` is a word that nobody can guess who chose a name on the map: only scripts that bear it are run.
    ///
    /// # Errors
    /// When the map cannot be written as JSON.
    pub fn html(&self, nonce: &str) -> io::Result<String> {
        let page =
            TEMPLATE.replace("{{NONCE}}", nonce).replace("{{STYLE}}", STYLE).replace("{{SCRIPT}}", SCRIPT);
        // What is in the map is put in last, and never looked through for words of the template.
        let (before, after) = page.split_once("{{MAP}}").unwrap_or((&page, ""));
        Ok([before, &self.json()?, after].concat())
    }

    /// The map as JSON that ends no element: HTML's parser looks for `</script` and `<!--` in it (HTML Standard, 4.12.1.3).
    fn json(&self) -> io::Result<String> {
        let mut bytes = Vec::new();
        common::json::line(&mut bytes, self)?;
        let text = String::from_utf8(bytes).map_err(io::Error::other)?;
        Ok(text.trim_end().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture;
    use super::*;
    use crate::sample::{container, host, named};

    #[test]
    fn no_name_ends_the_map_or_is_a_word_of_the_template() {
        let mut map = host();
        let hostile = "</script><!--<script>alert(1)</script>{{SCRIPT}}{{MAP}}\u{2028}";
        map.namespaces[1].containers = vec![container(hostile)];
        let picture = picture(&named(map));
        let page = MapPage { host_name: "h".to_owned(), taken_at: String::new(), picture: &picture };
        let html = page.html("0123").unwrap();
        let (_, rest) = html.split_once("type=\"application/json\">").unwrap();
        let (json, _) = rest.split_once("</script>").unwrap();
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let title = value["boxes"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|one| one["title"].as_str().filter(|title| title.contains("alert")));
        assert_eq!(title.unwrap(), hostile.replace('\u{2028}', "\\u{2028}"));
        assert_eq!(html.matches("</script>").count(), 2);
        assert!(!json.contains('<'));
    }

    #[test]
    fn the_page_asks_for_nothing_and_sets_no_text_as_markup() {
        let everything = [TEMPLATE, STYLE, SCRIPT].concat().replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http:",
            "https:",
            "src=",
            "href",
            "url(",
            "@import",
            "fetch(",
            "XMLHttp",
            "WebSocket",
            "import(",
        ] {
            assert!(!everything.contains(word), "{word}");
        }
        for word in
            ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "srcdoc"]
        {
            assert!(!SCRIPT.contains(word), "{word}");
        }
        assert!(TEMPLATE.contains("default-src 'none'"));
    }
}
