//! The application in an account that asks for no credentials, with the local issuer: its keys are
//! no RSA keys, so that the function alone verifies tokens.

use crate::Stack;
use crate::application::Application;
use crate::emulator::Iam;
use crate::examples::{EXAMPLES, assert_same, both, input_of, totals, totals_of_functions};
use crate::faults;
use crate::structure::{function_spans, tree};
use crate::traces::Api;

pub(crate) const STACK: Stack = Stack {
    name: "open_account",
    deploy,
    cases: &[
        ("only_its_tenant_reads_a_run", only_its_tenant_reads_a_run),
        (
            "support_triage_equals_the_local_trace",
            support_triage_equals_the_local_trace,
        ),
        (
            "flaky_enrichment_equals_in_what_functions_did",
            flaky_enrichment,
        ),
        (
            "document_digest_equals_in_what_functions_did",
            document_digest,
        ),
        (
            "finished_spans_arrive_at_the_collector",
            finished_spans_arrive_at_the_collector,
        ),
        (
            "what_cannot_be_recorded_becomes_a_dead_letter",
            faults::what_cannot_be_recorded_becomes_a_dead_letter,
        ),
    ],
};

fn deploy() -> Application {
    let mut parameters = EXAMPLES.to_vec();
    parameters.extend([
        ("Issuer", "ISSUER"),
        ("Audience", "stepscope"),
        ("GatewayAuthorizer", "false"),
    ]);
    Application::deploy(Iam::Open, &parameters)
}

fn only_its_tenant_reads_a_run(application: &mut Application) {
    let api = application.api("acme");
    let execution = api.start("support-triage", &input_of("support-triage"));
    let trace = api.ended(&execution);
    assert_eq!(trace["execution"]["status"], "SUCCEEDED");
    let path = format!("executions/{execution}/trace");
    let nobody = Api::at(&application.api_url(), "");
    assert_eq!(nobody.try_get(&path).status, 401);
    let other = application.api("other");
    assert_eq!(other.try_get(&path).status, 404);
}

fn support_triage_equals_the_local_trace(application: &mut Application) {
    let (deployed, local) = both(application, "support-triage");
    assert_same(&tree(&deployed), &tree(&local));
    assert_same(&totals(&deployed), &totals(&local));
}

/// The emulator's Parallel has no history of its branches.
fn flaky_enrichment(application: &mut Application) {
    functions_did_the_same(application, "flaky-enrichment");
}

/// Nor has its Map one of its iterations.
fn document_digest(application: &mut Application) {
    functions_did_the_same(application, "document-digest");
}

fn functions_did_the_same(application: &Application, workflow: &str) {
    let (deployed, local) = both(application, workflow);
    assert_eq!(deployed["execution"]["status"], "SUCCEEDED");
    let (did, did_here) = (function_spans(&deployed), function_spans(&local));
    assert_same(&did.into(), &did_here.into());
    assert_same(
        &totals_of_functions(&deployed),
        &totals_of_functions(&local),
    );
}

fn finished_spans_arrive_at_the_collector(application: &mut Application) {
    let api = application.api("default");
    let execution = api.start("support-triage", &input_of("support-triage"));
    faults::exported(application, &api.ended(&execution));
}
