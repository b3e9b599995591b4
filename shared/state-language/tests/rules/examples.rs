//! The example workflows are what they should be.

use std::fs;
use std::path::Path;

use state_language::{Substitutions, check};

use super::lines;

#[test]
fn there_is_nothing_to_say_against_the_example_workflows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/workflows");
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with(".asl.json") {
            let text = fs::read_to_string(&path).unwrap();
            let found = check(&text, Substitutions::Open);
            assert_eq!(lines(&found.problems), "", "{}", path.display());
            assert!(found.machine.is_some(), "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked}");
}
