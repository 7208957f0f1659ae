//! The server's OpenAPI document, and bodies that fit it.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _};
use serde_json::{Map, Value};

use super::identity::Identity;

/// The deepest nesting of schemas that is followed; the document's own are three deep.
const DEPTH_MAX: u32 = 8;
/// The lengths of ids, hashes and keys, and of signatures.
const BINARY_BYTES: [usize; 4] = [16, 32, 64, 200];

/// A call.
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    /// The schema of the JSON body, if it takes one.
    pub(super) body: Option<Value>,
}

/// The calls of the document.
pub(super) struct Api {
    pub(super) operations: Vec<Operation>,
    schemas: Value,
}

impl Api {
    /// # Errors
    /// An error if it is not an OpenAPI document with calls.
    pub(super) fn parse(document: &Value) -> Result<Self> {
        let paths = document.get("paths").and_then(Value::as_object).context("the document has no paths")?;
        let mut operations = Vec::new();
        for (path, item) in paths {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let body = operation.pointer("/requestBody/content/application~1json/schema").cloned();
                operations.push(Operation { method: method.to_uppercase(), path: path.clone(), body });
            }
        }
        anyhow::ensure!(operations.len() > 20, "the document has only {} calls", operations.len());
        anyhow::ensure!(operations.iter().any(|operation| operation.body.is_some()), "no call has a body");
        let schemas = document.pointer("/components/schemas").cloned().context("the document has no schemas")?;
        Ok(Self { operations, schemas })
    }

    /// Returns a body that fits the schema, as far as a schema tells.
    pub(super) fn value(&self, rng: &mut StdRng, identity: &Identity, schema: &Value, depth: u32) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let named = reference.rsplit('/').next().and_then(|name| self.schemas.get(name));
            return named.map_or(Value::Null, |named| self.value(rng, identity, named, depth + 1));
        }
        for choice in ["oneOf", "anyOf", "allOf", "enum"] {
            let Some(options) = schema.get(choice).and_then(Value::as_array) else { continue };
            let chosen = options.choose(rng).cloned().unwrap_or_default();
            return if choice == "enum" { chosen } else { self.value(rng, identity, &chosen, depth + 1) };
        }
        let kinds = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.clone(),
            Some(kind) => vec![kind.clone()],
            None => vec![Value::from("object")],
        };
        match kinds.choose(rng).and_then(Value::as_str) {
            Some("object") => {
                let mut object = Map::new();
                for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                    object.insert(name.clone(), self.property(rng, identity, name, property, depth));
                }
                Value::Object(object)
            }
            Some("array") => {
                let item = schema.get("items").cloned().unwrap_or_default();
                let count = rng.random_range(0..4);
                (0..count).map(|_| self.value(rng, identity, &item, depth + 1)).collect()
            }
            Some("integer" | "number") => number(rng),
            Some("boolean") => Value::Bool(rng.random()),
            Some("string") => Value::String(string(rng, identity)),
            _ => Value::Null,
        }
    }

    /// Returns a value for a field. Half of the time it is the true one of the attacker's own account, so that the code
    /// behind the first checks is reached.
    fn property(&self, rng: &mut StdRng, identity: &Identity, name: &str, schema: &Value, depth: u32) -> Value {
        match identity.known(name) {
            Some(known) if rng.random_bool(0.5) => known,
            _ => self.value(rng, identity, schema, depth + 1),
        }
    }
}

fn number(rng: &mut StdRng) -> Value {
    match rng.random_range(0..4) {
        0 => Value::from(rng.random_range(0..4_u64)),
        1 => Value::from(rng.random_range(0..200_u64)),
        2 => Value::from(rng.random::<u32>()),
        _ => Value::from(rng.random::<u64>()),
    }
}

fn string(rng: &mut StdRng, identity: &Identity) -> String {
    match rng.random_range(0..6) {
        0 => identity.name.clone(),
        1 => ["alice", "bob", "", "admin", "a.b_c9", "correct horse battery"]
            .choose(rng)
            .map_or_else(String::new, |text| (*text).to_owned()),
        _ => {
            let mut bytes = vec![0; BINARY_BYTES.choose(rng).copied().unwrap_or_default()];
            rng.fill_bytes(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes)
        }
    }
}
