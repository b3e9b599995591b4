//! The functions Step Functions adds to JSONata, and JSONata's own that would
//! read a clock or draw random numbers, on an [`Environment`] instead.
//! `$eval` is absent on purpose: Step Functions refuses it.

use std::cell::RefCell;
use std::rc::Rc;

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Evaluator, EvaluatorError};
use jsonata_core::value::JValue;
use md5::{Digest, Md5};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::Environment;
use crate::json;

/// The names, without `$`, of what [`Functions::register`] knows.
pub(crate) const NAMES: [&str; 9] = [
    "hash",
    "millis",
    "now",
    "parse",
    "partition",
    "random",
    "range",
    "shuffle",
    "uuid",
];

/// More than a state's 256 KiB can hold, and little enough to build.
const MAX_RANGE_ITEMS: f64 = 1_000_000.0;

type Outcome = Result<JValue, EvaluatorError>;

/// The functions of one evaluation; the random numbers go on from one expression to the next.
pub(crate) struct Functions {
    environment: Environment,
    random: Rc<RefCell<StdRng>>,
}

impl Functions {
    pub(crate) fn new(environment: Environment) -> Self {
        let random = Rc::new(RefCell::new(StdRng::from_seed(environment.random_seed)));
        Self {
            environment,
            random,
        }
    }

    /// Makes the function of that name known to an evaluator.
    pub(crate) fn register(
        &self,
        evaluator: &mut Evaluator,
        name: &str,
    ) -> Result<(), EvaluatorError> {
        let millis = self.environment.now.timestamp_millis();
        let random = Rc::clone(&self.random);
        match name {
            "hash" => evaluator.register_fn(name, hash),
            "parse" => evaluator.register_fn(name, parse),
            "partition" => evaluator.register_fn(name, partition),
            "range" => evaluator.register_fn(name, range),
            "uuid" => {
                evaluator.register_fn(name, move |arguments: &[JValue]| uuid(&random, arguments))
            }
            "millis" => {
                evaluator.register_fn_override(name, move |_: &[JValue]| Ok(JValue::from(millis)))
            }
            "now" => evaluator
                .register_fn_override(name, move |arguments: &[JValue]| now(millis, arguments)),
            "random" => evaluator.register_fn_override(name, move |arguments: &[JValue]| {
                random_number(&random, arguments)
            }),
            "shuffle" => evaluator.register_fn_override(name, move |arguments: &[JValue]| {
                shuffle(&random, arguments)
            }),
            _ => Ok(()),
        }
    }
}

fn fail<T>(message: String) -> Result<T, EvaluatorError> {
    Err(EvaluatorError::EvaluationError(message))
}

fn arguments<'a, const N: usize>(
    name: &str,
    given: &'a [JValue],
) -> Result<&'a [JValue; N], EvaluatorError> {
    given.try_into().or_else(|_| {
        fail(format!(
            "${name} takes {N} arguments, and {} were given",
            given.len()
        ))
    })
}

fn integer(name: &str, what: &str, value: &JValue) -> Result<f64, EvaluatorError> {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 => Ok(number),
        _ => fail(format!(
            "${name} needs an integer as its {what}, not {value}"
        )),
    }
}

/// `$partition(array, size)`: pieces of that size, the last one maybe smaller.
fn partition(given: &[JValue]) -> Outcome {
    let [array, size] = arguments("partition", given)?;
    if array.is_undefined() {
        return Ok(JValue::Undefined);
    }
    let size = integer("partition", "second argument, the size of a piece", size)?;
    if size < 1.0 {
        return fail(format!("$partition needs a size of at least 1, not {size}"));
    }
    let Some(items) = array.as_array() else {
        return fail(format!(
            "$partition needs an array as its first argument, not {array}"
        ));
    };
    // Saturates: a size beyond any array's makes one piece.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a positive integer"
    )]
    let size = size as usize;
    Ok(JValue::array(
        items
            .chunks(size)
            .map(|piece| JValue::array(piece.to_vec()))
            .collect(),
    ))
}

/// `$range(first, last, step)`: numbers from the first, up to and with the last.
fn range(given: &[JValue]) -> Outcome {
    let [first, last, step] = arguments("range", given)?;
    if [first, last, step].into_iter().any(JValue::is_undefined) {
        return Ok(JValue::Undefined);
    }
    let first = integer("range", "first argument", first)?;
    let last = integer("range", "second argument", last)?;
    let step = integer("range", "third argument, the step", step)?;
    if step == 0.0 {
        return fail("$range needs a step that is not 0".to_owned());
    }
    let steps = ((last - first) / step).floor();
    if steps < 0.0 {
        return Ok(JValue::array(Vec::new()));
    }
    if steps >= MAX_RANGE_ITEMS {
        return fail(format!(
            "$range would give {} items; it gives at most {MAX_RANGE_ITEMS}",
            steps + 1.0
        ));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and MAX_RANGE_ITEMS"
    )]
    let steps = steps as u32;
    Ok(JValue::array(
        (0..=steps)
            .map(|index| JValue::from_f64(first + f64::from(index) * step))
            .collect(),
    ))
}

/// `$hash(text, algorithm)`: the hash of the text's UTF-8 in lower-case hexadecimal.
fn hash(given: &[JValue]) -> Outcome {
    let [data, algorithm] = arguments("hash", given)?;
    if data.is_undefined() {
        return Ok(JValue::Undefined);
    }
    let Some(data) = data.as_str() else {
        return fail(format!(
            "$hash needs a string as its first argument, not {data}; $string(…) makes one"
        ));
    };
    let digest = match algorithm.as_str() {
        Some("MD5") => hex::encode(Md5::digest(data)),
        Some("SHA-1") => hex::encode(<Sha1 as sha1::Digest>::digest(data)),
        Some("SHA-256") => hex::encode(Sha256::digest(data)),
        Some("SHA-384") => hex::encode(Sha384::digest(data)),
        Some("SHA-512") => hex::encode(Sha512::digest(data)),
        _ => {
            return fail(format!(
                "$hash knows the algorithms 'MD5', 'SHA-1', 'SHA-256', 'SHA-384' and 'SHA-512', not {algorithm}"
            ));
        }
    };
    Ok(JValue::from(digest))
}

/// `$parse(text)`: the value that the JSON text stands for.
fn parse(given: &[JValue]) -> Outcome {
    let [text] = arguments("parse", given)?;
    if text.is_undefined() {
        return Ok(JValue::Undefined);
    }
    let Some(text) = text.as_str() else {
        return fail(format!("$parse needs a string of JSON, not {text}"));
    };
    match serde_json::from_str(text) {
        Ok(value) => Ok(json::to_jsonata(&value)),
        Err(error) => fail(format!(
            "$parse was given a string that is not JSON: {error}"
        )),
    }
}

/// `$uuid()`: a random (version 4) UUID.
fn uuid(random: &RefCell<StdRng>, given: &[JValue]) -> Outcome {
    let [] = arguments("uuid", given)?;
    let bytes = random.borrow_mut().random();
    Ok(JValue::from(
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string(),
    ))
}

/// `$random()` or `$random(seed)`: from 0 up to but not 1; the same for the same seed.
fn random_number(random: &RefCell<StdRng>, given: &[JValue]) -> Outcome {
    let number: f64 = match given {
        [] => random.borrow_mut().random(),
        [JValue::Undefined] => return Ok(JValue::Undefined),
        [seed] => {
            let seed = integer("random", "argument, the seed", seed)?;
            StdRng::seed_from_u64(seed.to_bits()).random()
        }
        _ => {
            return fail(format!(
                "$random takes no argument or a seed, and {} were given",
                given.len()
            ));
        }
    };
    Ok(JValue::from_f64(number))
}

fn shuffle(random: &RefCell<StdRng>, given: &[JValue]) -> Outcome {
    let [array] = arguments("shuffle", given)?;
    if array.is_undefined() {
        return Ok(JValue::Undefined);
    }
    // A value stands for the array that holds it, as everywhere in JSONata.
    let mut items = array
        .as_array()
        .map_or_else(|| vec![array.clone()], Clone::clone);
    let mut random = random.borrow_mut();
    for end in (1..items.len()).rev() {
        items.swap(end, random.random_range(0..=end));
    }
    Ok(JValue::array(items))
}

/// `$now()`, `$now(picture)`, `$now(picture, zone)`: formatted as `$fromMillis` does.
fn now(millis: i64, given: &[JValue]) -> Outcome {
    let call = |name: &str, arguments| AstNode::Function {
        name: name.to_owned(),
        args: arguments,
        is_builtin: true,
    };
    let mut format_arguments = vec![call("millis", Vec::new())];
    for argument in given {
        format_arguments.push(match (argument, argument.as_str()) {
            (JValue::Undefined, _) => AstNode::Undefined,
            (_, Some(text)) => AstNode::string(text),
            _ => {
                return fail(format!(
                    "$now takes a picture and a time zone, both strings, not {argument}"
                ));
            }
        });
    }
    let mut evaluator = Evaluator::new();
    evaluator.register_fn_override("millis", move |_: &[JValue]| Ok(JValue::from(millis)))?;
    evaluator.evaluate(&call("fromMillis", format_arguments), &JValue::Undefined)
}
