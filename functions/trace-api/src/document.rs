//! What the `OpenAPI` document says beside the routes themselves.

use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, Info, OpenApi, OpenApiBuilder, Ref, RefOr, ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::ProblemBody;

const DESCRIPTION: &str = "\
Reads the traces of AI workflows on AWS Step Functions; starts, stops and redrives them, and \
answers the tasks that wait for a person.

Every error is `application/problem+json` (RFC 9457). Lists are read in pages: while \
`page_info.has_next_page` is true, the same request with `cursor` set to `page_info.cursor` \
answers with the next page. Reads carry an `ETag`; `If-None-Match` answers 304 while nothing \
has changed. An execution's id is `MACHINE:NAME`, percent-encoded in paths, or its trace id.";

pub(crate) fn description() -> OpenApi {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token of the configured issuer."))
        .build();
    let problem = ResponseBuilder::new()
        .description("What was wrong, and what to do")
        .content(
            "application/problem+json",
            Content::new(Some(RefOr::<utoipa::openapi::Schema>::Ref(
                Ref::from_schema_name(ProblemBody::name()),
            ))),
        )
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .schema(ProblemBody::name(), ProblemBody::schema())
        .response("Problem", problem)
        .build();
    let mut info = Info::new("Stepscope", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .components(Some(components))
        .build()
}

/// Every route may answer with a problem.
pub(crate) fn add_problems(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let problem = RefOr::Ref(Ref::from_response_name("Problem"));
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), problem);
        }
    }
}
