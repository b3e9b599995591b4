//! Which runs an export sends again, and how far it has come.

mod destination;
mod position;

pub(crate) use destination::{Header, settings};
pub(crate) use position::{Order, Position, PositionFile};
