use super::*;

/// Shows what is left of the text.
fn check(text: &str, expected: &str) {
    let masked = crate::Policy::standard().redact_text(text);
    assert_eq!(masked.as_str(), expected, "{text}");
}

#[test]
fn every_pattern_compiles_and_every_name_is_fit_for_a_marker() {
    let mut names: Vec<_> = names().collect();
    for (index, detector) in DETECTORS.iter().enumerate() {
        find(index, "", &mut |_| {});
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(detector.name.bytes().all(fits), "{}", detector.name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), DETECTORS.len());
}

#[test]
fn secrets_of_known_formats_are_found_in_prose() {
    for (secret, detector) in [
        ("AKIAIOSFODNN7EXAMPLE", "aws-access-key-id"),
        (
            concat!("ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"),
            "git-host-token",
        ),
        (
            concat!("github_pat_", "11ABCDEFG0abcdefghijkl_mnopqrstu"),
            "git-host-token",
        ),
        (concat!("glpat-", "abcdefghij0123456789"), "git-host-token"),
        (concat!("xoxb-", "123456789012-abcdefghijkl"), "slack-token"),
        (
            concat!("sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"),
            "stripe-key",
        ),
        (
            concat!("sk-proj-", "abcDEF0123456789abcDEF0123456789"),
            "model-provider-key",
        ),
        (
            concat!("sk-ant-api03-", "abcDEF0123456789_abcDEF0123456789"),
            "model-provider-key",
        ),
        (
            concat!(
                "stepscope_shop_eu-1_0123456789abcdef_",
                "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
            ),
            "stepscope-key",
        ),
        (
            concat!("AIza", "SyA0123456789abcdefghijklmnopqrstuv"),
            "google-key",
        ),
        (
            concat!("npm_", "abcdefghijklmnopqrstuvwxyz0123456789"),
            "service-token",
        ),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJl",
            "json-web-token",
        ),
        (
            concat!(
                "AQCEAAAAKgAAAAMAAAAA",
                "p0DZbnEGEuYBVZy7Lk2mH9WcQn1a5Xr3TzKfVw8o"
            ),
            "task-token",
        ),
        ("alice.o'brien+x@mail.example.co.uk", "email"),
        ("jürgen@exämple.de", "email"),
        ("4111 1111 1111 1111", "payment-card"),
        ("4111-1111-1111-1111", "payment-card"),
        ("4111111111111111", "payment-card"),
        ("3782 822463 10005", "payment-card"),
        ("5555555555554444", "payment-card"),
        ("6011000990139424", "payment-card"),
    ] {
        check(
            &format!("we saw {secret}, and went on"),
            &format!("we saw [REDACTED:{detector}], and went on"),
        );
    }
}

#[test]
fn a_private_key_is_masked_whole_and_to_the_end_when_it_has_none() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34\nGkxFhD90\n-----END RSA PRIVATE KEY-----";
    check(&format!("a\n{key}\nb"), "a\n[REDACTED:private-key]\nb");
    check(&format!("a\n{}", &key[..50]), "a\n[REDACTED:private-key]");
    let public = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEB\n-----END PUBLIC KEY-----";
    check(public, public);
}

#[test]
fn credentials_in_urls_and_headers_are_found() {
    check(
        "postgres://app:hunter2@db.example.com:5432/main",
        "postgres://[REDACTED:url-credentials]@db.example.com:5432/main",
    );
    check(
        "redis://:p4ss@cache:6379",
        "redis://[REDACTED:url-credentials]@cache:6379",
    );
    check("ssh://git@example.com/x", "ssh://git@example.com/x");
    check("Bearer abcdef123456", "Bearer [REDACTED:authorization]");
    check("basic dXNlcjpwYXNz", "basic [REDACTED:authorization]");
    check(
        "curl -H 'Authorization: Bearer opaque value' https://x",
        "curl -H 'Authorization: [REDACTED:named-secret]' https://x",
    );
    check(
        "Cookie: a=b; c=d\nHost: x",
        "Cookie: [REDACTED:named-secret]\nHost: x",
    );
    check(
        "GET /?a=1&api_key=abc&b=2",
        "GET /?a=1&api_key=[REDACTED:named-secret]&b=2",
    );
    check(
        "https://x.blob.core.windows.net/c?sv=2024&sig=abcDEF0123456789%2Babcdef%3D&se=1",
        "https://x.blob.core.windows.net/c?sv=2024&sig=[REDACTED:azure-signature]&se=1",
    );
}

#[test]
fn named_secrets_are_found_however_they_are_assigned() {
    for (text, expected) in [
        ("password=hunter2", "password=[REDACTED:named-secret]"),
        ("password: hunter2", "password: [REDACTED:named-secret]"),
        (
            "DB_PASSWORD='hun ter2' x",
            "DB_PASSWORD='[REDACTED:named-secret]' x",
        ),
        (
            r#"{"password": "hunter2""#,
            r#"{"password": "[REDACTED:named-secret]""#,
        ),
        (
            r#"say \"password\":\"hunter2\" ok"#,
            r#"say \"password\":\"[REDACTED:named-secret]\" ok"#,
        ),
        ("API key: abc123", "API key: [REDACTED:named-secret]"),
        (
            "--password hunter2 -v",
            "--password [REDACTED:named-secret] -v",
        ),
        ("--token=hunter2", "--token=[REDACTED:named-secret]"),
        (
            "<Password>hunter2</Password>",
            "<Password>[REDACTED:named-secret]</Password>",
        ),
        (
            "Server=x;Pwd=a,b;User=y",
            "Server=x;Pwd=[REDACTED:named-secret];User=y",
        ),
        (
            "AccountKey=abc==;EndpointSuffix=x",
            "AccountKey=[REDACTED:named-secret];EndpointSuffix=x",
        ),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "aws_secret_access_key = [REDACTED:aws-secret-access-key]",
        ),
        (
            "AKIAIOSFODNN7EXAMPLE / wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "[REDACTED:aws-access-key-id] / [REDACTED:aws-secret-access-key]",
        ),
        (
            "password=[REDACTED:email]hunter2",
            "password=[REDACTED:named-secret]",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn hard_case_26_false_alarms_stay_readable() {
    for text in [
        "session_id=5f2c1a7e-9b3d-4c8e-a1f0-3d2b1c0a9f8e",
        "auth_types: [basic, digest]",
        "550e8400-e29b-41d4-a716-446655440000",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 of the aws secret store",
        "$1,234.56 and 12345678.90",
        "2026-11-22T18:44:31.123456789Z 1700000000000 1700000000000000000",
        "order 1234567890123456, ORD-2026-000123, invoice 9876543210987",
        "4111111111111112",
        "0.4111111111111111",
        "v4.111.1111.1111",
        "gen_ai.usage.input_tokens=412 max_tokens: 4096",
        "a basic understanding of bearer certificates",
        "the token: it is 5",
        "arn:aws:states:us-east-1:123456789012:execution:triage:run-1",
        "https://example.com/a/b?page=2#top",
        "npm install @scope/package@1.2.3",
        "git@github.com:owner/repository.git",
        "std::collections::HashMap<String, u64>",
        "image sk-loading-indicator-with-a-long-class-name",
        "next_token=abc123 page_token=def456",
        "the key to success: hard work; primary_key: id",
        "a == b, c != d, e => f",
        "flags stepscope_attributes_dropped and stepscope_acme_0123456789abcdef",
    ] {
        check(text, text);
    }
}

#[test]
fn hard_case_25_encoded_values_are_found() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    check("to=alice%40example.com&x", "to=[REDACTED:email]&x");
    check("to=alice%2540example.com", "to=[REDACTED:email]");
    check(r"alice\u0040example.com", "[REDACTED:email]");
    check(
        "a?q=password%3Dhunter2%26b",
        "a?q=password%3D[REDACTED:named-secret]%26b",
    );
    let text = "write to alice@example.com or bob@example.com";
    check(
        &format!("body {}!", STANDARD.encode(text)),
        "body [REDACTED:email and 1 more in base64]!",
    );
    check(
        &format!("/files/{}", URL_SAFE_NO_PAD.encode(text)),
        "[REDACTED:email and 1 more in base64]",
    );
    let twice = STANDARD.encode(STANDARD.encode("ab@cd.io"));
    check(&twice, "[REDACTED:email in base64]");
    let wrapped = STANDARD.encode("x".repeat(70) + " password=hunter2 " + &"y".repeat(70));
    let wrapped = format!(
        "{}\r\n{}\r\n{}",
        &wrapped[..76],
        &wrapped[76..152],
        &wrapped[152..]
    );
    check(&wrapped, "[REDACTED:named-secret in base64]");
    let japanese = STANDARD.encode("日本語の長い文章です。連絡先は alice@example.com です。");
    check(&japanese, "[REDACTED:email in base64]");
    let mut image = vec![0x89, b'P', b'N', b'G', 0, 1, 2];
    image.extend((0..4000u32).map(|index| (index * 7 % 251) as u8));
    let clean = format!("data:image/png;base64,{}", STANDARD.encode(&image));
    check(&clean, &clean);
    image.extend(b"AKIAIOSFODNN7EXAMPLE\0");
    let planted = format!("data:image/png;base64,{}", STANDARD.encode(&image));
    check(
        &planted,
        "data:image/png;base64,[REDACTED:aws-access-key-id in base64]",
    );
}
