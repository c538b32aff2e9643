//! The OpenAPI document: what the handlers' attributes say, and what holds for all of them.

use super::problem::ProblemBody;
use super::v1;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, Content, InfoBuilder, License, Object, OpenApi, PathItem, Ref, RefOr,
    ResponseBuilder, Schema, SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};

const DESCRIPTION: &str = "Errors are RFC 9457 problems that name each field at fault and the \
    rule it broke. Lists are keyset pages: `items` and `next_cursor`, which goes into `cursor` of \
    the next request and also stands in `Link`. Writes take `If-Match` with an `ETag` they were \
    read with; creates take an `Idempotency-Key`. `/monitors…` and `/auth/…` also answer without \
    the prefix `/api/v1`.";

/// The document for this version of the program.
pub fn openapi() -> OpenApi {
    let (_, mut document) = v1::routes().split_for_parts();
    document.info = InfoBuilder::new()
        .title("HyperVerge")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(License::new("Apache-2.0")))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let mut nested = Vec::new();
    ProblemBody::schemas(&mut nested);
    components.schemas.extend(nested);
    flatten(components);
    components.add_security_scheme(
        "bearer",
        SecurityScheme::Http(
            Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build(),
        ),
    );
    document.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            add_problem(operation);
        }
    }
    document
}

/// Writes a flattened struct as one object. As `allOf` it could never hold: what
/// it extends refuses the fields it adds.
fn flatten(components: &mut Components) {
    let known = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::AllOf(parts)) = schema else { continue };
        let mut whole = Object::new();
        whole.description = parts.description.take();
        for part in &parts.items {
            let part = match part {
                RefOr::Ref(reference) => {
                    let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
                    known.get(name)
                }
                RefOr::T(_) => Some(part),
            };
            if let Some(RefOr::T(Schema::Object(object))) = part {
                whole.properties.extend(object.properties.clone());
                whole.required.extend(object.required.clone());
            }
        }
        *schema = RefOr::T(Schema::Object(whole));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Every operation may answer with a problem.
fn add_problem(operation: &mut Operation) {
    let schema = Ref::from_schema_name(ProblemBody::name());
    let problem = ResponseBuilder::new()
        .description("A problem: see its status, type and errors")
        .content("application/problem+json", Content::new(Some(schema)))
        .build();
    operation.responses.responses.insert("default".to_owned(), problem.into());
}

/// The document as it is committed.
pub fn openapi_text() -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&openapi())? + "\n")
}
