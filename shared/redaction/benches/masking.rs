//! What masking costs on the way of a prompt: `cargo bench -p redaction`.

use divan::Bencher;
use divan::counter::BytesCount;
use redaction::Policy;

const MEGABYTE: usize = 1 << 20;

fn main() {
    divan::main();
}

#[divan::bench]
fn prose_of_1_mb(bencher: Bencher) {
    mask(
        bencher,
        "The customer writes that the parcel, order 20261122-0042, came on 2026-11-20 and was \
         damaged. Classify the message, think of the token budget, and answer in one word. ",
    );
}

#[divan::bench]
fn prose_with_findings_of_1_mb(bencher: Bencher) {
    mask(
        bencher,
        "The customer alice@example.com writes that she paid with 4111 1111 1111 1111, that \
         the parcel was damaged, and that password=hunter2 does not let her in any more. ",
    );
}

#[divan::bench]
fn json_of_1_mb(bencher: Bencher) {
    let item = r#"{"role":"user","parts":[{"type":"text","content":"Where is order 42?"}],"n":17}"#;
    let items = vec![item; MEGABYTE / item.len()].join(",");
    mask_text(bencher, &format!("[{items}]"));
}

#[divan::bench]
fn image_in_base64_of_1_mb(bencher: Bencher) {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1u64;
    let image = (0..MEGABYTE).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(alphabet[usize::try_from(state >> 58).unwrap_or(0)])
    });
    mask_text(bencher, &image.collect::<String>());
}

#[divan::bench]
fn one_log_line(bencher: Bencher) {
    mask_text(bencher, "stored 12 spans of execution triage:run-1 in 3 ms");
}

fn mask(bencher: Bencher, sentence: &str) {
    mask_text(bencher, &sentence.repeat(MEGABYTE / sentence.len()));
}

fn mask_text(bencher: Bencher, text: &str) {
    let policy = Policy::standard();
    bencher
        .counter(BytesCount::of_str(text))
        .bench_local(|| policy.redact_text(divan::black_box(text)));
}
