use serde::{Deserialize, Serialize};

/// US dollars, exact to 10^-12: prices per million tokens are whole numbers of it, so sums
/// have no rounding.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cost {
    pub pico_usd: i64,
}
