//! The Map state and its item processor.

use serde_json::Value;

use crate::expression::{CLOSING, OPENING};
use crate::fields;
use crate::{
    ExecutionType, ItemProcessor, MapState, ProcessorConfig, ProcessorMode, Rule, Template,
    ValueOrExpression,
};

use super::expressions::Moment;
use super::reader::{Holder, Object, Reader, Sight, rule_of_number};
use super::states::MAX_SECONDS;

impl Reader {
    pub(super) fn map(&mut self, object: &Object<'_>) -> Option<MapState> {
        let comment = self.text(object, "Comment");
        let transition = self.transition(object);
        let items = self.template_field(object, "Items", Moment::Entered);
        let is_literal = matches!(items, Some(Template::Literal(_)));
        if let Some(value) = object.fields.get("Items")
            && is_literal
            && !value.is_array()
            && !value.is_object()
            && !has_delimiter(value)
        {
            self.wrong_type(
                &object.member("Items"),
                value,
                "an array, or an expression {% … %}",
            );
        }
        let outside = self.surroundings;
        self.surroundings.has_map_item = true;
        let item_selector = self.template_field(object, "ItemSelector", Moment::Entered);
        let item_processor = self.item_processor(object);
        self.surroundings = outside;
        let max_concurrency = self
            .integer_or_expression(object, "MaxConcurrency", 0..=MAX_SECONDS)
            .unwrap_or(ValueOrExpression::Value(0));
        let tolerated_failure_count =
            self.integer_or_expression(object, "ToleratedFailureCount", 0..=MAX_SECONDS);
        let percentage = |value: &Value| {
            value
                .as_f64()
                .filter(|number| (0.0..=100.0).contains(number))
        };
        let rule = object
            .fields
            .get("ToleratedFailurePercentage")
            .map_or(Rule::OutOfRange, rule_of_number);
        let tolerated_failure_percentage = self.value_or_expression(
            object,
            "ToleratedFailurePercentage",
            rule,
            "a number from 0 to 100",
            percentage,
        );
        let inline = item_processor
            .as_ref()
            .is_some_and(|processor| processor.config.mode == ProcessorMode::Inline);
        for field in ["ItemReader", "ItemBatcher", "ResultWriter", "Label"] {
            if inline && object.fields.contains_key(field) {
                let message = format!("{field} needs a distributed Map, and this one is inline");
                let advice = "set ItemProcessor.ProcessorConfig to {\"Mode\": \"DISTRIBUTED\", \"ExecutionType\": \"STANDARD\"}";
                self.problem(
                    Rule::DistributedOnly,
                    &object.member(field),
                    &message,
                    advice,
                );
            }
        }
        if !inline {
            self.check_distributed(object);
        }
        let item_reader = self.template_field(object, "ItemReader", Moment::Entered);
        let item_batcher = self.template_field(object, "ItemBatcher", Moment::Entered);
        let result_writer = self.template_field(object, "ResultWriter", Moment::Entered);
        let label = self.label(object);
        let output = self.template_field(object, "Output", Moment::Finished);
        let assign = self.assign(object, Moment::Finished);
        let retry = self.retry(object);
        let catch = self.catch(object);
        Some(MapState {
            comment,
            items,
            item_selector,
            item_processor: item_processor?,
            max_concurrency,
            tolerated_failure_count,
            tolerated_failure_percentage,
            item_reader,
            item_batcher,
            result_writer,
            label,
            output,
            assign,
            transition: transition?,
            retry,
            catch,
        })
    }

    fn item_processor(&mut self, object: &Object<'_>) -> Option<ItemProcessor> {
        const WHAT: &str = "an object {\"StartAt\": …, \"States\": {…}}";
        if object.fields.contains_key("Iterator") && !object.fields.contains_key("ItemProcessor") {
            // Told as JSONPath's.
            return None;
        }
        let value = self.required(object, "ItemProcessor", WHAT)?;
        let path = object.member("ItemProcessor");
        let Value::Object(fields) = value else {
            self.wrong_type(&path, value, WHAT);
            return None;
        };
        let processor = Object { path, fields };
        self.known_fields(
            &processor,
            Holder::named("an item processor"),
            fields::ITEM_PROCESSOR,
        );
        let config = self.processor_config(&processor);
        let sight = match config.mode {
            ProcessorMode::Inline => Sight::Outwards,
            ProcessorMode::Distributed => Sight::OwnOnly,
        };
        Some(ItemProcessor {
            config,
            flow: self.nested_flow(&processor, sight)?,
        })
    }

    /// What is written out in the fields of a distributed Map.
    fn check_distributed(&mut self, object: &Object<'_>) {
        const MAX_INPUT_BYTES: u64 = 262_144;
        let parts = ["ItemReader", "ItemBatcher", "ResultWriter"];
        let [reader, batcher, writer] = parts.map(|field| {
            let value = object.fields.get(field)?;
            let path = object.member(field);
            match value {
                Value::Object(fields) => Some(Object { path, fields }),
                _ if self.is_open(value) => None,
                other => {
                    self.wrong_type(&path, other, "an object");
                    None
                }
            }
        });
        if let Some(reader) = reader {
            self.required_text(&reader, "Resource", "the ARN of what reads the items");
            if let Some(Value::Object(fields)) = reader.fields.get("ReaderConfig") {
                let path = reader.member("ReaderConfig");
                let config = Object { path, fields };
                self.integer_or_expression(&config, "MaxItems", 1..=MAX_SECONDS);
            }
        }
        if let Some(batcher) = batcher {
            self.integer_or_expression(&batcher, "MaxItemsPerBatch", 1..=MAX_SECONDS);
            self.integer_or_expression(&batcher, "MaxInputBytesPerBatch", 1..=MAX_INPUT_BYTES);
            if !batcher.fields.contains_key("MaxInputBytesPerBatch") {
                self.required(&batcher, "MaxItemsPerBatch", "an integer from 1");
            }
        }
        if let Some(writer) = writer
            && !writer.fields.contains_key("WriterConfig")
        {
            self.required_text(&writer, "Resource", "the ARN of what writes the results");
        }
    }

    fn label(&mut self, object: &Object<'_>) -> Option<String> {
        const MAX_CHARACTERS: usize = 40;
        let label = self.text(object, "Label")?;
        let path = object.member("Label");
        let is_special = |character: &char| {
            character.is_whitespace()
                || character.is_control()
                || "?*<>{}[]:;,\\|^~$#%&`\"".contains(*character)
        };
        if self.is_open(&Value::from(label.as_str())) {
            return Some(label);
        }
        if let Some(special) = label.chars().find(is_special) {
            let message = format!("the label has the character {special:?}, which is not allowed");
            self.problem(
                Rule::MapLabel,
                &path,
                &message,
                "use letters, digits, - and _",
            );
        }
        let length = label.chars().count();
        if length > MAX_CHARACTERS {
            let message = format!(
                "the label has {length} characters, and at most {MAX_CHARACTERS} are allowed"
            );
            self.problem(Rule::MapLabel, &path, &message, "shorten it");
        }
        Some(label)
    }

    fn processor_config(&mut self, processor: &Object<'_>) -> ProcessorConfig {
        let path = processor.member("ProcessorConfig");
        let fields = match processor.fields.get("ProcessorConfig") {
            None => return ProcessorConfig::default(),
            Some(Value::Object(fields)) => fields,
            Some(other) => {
                self.wrong_type(&path, other, "an object {\"Mode\": …}");
                return ProcessorConfig::default();
            }
        };
        let object = Object { path, fields };
        self.known_fields(
            &object,
            Holder::named("a processor configuration"),
            fields::PROCESSOR_CONFIG,
        );
        let modes = [
            ("INLINE", ProcessorMode::Inline),
            ("DISTRIBUTED", ProcessorMode::Distributed),
        ];
        let types = [
            ("STANDARD", ExecutionType::Standard),
            ("EXPRESS", ExecutionType::Express),
        ];
        let mode = self.one_of(&object, "Mode", &modes).unwrap_or_default();
        let execution_type = self.one_of(&object, "ExecutionType", &types);
        if mode == ProcessorMode::Distributed {
            self.required(&object, "ExecutionType", "STANDARD or EXPRESS");
        }
        ProcessorConfig {
            mode,
            execution_type,
        }
    }

    fn one_of<T: Copy>(
        &mut self,
        object: &Object<'_>,
        field: &str,
        values: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(object, field)?;
        let value = values
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        if value.is_none() {
            let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
            let path = object.member(field);
            self.wrong_type(&path, &Value::from(text), &names.join(" or "));
        }
        value
    }
}

/// Whether it was meant to be an expression, which has been told.
pub(super) fn has_delimiter(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        let text = text.trim();
        text.starts_with(OPENING) || text.ends_with(CLOSING)
    })
}
