//! Functions of another process, by Lambda's Invoke API.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::json;

use crate::support::{Cloud, functions, invoke, machine};

/// A Lambda endpoint on loopback, with a function for each way to answer.
async fn lambda() -> url::Url {
    async fn answer(Path(name): Path<String>, body: String) -> axum::response::Response {
        match name.as_str() {
            "mirror" => body.into_response(),
            "throws" => (
                [("x-amz-function-error", "Unhandled")],
                json!({"errorType": "ValueError", "errorMessage": "bad"}).to_string(),
            )
                .into_response(),
            "dies" => ([("x-amz-function-error", "Unhandled")], "{}").into_response(),
            "throws-as-emulators-do" => (
                StatusCode::INTERNAL_SERVER_ERROR,
                json!({"errorType": "KeyError", "errorMessage": "worse"}).to_string(),
            )
                .into_response(),
            "busy" => (StatusCode::TOO_MANY_REQUESTS, "slow down").into_response(),
            "prose" => "not JSON".into_response(),
            _ => (
                StatusCode::NOT_FOUND,
                [("x-amzn-errortype", "ResourceNotFoundException:http://x")],
                "no such function",
            )
                .into_response(),
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/2015-03-31/functions/{name}/invocations", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}").parse().unwrap()
}

#[tokio::test]
async fn other_functions_are_asked_from_the_endpoint() {
    // Whatever provider another test installed first serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let functions = functions().with_lambda_endpoint(lambda().await, reqwest::Client::new());
    let cloud = Cloud::open_with(tempfile::tempdir().unwrap(), functions).await;
    for (function, output) in [("mirror", json!({"a": 1})), ("echo", json!({"a": 1}))] {
        let states = json!({"Ask": invoke(function, &json!({"a": 1}), &json!({}))});
        let ended = cloud.run(&machine(&states), &json!({})).await;
        assert_eq!(ended.output, Some(output), "{function} {:?}", ended.cause);
    }
    for (function, error, cause) in [
        ("throws", "ValueError", r#""errorMessage":"bad""#),
        (
            "throws-as-emulators-do",
            "KeyError",
            r#""errorMessage":"worse""#,
        ),
        ("dies", "Lambda.Unknown", "did not return an error type"),
        ("busy", "Lambda.TooManyRequestsException", "slow down"),
        ("prose", "Lambda.Unknown", "not JSON"),
        (
            "none",
            "Lambda.ResourceNotFoundException",
            "404 for the function none: no such function",
        ),
    ] {
        let states = json!({"Ask": invoke(function, &json!({}), &json!({}))});
        let ended = cloud.run(&machine(&states), &json!({})).await;
        assert_eq!(ended.error.as_deref(), Some(error), "{function}");
        assert!(
            ended.cause.as_deref().unwrap().contains(cause),
            "{:?}",
            ended.cause
        );
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_told_in_words() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let functions =
        functions().with_lambda_endpoint(nobody.parse().unwrap(), reqwest::Client::new());
    let cloud = Cloud::open_with(tempfile::tempdir().unwrap(), functions).await;
    let states = json!({"Ask": invoke("mirror", &json!({}), &json!({}))});
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(ended.error.as_deref(), Some("Lambda.SdkClientException"));
    assert!(ended.cause.unwrap().contains("Is it running?"));
}
