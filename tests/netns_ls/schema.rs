//! Whether a value is what a JSON Schema says: as much of the standard as `docs/netns-ls.schema.json` uses, and an error about
//! any word of it that is not known here.

use serde_json::{Map, Value};

/// What is wrong with `value`, each with where it is.
pub fn wrong(schema: &Value, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    Validator { whole: schema, wrong: &mut wrong }.check(schema, value, "$");
    wrong
}

struct Validator<'a> {
    whole: &'a Value,
    wrong: &'a mut Vec<String>,
}

impl Validator<'_> {
    fn check(&mut self, schema: &Value, value: &Value, place: &str) {
        for (word, rule) in schema.as_object().unwrap_or_else(|| panic!("{place}: no schema: {schema}")) {
            let is_right = match word.as_str() {
                "$schema" | "title" | "description" | "$defs" => true,
                "$ref" => {
                    let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                    let named = self.whole.pointer(pointer).unwrap_or_else(|| panic!("no {rule}"));
                    self.check(&named.clone(), value, place);
                    true
                }
                "const" => rule == value,
                "enum" => rule.as_array().unwrap().contains(value),
                "type" => types(rule).iter().any(|one| is_of_type(one, value)),
                "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
                "required" => {
                    let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    value
                        .as_object()
                        .is_none_or(|object| names.into_iter().all(|name| object.contains_key(name)))
                }
                "properties" => {
                    self.properties(rule.as_object().unwrap(), value, place);
                    true
                }
                "additionalProperties" => {
                    assert_eq!(rule, &Value::Bool(false), "{place}");
                    let known = schema["properties"].as_object().unwrap();
                    value.as_object().is_none_or(|object| object.keys().all(|name| known.contains_key(name)))
                }
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{place}[{at}]"));
                    }
                    true
                }
                _ => panic!("{place}: the word {word} is not known here"),
            };
            if !is_right {
                self.wrong.push(format!("{place}: {word} {rule}: {value}"));
            }
        }
    }

    fn properties(&mut self, properties: &Map<String, Value>, value: &Value, place: &str) {
        let Some(object) = value.as_object() else { return };
        for (name, schema) in properties {
            if let Some(value) = object.get(name) {
                self.check(schema, value, &format!("{place}.{name}"));
            }
        }
    }
}

fn types(rule: &Value) -> Vec<&str> {
    match rule {
        Value::Array(all) => all.iter().map(|one| one.as_str().unwrap()).collect(),
        one => vec![one.as_str().unwrap()],
    }
}

fn is_of_type(word: &str, value: &Value) -> bool {
    match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => panic!("the type {word} is not known here"),
    }
}

#[test]
fn a_value_that_is_not_what_the_schema_says_is_found() {
    let schema = serde_json::json!({
        "type": "object",
        "required": ["a"],
        "additionalProperties": false,
        "properties": { "a": { "$ref": "#/$defs/b" }, "c": { "type": ["array", "null"], "items": { "enum": ["x"] } } },
        "$defs": { "b": { "type": "integer", "minimum": 1 } },
    });
    let wrong = |value: Value| wrong(&schema, &value).len();
    assert_eq!(wrong(serde_json::json!({"a": 1, "c": ["x"]})), 0);
    assert_eq!(wrong(serde_json::json!({"a": 1, "c": null})), 0);
    for value in [
        serde_json::json!({"a": 0}),
        serde_json::json!({"a": "1"}),
        serde_json::json!({}),
        serde_json::json!({"a": 1, "d": 1}),
        serde_json::json!({"a": 1, "c": ["y"]}),
        serde_json::json!([]),
    ] {
        assert_eq!(wrong(value.clone()), 1, "{value}");
    }
}
