use indexmap::IndexMap;

/// OpenTelemetry's `AnyValue`, less the empty value, which an absent attribute says better.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    String(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
    Array(Vec<AttributeValue>),
    Map(Attributes),
}

/// Attributes in the order they were set, each key once.
pub type Attributes = IndexMap<String, AttributeValue>;

impl AttributeValue {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub const fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }
}

macro_rules! attribute_from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for AttributeValue {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

attribute_from! {
    &str => String,
    String => String,
    bool => Bool,
    i64 => Int,
    i32 => Int,
    u32 => Int,
    u16 => Int,
    f64 => Double,
    Vec<AttributeValue> => Array,
}

impl From<Attributes> for AttributeValue {
    fn from(attributes: Attributes) -> Self {
        Self::Map(attributes)
    }
}

impl From<Vec<String>> for AttributeValue {
    fn from(values: Vec<String>) -> Self {
        Self::Array(values.into_iter().map(Self::String).collect())
    }
}

/// Counts saturate: no token count or size comes near 2^63.
impl From<u64> for AttributeValue {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}
