//! The Map state and its item processor.

use serde_json::Value;

use crate::fields;
use crate::{
    ExecutionType, ItemProcessor, MapState, ProcessorConfig, ProcessorMode, ValueOrExpression,
};

use super::expressions::Moment;
use super::reader::{Holder, Object, Reader};
use super::states::MAX_SECONDS;

impl Reader {
    pub(super) fn map(&mut self, object: &Object<'_>) -> Option<MapState> {
        let comment = self.text(object, "Comment");
        let transition = self.transition(object);
        let items = self.template_field(object, "Items", Moment::Entered);
        if let Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) =
            object.fields.get("Items")
        {
            self.wrong_type(
                &object.member("Items"),
                value,
                "an array, or an expression {% … %}",
            );
        }
        let item_selector = self.template_field(object, "ItemSelector", Moment::Entered);
        let item_processor = self.item_processor(object);
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
        let tolerated_failure_percentage = self.value_or_expression(
            object,
            "ToleratedFailurePercentage",
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
                self.problem(&object.member(field), &message, advice);
            }
        }
        let item_reader = self.template_field(object, "ItemReader", Moment::Entered);
        let item_batcher = self.template_field(object, "ItemBatcher", Moment::Entered);
        let result_writer = self.template_field(object, "ResultWriter", Moment::Entered);
        let label = self.text(object, "Label");
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
        Some(ItemProcessor {
            config,
            flow: self.nested_flow(&processor)?,
        })
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
            self.problem(
                &object.member(field),
                &format!("{text:?} is unknown"),
                &format!("write {}", names.join(" or ")),
            );
        }
        value
    }
}
