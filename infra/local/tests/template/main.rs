//! What the deployed shape promises and no emulator shows, asserted on the templates' text.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod document;
mod monitoring;
mod resources;
mod walls;
