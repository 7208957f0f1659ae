//! The bodies of the API as the OpenAPI document describes them: which fields there are, and where.

use sealpost_api::endpoint::Metadata;
use serde_json::Value;

/// A field of a body, by the names that lead to it; `0` is the first element of an array.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field {
    pub(crate) path: Vec<String>,
    pub(crate) kind: String,
    /// Whether it may not be absent.
    pub(crate) required: bool,
}

impl Field {
    /// As `serde_json` looks it up.
    pub(crate) fn pointer(&self) -> String {
        self.path.iter().map(|name| format!("/{name}")).collect()
    }

    /// The name it has in its object; an element of an array is called by the array's name.
    pub(crate) fn name(&self) -> &str {
        self.path.iter().rev().find(|name| *name != "0").unwrap()
    }
}

/// The document that the server makes.
pub(crate) fn document() -> Value {
    serde_json::to_value(sealpost_server::edge::http::document()).unwrap()
}

/// Every field of a route's request body, objects and arrays among them, outermost first.
pub(crate) fn request_fields(document: &Value, route: &Metadata) -> Vec<Field> {
    let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let mut fields = Vec::new();
    if route.body {
        walk(document, schema, true, &mut Vec::new(), &mut fields);
    }
    fields
}

fn walk(document: &Value, schema: &Value, required: bool, path: &mut Vec<String>, fields: &mut Vec<Field>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        return walk(document, &document["components"]["schemas"][name], required, path, fields);
    }
    // What may be absent is described as one of null and the thing itself.
    if let Some(choices) = schema["oneOf"].as_array() {
        let thing = choices.iter().find(|choice| choice["type"] != "null").unwrap();
        return walk(document, thing, required, path, fields);
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").unwrap().as_str().unwrap().to_owned(),
        other => panic!("{path:?}: {other}"),
    };
    if !path.is_empty() {
        fields.push(Field { path: path.clone(), kind: kind.clone(), required });
    }
    match kind.as_str() {
        "object" => {
            let required_names = schema["required"].as_array();
            for (name, schema) in schema["properties"].as_object().unwrap() {
                path.push(name.clone());
                let required = required_names.is_some_and(|names| names.iter().any(|one| one == name));
                walk(document, schema, required, path, fields);
                path.pop();
            }
        }
        "array" => {
            path.push("0".to_owned());
            walk(document, &schema["items"], true, path, fields);
            path.pop();
        }
        "string" | "integer" | "boolean" => {}
        other => panic!("{path:?}: {other}"),
    }
}
