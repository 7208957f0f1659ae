//! The OpenAPI 3.1 document, made from the endpoints, their bodies and the table of problems.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn, Paths, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, Ref,
    RefOr, Required, ResponseBuilder,
};

use crate::endpoint::{Access, Endpoint, Form, Metadata, Method, Parameter, Place, RequestBody as _};
use crate::problem::{Problem, ProblemCode};

mod binary;
mod numbers;

pub(crate) use binary::*;

/// The name of the security scheme for access tokens.
const BEARER: &str = "access_token";
/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";
const JSON: &str = "application/json";

const DESCRIPTION: &str = "End-to-end encrypted messaging: accounts, devices, prekeys and sessions. Binary values are unpadded \
    base64url. Unknown fields are refused. Every call that changes something may be repeated with the same body, and returns \
    the first answer.";

/// The resources, in the order in which documents list them.
const TAGS: &[(&str, &str)] = &[
    ("server", "The server and its API."),
    ("health", "Whether the server works."),
    ("accounts", "Accounts and identities."),
    ("devices", "Signed device lists."),
    ("prekeys", "Prekeys, and bundles of them."),
    ("sessions", "Logins on devices."),
    ("stream", "The WebSocket that carries messages."),
];

/// Returns the document of an API at this version.
#[must_use]
pub fn document(version: &str) -> OpenApi {
    let mut builder = Builder::default();
    let resources = [
        crate::server::OPERATIONS,
        crate::accounts::OPERATIONS,
        crate::devices::OPERATIONS,
        crate::prekeys::OPERATIONS,
        crate::sessions::OPERATIONS,
        crate::stream::OPERATIONS,
    ];
    resources.into_iter().flatten().for_each(|add| add(&mut builder));
    builder.finish(version)
}

/// Collects the operations and the schemas that they use.
#[derive(Default)]
pub(crate) struct Builder {
    paths: Paths,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Builder {
    /// Adds an endpoint, with the schemas of its bodies.
    pub(crate) fn add<E: Endpoint>(&mut self)
    where
        E::Request: ToSchema,
        E::Response: ToSchema,
    {
        let endpoint = E::METADATA;
        let mut operation = OperationBuilder::new()
            .tag(endpoint.tag)
            .operation_id(Some(snake_case(endpoint.name)))
            .summary(Some(first_sentence(endpoint.description)))
            .description(Some(endpoint.description.trim()));
        for parameter in endpoint.parameters {
            operation = operation.parameter(described(parameter));
        }
        if E::Request::EXPECTED {
            let content = ContentBuilder::new().schema(Some(self.reference::<E::Request>())).build();
            let body = RequestBodyBuilder::new().required(Some(Required::True)).content(JSON, content).build();
            operation = operation.request_body(Some(body));
        }
        let mut answer = ResponseBuilder::new().description(endpoint.answer);
        if endpoint.status == 200 {
            let content = ContentBuilder::new().schema(Some(self.reference::<E::Response>())).build();
            answer = answer.content(JSON, content);
        }
        operation = operation.response(endpoint.status.to_string(), answer.build());
        operation = problems(operation, &endpoint);
        let operation = secured(operation, endpoint.access).build();
        self.insert(&endpoint, operation);
    }

    fn insert(&mut self, endpoint: &Metadata, operation: Operation) {
        let method = match endpoint.method {
            Method::Get => HttpMethod::Get,
            Method::Post => HttpMethod::Post,
            Method::Put => HttpMethod::Put,
            Method::Delete => HttpMethod::Delete,
        };
        let item = PathItem::new(method, operation);
        let paths = PathsBuilder::from(std::mem::take(&mut self.paths));
        self.paths = paths.path(endpoint.path, item).build();
    }

    /// Adds the schema of a body and of everything in it, and returns a reference to it.
    fn reference<T: ToSchema>(&mut self) -> Ref {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        schemas.iter_mut().for_each(|(_, schema)| numbers::mend(schema));
        self.schemas.extend(schemas);
        Ref::from_schema_name(T::name())
    }

    fn finish(mut self, version: &str) -> OpenApi {
        self.reference::<Problem>();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = ComponentsBuilder::new()
            .schemas_from_iter(self.schemas)
            .security_scheme(BEARER, SecurityScheme::Http(bearer))
            .build();
        let info = InfoBuilder::new()
            .title("Sealpost")
            .version(version)
            .description(Some(DESCRIPTION))
            .license(Some(
                LicenseBuilder::new().name("Apache-2.0 OR MIT").identifier(Some("Apache-2.0 OR MIT")).build(),
            ))
            .build();
        let server = ServerBuilder::new().url("/").description(Some("The server that serves this document.")).build();
        let tags = TAGS.iter().map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build());
        OpenApiBuilder::new()
            .info(info)
            .servers(Some([server]))
            .tags(Some(tags))
            .paths(self.paths)
            .components(Some(components))
            .build()
    }
}

/// Adds the problems that the endpoint may answer: one response a status, which lists the codes.
fn problems(mut operation: OperationBuilder, endpoint: &Metadata) -> OperationBuilder {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in endpoint.problems() {
        by_status.entry(code.status()).or_default().push(ProblemCode::as_str(code));
    }
    for (status, codes) in by_status {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let response = ResponseBuilder::new().description(codes.join(", ")).content(PROBLEM_JSON, content).build();
        operation = operation.response(status.to_string(), response);
    }
    operation
}

fn secured(operation: OperationBuilder, access: Access) -> OperationBuilder {
    let bearer = || SecurityRequirement::new(BEARER, Vec::<String>::new());
    match access {
        Access::Anyone => operation,
        Access::Session => operation.security(bearer()),
        Access::Stream => operation.security(bearer()).security(SecurityRequirement::default()),
    }
}

fn described(parameter: &Parameter) -> ParameterBuilder {
    let (place, required) = match parameter.place {
        Place::Path => (ParameterIn::Path, Required::True),
        Place::Query => (ParameterIn::Query, Required::False),
    };
    let schema = match parameter.form {
        Form::Text => ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build(),
        Form::Base64Url(bytes) => binary::base64url(bytes, bytes).build(),
        Form::Number => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::Custom("uint64".to_owned())))
            .minimum(Some(0))
            .build(),
    };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(place)
        .required(required)
        .description(Some(parameter.description.trim()))
        .schema(Some(schema))
}

/// Returns the name of an endpoint as an operation's id: `ReadServerInfo` becomes `read_server_info`.
fn snake_case(name: &str) -> String {
    let mut id = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !id.is_empty() {
            id.push('_');
        }
        id.push(character.to_ascii_lowercase());
    }
    id
}

fn first_sentence(text: &str) -> &str {
    let text = text.trim();
    text.split_once(". ").map_or(text, |(sentence, _)| sentence).trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_an_id_of_its_words() {
        assert_eq!(snake_case("ReadServerInfo"), "read_server_info");
    }

    #[test]
    fn every_endpoint_is_described() {
        let document = document("1.2.3");
        for endpoint in crate::endpoints::all() {
            let item = document.paths.paths.get(endpoint.path).unwrap();
            let operation = match endpoint.method {
                Method::Get => &item.get,
                Method::Post => &item.post,
                Method::Put => &item.put,
                Method::Delete => &item.delete,
            };
            assert!(operation.is_some(), "{}", endpoint.name);
            assert!(TAGS.iter().any(|(tag, _)| *tag == endpoint.tag), "{}", endpoint.name);
        }
    }
}
