//! Spans as OTLP/HTTP carries them in JSON: the protobuf messages of
//! opentelemetry-proto in protobuf's JSON form, with ids in hexadecimal digits
//! and 64-bit numbers as texts (OTLP 1.x, "JSON Protobuf Encoding").

use super::{Span, Value};
use serde_json::{Value as Json, json};
use steadfast_core::time::UnixMs;

/// `Span.SpanKind`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// `Status.StatusCode`.
const ERROR: u8 = 2;

/// One `ExportTraceServiceRequest`.
pub(super) fn request(service: &str, spans: &[Span]) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.name", service),
            text("service.version", version),
        ]},
        "scopeSpans": [{
            "scope": {"name": "steadfast", "version": version},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

fn span(span: &Span) -> Json {
    let attributes: Vec<Json> = span
        .attributes
        .iter()
        .map(|(key, value)| match value {
            Value::Text(value) => text(key, value),
            // A 64-bit number is a text in protobuf's JSON.
            Value::Number(value) => json!({"key": key, "value": {"intValue": value.to_string()}}),
        })
        .collect();
    let events: Vec<Json> = span
        .events
        .iter()
        .map(|(at, name, detail)| {
            json!({"timeUnixNano": nanos(*at), "name": name, "attributes": [text("detail", detail)]})
        })
        .collect();
    let mut json = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "name": span.name,
        "kind": if span.server { SERVER } else { INTERNAL },
        "startTimeUnixNano": nanos(span.began),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes,
        "events": events,
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = Json::from(format!("{parent:016x}"));
    }
    if let Some(why) = &span.failed {
        json["status"] = json!({"code": ERROR, "message": why});
    }
    json
}

fn text(key: &str, value: &str) -> Json {
    json!({"key": key, "value": {"stringValue": value}})
}

fn nanos(at: UnixMs) -> String {
    (i128::from(at.0) * 1_000_000).to_string()
}
