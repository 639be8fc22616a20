//! The interface's description: OpenAPI 3.1 from the handlers themselves,
//! with every problem that each can answer, and a page for people.

use super::problem::{self, Code};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi,
    OpenApiBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement,
};
use utoipa::{PartialSchema as _, ToSchema};

/// RFC 9457 problem details, as every error is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
struct ProblemSchema {
    /// A relative reference to the page that explains the code.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// What it is this time.
    detail: String,
    /// The stable name.
    code: String,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// After how many seconds to try again.
    retry_after: Option<u32>,
    /// Where the code is explained.
    doc: String,
}

/// What stands before the routes.
pub(super) fn base() -> OpenApi {
    let components = ComponentsBuilder::new()
        .schema("Problem", ProblemSchema::schema())
        .security_scheme(
            "bearer",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        )
        .security_scheme(
            "api_key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))),
        )
        .build();
    let none = Vec::<String>::new();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Steadfast")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Sends and receives WhatsApp messages from your own number, and loses none of them. A 202 means that the message is on disk.",
                ))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
                .build(),
        )
        .components(Some(components))
        .security(Some([
            SecurityRequirement::new("bearer", none.clone()),
            SecurityRequirement::new("api_key", none),
        ]))
        .build()
}

/// The whole description. Made when somebody asks: it costs nothing at start
/// and no memory between.
pub(super) fn document() -> OpenApi {
    let (_, mut api) = super::api().split_for_parts();
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in [
            (HttpMethod::Get, &mut item.get),
            (HttpMethod::Post, &mut item.post),
            (HttpMethod::Put, &mut item.put),
            (HttpMethod::Patch, &mut item.patch),
            (HttpMethod::Delete, &mut item.delete),
        ] {
            if let Some(operation) = operation {
                operation.operation_id = Some(operation_id(&method, path));
                add_problems(path, &method, operation);
            }
        }
    }
    api
}

/// The description as JSON; `None` where it cannot be written, which a test rules out.
pub fn document_json() -> Option<String> {
    document().to_json().ok()
}

/// A name that no other operation has: `post_v1_sessions_session_messages`.
fn operation_id(method: &HttpMethod, path: &str) -> String {
    let method = match method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Delete => "delete",
        HttpMethod::Options => "options",
        HttpMethod::Head => "head",
        HttpMethod::Patch => "patch",
        HttpMethod::Trace => "trace",
    };
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = std::iter::once(method)
        .chain(words.filter(|word| !word.is_empty()))
        .collect();
    words.join("_")
}

fn add_problems(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let statuses = statuses(path, method, operation);
    for status in statuses {
        let titles: Vec<_> = Code::ALL
            .iter()
            .filter(|code| code.status() == status)
            .map(|code| format!("`{}`: {}", code.as_str(), code.title()))
            .collect();
        let response = ResponseBuilder::new()
            .description(titles.join("; "))
            .content(
                problem::CONTENT_TYPE,
                ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("Problem")))
                    .build(),
            )
            .build();
        operation
            .responses
            .responses
            .entry(status.to_string())
            .or_insert(RefOr::T(response));
    }
}

/// Which problems an operation can answer, by what it takes and does.
fn statuses(path: &str, method: &HttpMethod, operation: &Operation) -> Vec<u16> {
    // Any request may be too long, meet a bug, or take too long.
    let mut statuses = vec![400, 414, 431, 500, 503];
    let open = operation
        .security
        .as_ref()
        .is_some_and(|security| security.iter().any(is_empty));
    if !open {
        statuses.extend([401, 403, 429]);
    }
    if path.contains('{') || path.starts_with("/api/") {
        statuses.push(404);
    }
    if operation.request_body.is_some() {
        statuses.extend([408, 413, 415, 422]);
    }
    if !open && (path.contains("sessions") || path.starts_with("/api/")) {
        // Whatever goes through to the page may be refused by its state or its engine.
        statuses.extend([409, 422, 501]);
    }
    if *method != HttpMethod::Get {
        statuses.extend([409, 507]);
        if path.starts_with("/v1/webhooks") {
            // An endpoint is checked as a whole, whatever is changed.
            statuses.push(422);
        }
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn is_empty(requirement: &SecurityRequirement) -> bool {
    *requirement == SecurityRequirement::default()
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f23;background:#fff}h1,h2{line-height:1.2}code{font:14px ui-monospace,monospace;background:#f2f4f6;padding:.1em .3em;border-radius:.2em}table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #d8dde2}.m{font-weight:600}@media(prefers-color-scheme:dark){body{color:#e6e9ec;background:#14171a}code{background:#22272c}td,th{border-color:#333a41}a{color:#7ab7ff}}";

/// The page for people: every route, every problem. One file, no script, and
/// nothing fetched from elsewhere.
pub(super) fn page() -> String {
    let api = serde_json::to_value(document()).unwrap_or_default();
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Steadfast API</title><style>{STYLE}</style><h1>Steadfast {}</h1><p>{}</p><p>Send <code>Authorization: Bearer TOKEN</code> or <code>X-Api-Key: TOKEN</code>; <code>steadfast token new --name N --scope admin|send|read</code> makes one. For programs: <a href=/openapi.json>openapi.json</a>.</p><h2>Addresses</h2><table><tr><th>Request<th>What it does<th>Body<th>Answers",
        text(&api["info"]["version"]),
        text(&api["info"]["description"]),
    );
    for (path, item) in members(&api["paths"]) {
        for (method, operation) in members(item) {
            let answers: Vec<&str> = members(&operation["responses"])
                .map(|(status, _)| status.as_str())
                .collect();
            let _ = write!(
                html,
                "<tr><td><span class=m>{}</span> <code>{}</code><td>{} {}<td>{}<td>{}",
                method.to_uppercase(),
                escape(path),
                text(&operation["summary"]),
                text(&operation["description"]),
                body_fields(&api, operation),
                answers.join(", ")
            );
        }
    }
    html.push_str("</table><h2>Problems</h2><p>Every error is <code>application/problem+json</code> (RFC 9457) with one of these codes.</p><table><tr><th>Code<th>Status<th>Meaning<th>What to do");
    for code in Code::ALL {
        let _ = write!(
            html,
            "<tr id={0}><td><code>{0}</code><td>{1}<td>{2}<td>{3}",
            code.as_str(),
            code.status(),
            escape(code.title()),
            escape(code.remedy())
        );
    }
    html.push_str("</table></html>");
    html
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The fields that an operation's body may have.
fn body_fields(api: &Value, operation: &Value) -> String {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let mut names = Vec::new();
    fields(api, schema, &mut names);
    let codes: Vec<String> = names
        .iter()
        .map(|field| format!("<code>{}</code>", escape(field)))
        .collect();
    codes.join(" ")
}

/// The fields of a schema, with those of the schemas that it is put together from.
fn fields(api: &Value, schema: &Value, names: &mut Vec<String>) {
    let reference = schema["$ref"].as_str();
    if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
        fields(api, &api["components"]["schemas"][name], names);
        return;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fields(api, part, names);
    }
    names.extend(members(&schema["properties"]).map(|(field, _)| field.clone()));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
