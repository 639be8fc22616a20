//! What took how long, told to an OpenTelemetry collector where one is named
//! (`telemetry.otlp_endpoint`); otherwise nothing here costs anything.
//!
//! | span | trace |
//! |---|---|
//! | `message`: from accepted to the server's ack | the message's id |
//! | `attempt`, below it: one try, or one look-up | the same |
//! | `incident`: from noticed to its end, each step an event in it | the incident's id |
//! | `GET /v1/...`: one request | the caller's, by `traceparent`, else one of its own |
//!
//! An id of ours ends in a ULID, and a ULID has the 128 bits of a trace's id: a
//! message is found in the tracing system by its id, with no table between.
//! Spans are made when they are over, from what is known then. Texts, numbers
//! and tokens are in none.

mod export;
mod otlp;

pub(crate) use export::header;
pub use export::{Collector, SetupError};

use std::sync::OnceLock;
use steadfast_core::port::Incident;
use steadfast_core::time::UnixMs;
use tokio::sync::mpsc;

/// Something that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it belongs to.
    pub trace: u128,
    /// Its own id, never 0.
    pub id: u64,
    /// What it is a part of.
    pub parent: Option<u64>,
    /// Its name; few, so that one can group by it.
    pub name: String,
    /// Whether it is a request that came from outside.
    pub server: bool,
    /// When it began.
    pub began: UnixMs,
    /// When it ended.
    pub ended: UnixMs,
    /// More about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened in it.
    pub events: Vec<(UnixMs, String, String)>,
    /// Why it did not do what it was to do.
    pub failed: Option<String>,
}

impl Span {
    /// An incident that is over.
    pub(crate) fn of_incident(incident: &Incident) -> Option<Self> {
        let trace = trace_of(&incident.id)?;
        let text = |value: &Option<String>| Value::Text(value.clone().unwrap_or_default());
        let recovered = incident.recovery_ms.is_some();
        Some(Self {
            trace,
            id: root_of(trace),
            parent: None,
            name: "incident".to_owned(),
            server: false,
            began: incident.opened_at,
            ended: incident.closed_at.unwrap_or(incident.opened_at),
            attributes: vec![
                ("steadfast.session", incident.session.as_str().into()),
                ("steadfast.incident", incident.id.as_str().into()),
                ("steadfast.kind", incident.kind.as_str().into()),
                ("steadfast.outcome", text(&incident.outcome)),
                ("steadfast.rung", text(&incident.healed_by)),
            ],
            events: incident
                .steps
                .iter()
                .map(|step| (step.at, step.step.clone(), step.detail.clone()))
                .collect(),
            failed: (!recovered).then(|| incident.kind.clone()),
        })
    }

    /// A request that was answered. `caller` is its `traceparent`, `fresh`
    /// what to take where it has none.
    pub(crate) fn of_request(
        (method, route): (&str, &str),
        status: u16,
        (began, ended): (UnixMs, UnixMs),
        caller: Option<&str>,
        fresh: [u8; 24],
    ) -> Self {
        let (trace, id) = fresh.split_at(16);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| (n << 8) | u128::from(*byte));
        let above = caller.and_then(self::caller);
        Self {
            trace: above.map_or_else(|| number(trace).max(1), |(trace, _)| trace),
            id: u64::try_from(number(id)).unwrap_or(1).max(1),
            parent: above.map(|(_, parent)| parent),
            name: format!("{method} {route}"),
            server: true,
            began,
            ended,
            attributes: vec![
                ("http.request.method", method.into()),
                ("http.route", route.into()),
                ("http.response.status_code", Value::Number(status.into())),
            ],
            events: Vec::new(),
            failed: (status >= 500).then(|| status.to_string()),
        }
    }
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The way to the collector, where there is one.
#[derive(Debug, Default)]
pub struct Traces(OnceLock<mpsc::Sender<Span>>);

impl Traces {
    /// Tells of a span. Where the collector does not keep up it is dropped:
    /// nothing waits for a tracing system.
    pub fn tell(&self, span: impl FnOnce() -> Option<Span>) {
        let Some(sender) = self.0.get() else { return };
        if let Ok(place) = sender.try_reserve()
            && let Some(span) = span()
        {
            place.send(span);
        }
    }

    fn connect(&self, sender: mpsc::Sender<Span>) {
        // One gateway a set of metrics.
        let _ = self.0.set(sender);
    }
}

/// The 128 bits of the ULID that an id of ours ends in.
pub fn trace_of(id: &str) -> Option<u128> {
    let ulid = id.rsplit('_').next().filter(|ulid| ulid.len() == 26)?;
    ulid.bytes().try_fold(0_u128, |bits, letter| {
        let value = CROCKFORD.iter().position(|known| *known == letter)?;
        bits.checked_shl(5)
            .map(|bits| bits | u128::try_from(value).unwrap_or(0))
    })
}

/// The letters of a ULID, by value (Crockford's base 32).
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of the span that a trace begins with: the ULID's random half.
pub fn root_of(trace: u128) -> u64 {
    part_of(trace, 0)
}

/// The id of a numbered part of it.
pub fn part_of(trace: u128, number: u32) -> u64 {
    // The low half is random; an odd factor keeps numbered parts apart.
    let low = u64::try_from(trace & u128::from(u64::MAX)).unwrap_or(1);
    let id = low ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    id.max(1)
}

/// The trace and the span that a caller names (W3C Trace Context, `traceparent`).
pub fn caller(header: &str) -> Option<(u128, u64)> {
    let mut parts = header.split('-');
    let (version, trace, parent) = (parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || trace.len() != 32 || parent.len() != 16 {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok()?;
    let parent = u64::from_str_radix(parent, 16).ok()?;
    (trace != 0 && parent != 0).then_some((trace, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_ours_names_its_trace() {
        let random = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        let ulid = steadfast_core::ids::ulid(UnixMs(1), random);
        let trace = trace_of(&format!("msg_{ulid}")).unwrap();
        assert_eq!(trace, 0x0000_0000_0001_0102_0304_0506_0708_090a);
        assert_eq!(root_of(trace), 0x0304_0506_0708_090a);
        assert_ne!(part_of(trace, 1), part_of(trace, 2));
        assert_eq!(trace_of("msg_short"), None);
        assert_eq!(trace_of("msg_01hm0000000000000000000000"), None);
    }

    #[test]
    fn a_caller_s_trace_is_read_as_the_standard_says() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let header = format!("00-{trace}-00f067aa0ba902b7-01");
        let expected = (
            0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            0x00f0_67aa_0ba9_02b7,
        );
        assert_eq!(caller(&header), Some(expected));
        for wrong in [
            String::new(),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            "00-4bf9-00f067aa0ba902b7-01".to_owned(),
        ] {
            assert_eq!(caller(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn without_a_collector_no_span_is_even_made() {
        Traces::default().tell(|| panic!("made for nobody"));
    }
}
