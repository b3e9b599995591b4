//! What goes into a text, and how it is laid out: as what stands around it.

use jsonc_parser::ast::Object;

/// Collected while the text is walked, done at once.
pub(crate) struct Insertions<'t> {
    text: &'t str,
    newline: &'static str,
    /// One step of indentation.
    step: String,
    /// Between key and value, where no neighbour shows it.
    colon: String,
    pending: Vec<(usize, String)>,
}

/// What a member is added with.
#[derive(Clone, Debug)]
pub(crate) enum Added {
    Text(String),
    Object(Vec<(String, Added)>),
}

/// How the members of one object stand.
struct Shape {
    /// The indentation of each member's own line; `None` when they share one.
    indentation: Option<String>,
    colon: String,
    /// Before the next member on the same line.
    space: &'static str,
}

impl<'t> Insertions<'t> {
    /// The root shows how the whole text is written.
    pub(crate) fn new(text: &'t str, root: &Object<'_>) -> Self {
        let mut new = Self {
            text,
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
            step: "  ".to_owned(),
            colon: ": ".to_owned(),
            pending: Vec::new(),
        };
        if let Some(shape) = new.shape(root) {
            if let Some(step) = shape.indentation.filter(|step| !step.is_empty()) {
                new.step = step;
            }
            new.colon = shape.colon;
        }
        new
    }

    /// After the last member of the object.
    pub(crate) fn add_members(&mut self, object: &Object<'_>, members: &[(String, Added)]) {
        if members.is_empty() {
            return;
        }
        let Some(last) = object.properties.last() else {
            self.fill(object, members);
            return;
        };
        let shape = self
            .shape(object)
            .expect("an object with a last member has a first one");
        let text = format!(",{}", self.members(members, &shape));
        self.pending.push((last.range.end, text));
    }

    /// Around what stands from `start` to `end`.
    pub(crate) fn surround(&mut self, (start, end): (usize, usize), before: &str, after: &str) {
        self.pending.push((start, before.to_owned()));
        self.pending.push((end, after.to_owned()));
    }

    pub(crate) fn apply(mut self) -> String {
        self.pending.sort_by_key(|(offset, _)| *offset);
        let inserted: usize = self.pending.iter().map(|(_, text)| text.len()).sum();
        let mut whole = String::with_capacity(self.text.len() + inserted);
        let mut done = 0;
        for (offset, text) in &self.pending {
            whole.push_str(&self.text[done..*offset]);
            whole.push_str(text);
            done = *offset;
        }
        whole.push_str(&self.text[done..]);
        whole
    }

    /// Into an empty object: on lines of their own where the object stands on its own line.
    fn fill(&mut self, object: &Object<'_>, members: &[(String, Added)]) {
        let line = &self.text[..object.range.start];
        let line = &line[line.rfind('\n').map_or(0, |newline| newline + 1)..];
        let own_line = line.len() < object.range.start && !line.contains(['{', '[', ',']);
        let indentation: String = line.chars().take_while(|c| c.is_whitespace()).collect();
        let shape = Shape {
            indentation: own_line.then(|| format!("{indentation}{}", self.step)),
            colon: self.colon.clone(),
            space: "",
        };
        let mut text = self.members(members, &shape);
        let inside = &self.text[object.range.start + 1..object.range.end - 1];
        if own_line && !inside.contains('\n') {
            text.push_str(self.newline);
            text.push_str(&indentation);
        }
        self.pending.push((object.range.start + 1, text));
    }

    fn shape(&self, object: &Object<'_>) -> Option<Shape> {
        let first = object.properties.first()?;
        let before = &self.text[object.range.start + 1..first.range.start];
        let indentation = before
            .rfind('\n')
            .map(|newline| before[newline + 1..].to_owned());
        let value = jsonc_parser::common::Ranged::range(&first.value);
        let key = jsonc_parser::common::Ranged::range(&first.name);
        let between = &self.text[key.end..value.start];
        let colon = if between.contains('\n') {
            ": "
        } else {
            between
        };
        let space = if colon.ends_with(':') { "" } else { " " };
        Some(Shape {
            indentation,
            colon: colon.to_owned(),
            space,
        })
    }

    fn members(&self, members: &[(String, Added)], shape: &Shape) -> String {
        let mut text = String::new();
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            match &shape.indentation {
                Some(indentation) => {
                    text.push_str(self.newline);
                    text.push_str(indentation);
                }
                None if index > 0 && shape.colon.ends_with(' ') => text.push(' '),
                None => text.push_str(shape.space),
            }
            text.push_str(&quoted(name));
            text.push_str(&shape.colon);
            self.value(&mut text, value, shape);
        }
        text
    }

    fn value(&self, text: &mut String, value: &Added, around: &Shape) {
        let members = match value {
            Added::Text(value) => return text.push_str(&quoted(value)),
            Added::Object(members) => members,
        };
        let inner = Shape {
            indentation: around
                .indentation
                .as_ref()
                .map(|indentation| format!("{indentation}{}", self.step)),
            colon: around.colon.clone(),
            space: "",
        };
        text.push('{');
        text.push_str(&self.members(members, &inner));
        if let Some(indentation) = &around.indentation {
            text.push_str(self.newline);
            text.push_str(indentation);
        }
        text.push('}');
    }
}

/// As a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::document;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let root = document::parse(text).unwrap();
        let mut insertions = Insertions::new(text, &root);
        let object = root.get_object("States").unwrap();
        let inner = Added::Object(vec![("c".to_owned(), Added::Text("é\"\\".to_owned()))]);
        let members = [
            ("a".to_owned(), Added::Text("b".to_owned())),
            ("inner".to_owned(), inner),
        ];
        insertions.add_members(object, &members);
        assert_eq!(insertions.apply(), expected);
    }

    #[test]
    fn members_stand_as_their_neighbours_do() {
        check(
            r#"{"States":{"x":1}}"#,
            r#"{"States":{"x":1,"a":"b","inner":{"c":"é\"\\"}}}"#,
        );
        check(
            r#"{ "States": { "x": 1 } }"#,
            r#"{ "States": { "x": 1, "a": "b", "inner": {"c": "é\"\\"} } }"#,
        );
        check(
            "{\n\t\"States\" : {\n\t\t\"x\" : 1\n\t}\n}\n",
            "{\n\t\"States\" : {\n\t\t\"x\" : 1,\n\t\t\"a\" : \"b\",\n\t\t\"inner\" : {\n\t\t\t\"c\" : \"é\\\"\\\\\"\n\t\t}\n\t}\n}\n",
        );
        check(
            "{\r\n    \"States\": {\r\n        \"x\": 1\r\n    }\r\n}",
            "{\r\n    \"States\": {\r\n        \"x\": 1,\r\n        \"a\": \"b\",\r\n        \"inner\": {\r\n            \"c\": \"é\\\"\\\\\"\r\n        }\r\n    }\r\n}",
        );
        // A line of its own inside, though the object around it shares one.
        check(
            "{\n  \"States\": {\"x\": {\n    \"y\": 1}}\n}",
            "{\n  \"States\": {\"x\": {\n    \"y\": 1}, \"a\": \"b\", \"inner\": {\"c\": \"é\\\"\\\\\"}}\n}",
        );
    }

    #[test]
    fn an_empty_object_is_filled_as_the_text_around_it_is_written() {
        check(
            r#"{"States":{}}"#,
            r#"{"States":{"a":"b","inner":{"c":"é\"\\"}}}"#,
        );
        check(
            "{\n  \"States\": {}\n}",
            "{\n  \"States\": {\n    \"a\": \"b\",\n    \"inner\": {\n      \"c\": \"é\\\"\\\\\"\n    }\n  }\n}",
        );
        check(
            "{\n  \"States\": {\n  }\n}",
            "{\n  \"States\": {\n    \"a\": \"b\",\n    \"inner\": {\n      \"c\": \"é\\\"\\\\\"\n    }\n  }\n}",
        );
    }
}
