//! Writes the golden `OpenAPI` document: `cargo run -p trace-api --example write-openapi`.

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let mut json = trace_api::openapi().to_pretty_json()?;
    json.push('\n');
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), json)?;
    Ok(())
}
