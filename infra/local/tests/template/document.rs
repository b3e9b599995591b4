//! A `CloudFormation` template as JSON: `!Ref x` as `{"Ref": x}`, `!Sub x` as `{"Fn::Sub": x}`.

use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode as _, ScalarOwned, YamlOwned};
use serde_json::{Map, Value, json};

pub(crate) struct Template {
    pub(crate) file: &'static str,
    root: Value,
}

/// An `Allow` or `Deny` of some policy in a template.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Whose policy it is in: the resource's name in the template.
    pub(crate) owner: String,
    value: Value,
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Template {
    pub(crate) fn main() -> Self {
        Self::read("template.yaml")
    }

    pub(crate) fn user_pool() -> Self {
        Self::read("infra/user-pool.yaml")
    }

    pub(crate) fn hosting() -> Self {
        Self::read("infra/hosting.yaml")
    }

    pub(crate) fn monitoring() -> Self {
        Self::read("infra/monitoring.yaml")
    }

    pub(crate) fn all() -> [Self; 4] {
        [
            Self::main(),
            Self::user_pool(),
            Self::hosting(),
            Self::monitoring(),
        ]
    }

    fn read(file: &'static str) -> Self {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        let documents = YamlOwned::load_from_str(&text).unwrap();
        Self {
            file,
            root: to_json(&documents[0]),
        }
    }

    /// The value at a JSON pointer; panics where there is none.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        let found = self.root.pointer(pointer);
        found.unwrap_or_else(|| panic!("{} has nothing at {pointer}", self.file))
    }

    pub(crate) fn resources(&self) -> &Map<String, Value> {
        self.at("/Resources").as_object().unwrap()
    }

    /// Names and properties of the resources of one type.
    pub(crate) fn of_type<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.resources().iter();
        resources
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
    }

    /// Of roles, managed policies and the policies of buckets and queues. Not who may assume a
    /// role.
    pub(crate) fn statements(&self) -> Vec<Statement> {
        let mut found = Vec::new();
        for (name, resource) in self.resources() {
            let properties = &resource["Properties"];
            let own = properties.get("PolicyDocument");
            let inline = properties["Policies"].as_array();
            let inline = inline.into_iter().flatten();
            let documents = own
                .into_iter()
                .chain(inline.map(|policy| &policy["PolicyDocument"]));
            for statement in documents.flat_map(|document| list(&document["Statement"])) {
                found.push(Statement {
                    owner: name.clone(),
                    value: statement.clone(),
                });
            }
        }
        found
    }
}

impl Statement {
    pub(crate) fn allows(&self) -> bool {
        self.value["Effect"] == "Allow"
    }

    pub(crate) fn actions(&self) -> Vec<&str> {
        let actions = list(&self.value["Action"]).into_iter();
        actions.map(|action| action.as_str().unwrap()).collect()
    }

    pub(crate) fn resources(&self) -> Vec<&Value> {
        list(&self.value["Resource"])
    }

    pub(crate) fn condition(&self, operator: &str, key: &str) -> &Value {
        &self.value["Condition"][operator][key]
    }
}

/// IAM takes one thing for a list of one.
pub(crate) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        value => vec![value],
    }
}

pub(crate) fn texts(value: &Value) -> Vec<&str> {
    let values = list(value).into_iter();
    values.map(|value| value.as_str().unwrap()).collect()
}

fn to_json(yaml: &YamlOwned) -> Value {
    match yaml {
        YamlOwned::Value(ScalarOwned::Null) => Value::Null,
        YamlOwned::Value(ScalarOwned::Boolean(value)) => json!(value),
        YamlOwned::Value(ScalarOwned::Integer(value)) => json!(value),
        YamlOwned::Value(ScalarOwned::FloatingPoint(value)) => json!(value.into_inner()),
        YamlOwned::Value(ScalarOwned::String(value)) => json!(value),
        YamlOwned::Sequence(values) => values.iter().map(to_json).collect(),
        YamlOwned::Mapping(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| (key_of(key), to_json(value)));
            Value::Object(entries.collect())
        }
        YamlOwned::Tagged(tag, value) => {
            let function = match tag.suffix.as_str() {
                name @ ("Ref" | "Condition") => name.to_owned(),
                name => format!("Fn::{name}"),
            };
            json!({ function: to_json(value) })
        }
        other => panic!("not in a template: {other:?}"),
    }
}

fn key_of(key: &YamlOwned) -> String {
    match to_json(key) {
        Value::String(key) => key,
        Value::Number(key) => key.to_string(),
        other => panic!("a key that is no text: {other}"),
    }
}
