//! Which names say that their value is a secret.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::marker;

/// Most names have none of these, and need no closer look.
const STEMS: [&str; 13] = [
    "passw",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "key",
    "authorization",
    "cookie",
    "credential",
    "jwt",
    "signature",
    "cvv",
];

static STEM: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(STEMS)
        .expect("a dozen short words")
});

const SECRET_WORDS: [&str; 16] = [
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "authorization",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "jwt",
    "cvv",
    "apikey",
];

/// Words written as one, as in `dbpassword`, `accesstoken`.
const SECRET_ENDINGS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "apitoken",
    "secretkey",
    "privatekey",
    "accesskey",
    "accesstoken",
    "authtoken",
    "refreshtoken",
    "sessiontoken",
    "tasktoken",
];

/// A key of these kinds is a secret; a primary, public or sort key is not.
const SECRET_KEYS: [&str; 26] = [
    "api",
    "access",
    "private",
    "secret",
    "encryption",
    "decryption",
    "signing",
    "master",
    "account",
    "shared",
    "storage",
    "subscription",
    "auth",
    "session",
    "ssh",
    "webhook",
    "hmac",
    "service",
    "consumer",
    "functions",
    "license",
    "app",
    "application",
    "developer",
    "admin",
    "deploy",
];

/// `tokens` are counted; these are held.
const HELD_TOKENS: [&str; 8] = [
    "access", "refresh", "auth", "api", "bearer", "session", "security", "secret",
];

/// Tokens of text, and cursors.
const TEXT_TOKENS: [&str; 27] = [
    "first",
    "per",
    "last",
    "next",
    "max",
    "min",
    "eos",
    "bos",
    "pad",
    "stop",
    "special",
    "sep",
    "unk",
    "mask",
    "input",
    "output",
    "prompt",
    "completion",
    "total",
    "cached",
    "reasoning",
    "new",
    "page",
    "continuation",
    "pagination",
    "time",
    "each",
];

/// `password_policy`, `token_count`, `cookie_consent`: about a secret, not one.
const ABOUT: [&str; 40] = [
    "count",
    "counts",
    "limit",
    "limits",
    "type",
    "types",
    "usage",
    "budget",
    "index",
    "length",
    "size",
    "rate",
    "price",
    "cost",
    "name",
    "names",
    "url",
    "uri",
    "endpoint",
    "expiry",
    "expires",
    "expired",
    "expiration",
    "ttl",
    "policy",
    "version",
    "strength",
    "required",
    "enabled",
    "rotation",
    "manager",
    "arn",
    "consent",
    "banner",
    "reset",
    "changed",
    "updated",
    "created",
    "at",
    "field",
];

/// By its words, however they are joined: `x-api-key`, `clientSecret`, `DB_PASSWORD`.
pub(crate) fn is_secret(name: &str) -> bool {
    if !STEM.is_match(name) {
        return false;
    }
    let words = words(&marker::without_markers(name));
    words.iter().enumerate().any(|(index, word)| {
        let before = index
            .checked_sub(1)
            .map_or("", |before| words[before].as_str());
        let after = words.get(index + 1).map_or("", String::as_str);
        if ABOUT.contains(&after) {
            return false;
        }
        match word.as_str() {
            "token" => after != "id" && after != "ids" && !TEXT_TOKENS.contains(&before),
            "tokens" => HELD_TOKENS.contains(&before),
            "key" | "keys" => after != "id" && SECRET_KEYS.contains(&before),
            "signature" => before == "amz",
            word => {
                SECRET_WORDS.contains(&word)
                    || SECRET_ENDINGS.iter().any(|ending| word.ends_with(ending))
            }
        }
    })
}

/// `Authorization: Bearer x`, `Cookie: a=b; c=d`: the value is the rest of the line.
pub(crate) fn is_header(name: &str) -> bool {
    words(name)
        .iter()
        .any(|word| matches!(word.as_str(), "authorization" | "cookie" | "cookies"))
}

fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut characters = name.chars().peekable();
    let mut before = ' ';
    while let Some(character) = characters.next() {
        let next_is_lower = characters.peek().is_some_and(|next| next.is_lowercase());
        // `taskToken`, and the T of `AWSToken`.
        let starts = character.is_uppercase()
            && (before.is_lowercase() || before.is_numeric() || next_is_lower);
        if (starts || !character.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words.push(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_however_written() {
        for name in [
            "password",
            "PASSWORD",
            "db_password",
            "dbPassword",
            "DBPassword",
            "user-password",
            "dbpassword",
            "passwd",
            "pwd",
            "client_secret",
            "clientSecret",
            "ClientSecret",
            "api_key",
            "apiKey",
            "APIKey",
            "apikey",
            "x-api-key",
            "X-API-Key",
            "API key",
            "secretAccessKey",
            "AWS_SECRET_ACCESS_KEY",
            "authorization",
            "Proxy-Authorization",
            "cookie",
            "set-cookie",
            "Set-Cookie",
            "token",
            "access_token",
            "accessToken",
            "taskToken",
            "task_token",
            "TaskToken",
            "refresh_tokens",
            "GITHUB_TOKEN",
            "private_key",
            "http.request.header.authorization",
            "http.request.header.x-api-key",
            "credentials",
            "AccountKey",
            "SharedAccessKey",
            "X-Amz-Signature",
            "X-Amz-Security-Token",
            "passphrase",
            "cvv",
            "signing_key",
            "jwt",
            "accesstoken",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn hard_case_26_names_that_only_sound_secret_are_not() {
        for name in [
            "session_id",
            "auth_types",
            "author",
            "authority",
            "token_count",
            "tokens",
            "input_tokens",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.cache_read.input_tokens",
            "max_tokens",
            "maxTokens",
            "max_token",
            "gen_ai.request.max_tokens",
            "tokenizer",
            "time_to_first_token",
            "next_token",
            "nextToken",
            "NextToken",
            "tokens_per_second",
            "price_per_token",
            "token_type",
            "expires_in",
            "key",
            "primary_key",
            "partition_key",
            "sortKey",
            "public_key",
            "keyboard",
            "monkey",
            "secretary",
            "password_policy",
            "passwordLength",
            "cookie_consent",
            "secret_name",
            "secret_arn",
            "compass",
            "pwdless",
            "order_number",
            "signature",
            "keys",
            "id",
            "",
            "workflow.state.name",
            "access",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
