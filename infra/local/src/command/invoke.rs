use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::Value;

use crate::arguments::InvokeArguments;
use crate::connection;
use crate::deployment::{OpenDeployment, Place};
use crate::invoke::{
    Answer, Function, SAMPLE_TOKEN, handed_on, invoke as invoke_function, settings,
};
use crate::terminal::say;

pub(crate) async fn invoke(arguments: InvokeArguments) -> anyhow::Result<ExitCode> {
    let event = handed_on(read(&arguments.event)?)?;
    let deployment = OpenDeployment::open(&arguments.deployment, settings()).await?;
    let done = run(&deployment, &arguments, event).await;
    deployment.close().await?;
    let answer = done?;
    say(&serde_json::to_string_pretty(&answer.value)?);
    Ok(if answer.is_failure() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn run(
    deployment: &OpenDeployment,
    arguments: &InvokeArguments,
    mut event: Value,
) -> anyhow::Result<Answer> {
    if let (Place::Local { endpoints, .. }, Some(header)) = (
        &deployment.place,
        event.pointer_mut("/headers/authorization"),
    ) && header == SAMPLE_TOKEN
    {
        let http = lambda_process::http_client()?;
        let token = connection::token(&http, &endpoints.url, &arguments.tenant, &[]).await?;
        *header = format!("Bearer {token}").into();
    }
    let function: Function = arguments.function;
    invoke_function(deployment, function, event).await
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let (text, name) = if path.as_os_str() == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.context("cannot read standard input")?;
        (text, "standard input".to_owned())
    } else {
        let name = path.display().to_string();
        let text = fs::read_to_string(path);
        let text = text.with_context(|| {
            format!("cannot read the event {name}; events/<function>/ has samples")
        })?;
        (text, name)
    };
    serde_json::from_str(&text).with_context(|| format!("{name} is not valid JSON"))
}
