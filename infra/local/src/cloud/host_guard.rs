//! Refuses requests that a web page tricked a browser into sending: the Host must be this
//! machine's loopback, whatever name the page gave it (DNS rebinding).

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub(super) async fn loopback_only(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri().authority().map(Authority::as_str));
    if host.is_some_and(is_loopback) {
        next.run(request).await
    } else {
        let reason = "the local cloud answers on 127.0.0.1 and localhost only\n";
        (StatusCode::MISDIRECTED_REQUEST, reason).into_response()
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_names_pass() {
        for good in ["127.0.0.1:8787", "localhost:8787", "localhost", "[::1]:1"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "attacker.example:8787",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example:8787",
            "127.0.0.1:8787@attacker.example",
            "",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
