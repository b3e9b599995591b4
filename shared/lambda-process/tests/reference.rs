//! `docs/reference/environment.md` is what the code says.

use std::fs;
use std::path::Path;

/// Set to write the page instead of comparing it.
const UPDATE: Option<&str> = option_env!("UPDATE_REFERENCE");

#[test]
fn the_reference_page_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/environment.md");
    let expected = lambda_process::reference_table();
    if UPDATE.is_some() {
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, &expected).unwrap();
    }
    let found = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == expected,
        "docs/reference/environment.md is out of date: run \
         `UPDATE_REFERENCE=1 cargo test -p lambda-process --test reference`"
    );
}
