//! Small plots. Colours follow the reader's theme; nothing but text and boxes.

use super::contender::Who;
use super::faults::{Plan, Struck};
use super::kinds::Kind;
use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
/// Where the bars begin: names stand before it.
const LEFT: f64 = 260.0;
/// Room for the figure behind a bar.
const RIGHT: f64 = 110.0;

const STYLE: &str = "<style>\
text{font:12px system-ui,sans-serif;fill:#1f2328}.h{font-weight:600}.s{fill:#59636e;font-size:11px}\
.grid{stroke:#d1d9e0;stroke-width:1}.up{fill:#4c9a5b}.down{fill:#d1584c}.never{fill:#a13030}\
.own{fill:#2f6fb0}.other{fill:#9aa4ae}.tick{stroke:#1f2328;stroke-width:1.5}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.grid{stroke:#3d444d}\
.up{fill:#3f8f50}.down{fill:#e0685c}.never{fill:#b64545}.own{fill:#5aa0e6}.other{fill:#6b7580}.tick{stroke:#e6edf3}}\
</style>";

fn open(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\
         {STYLE}<title>{title}</title>\n"
    )
}

/// For each kind of fault a lane for each contender: how long nothing went
/// out (red), and from when on it did again (green).
pub(super) fn timeline(struck: &[Struck], plan: &Plan) -> String {
    const LANE: f64 = 15.0;
    const GAP: f64 = 26.0;
    let bound = plan.bound_s as f64;
    let scale = (WIDTH - LEFT - RIGHT) / bound;
    let block = plan.who.len() as f64 * LANE + GAP;
    let height = 58.0 + plan.kinds.len() as f64 * block;
    let mut out = open(
        height,
        "After a fault: how long until messages reach WhatsApp again",
    );
    let _ = writeln!(
        out,
        "<text class=\"h\" x=\"8\" y=\"20\">After a fault: how long until messages reach WhatsApp again</text>\
         <text class=\"s\" x=\"8\" y=\"38\">red: nothing goes out; green: messages go out again; median of {}, \
         the line spans them; dark red: not within {bound:.0} s</text>",
        super::document::rounds(plan.rounds)
    );
    let step = if bound > 30.0 { 10.0 } else { 5.0 };
    let mut second = 0.0;
    while second <= bound {
        let x = LEFT + second * scale;
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"58\" x2=\"{x:.1}\" y2=\"{height:.1}\"/>\
             <text class=\"s\" x=\"{x:.1}\" y=\"54\" text-anchor=\"middle\">{second:.0} s</text>"
        );
        second += step;
    }
    let mut y = 66.0;
    for kind in &plan.kinds {
        let _ = writeln!(
            out,
            "<text class=\"h\" x=\"8\" y=\"{:.1}\">{}</text>",
            y + 12.0,
            kind.words()
        );
        for who in &plan.who {
            lane(&mut out, &of(struck, *who, *kind), *who, y, scale, bound);
            y += LANE;
        }
        y += GAP;
    }
    out.push_str("</svg>\n");
    out
}

fn of(struck: &[Struck], who: Who, kind: Kind) -> Vec<Option<f64>> {
    let mut found: Vec<Option<f64>> = struck
        .iter()
        .filter(|s| s.who == who && s.kind == kind)
        .map(|s| s.recovery_ms.map(|ms| ms as f64 / 1_000.0))
        .collect();
    // What never recovered sorts behind everything that did.
    found.sort_by(|a, b| a.unwrap_or(f64::MAX).total_cmp(&b.unwrap_or(f64::MAX)));
    found
}

fn lane(out: &mut String, times: &[Option<f64>], who: Who, y: f64, scale: f64, bound: f64) {
    const BAR: f64 = 10.0;
    let _ = write!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        LEFT - 8.0,
        y + BAR,
        who.name()
    );
    let Some(median) = times.get(times.len().saturating_sub(1) / 2) else {
        out.push('\n');
        return;
    };
    let whole = bound * scale;
    let Some(median) = median else {
        let _ = writeln!(
            out,
            "<rect class=\"never\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{whole:.1}\" height=\"{BAR}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">not in {bound:.0} s</text>",
            LEFT + whole + 6.0,
            y + BAR
        );
        return;
    };
    let down = (median * scale).min(whole);
    let _ = write!(
        out,
        "<rect class=\"up\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
         <rect class=\"down\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{down:.1}\" height=\"{BAR}\"/>",
        LEFT + down,
        whole - down
    );
    let first = times.first().copied().flatten().unwrap_or(*median);
    let last = times.last().copied().flatten().unwrap_or(bound);
    if times.len() > 1 {
        let _ = write!(
            out,
            "<line class=\"tick\" x1=\"{:.1}\" y1=\"{m:.1}\" x2=\"{:.1}\" y2=\"{m:.1}\"/>",
            LEFT + first * scale,
            LEFT + last * scale,
            m = y + BAR / 2.0
        );
    }
    let never = times.iter().filter(|t| t.is_none()).count();
    let missed = if never > 0 {
        format!(", {never} never")
    } else {
        String::new()
    };
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\">{median:.1} s{missed}</text>",
        LEFT + whole + 6.0,
        y + BAR
    );
}

/// One group of bars: its title, and each contender's median, least and most.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) bars: Vec<(Who, f64, f64, f64)>,
}

/// Bars, each group on a scale of its own.
pub(super) fn bars(title: &str, groups: &[Group]) -> String {
    const LANE: f64 = 19.0;
    const GAP: f64 = 40.0;
    let height = 30.0
        + groups
            .iter()
            .map(|g| g.bars.len() as f64 * LANE + GAP)
            .sum::<f64>();
    let mut out = open(height, title);
    let _ = writeln!(out, "<text class=\"h\" x=\"8\" y=\"20\">{title}</text>");
    let mut y = 34.0;
    for group in groups {
        let most = group.bars.iter().map(|b| b.3).fold(0.001, f64::max);
        let scale = (WIDTH - LEFT - RIGHT - 60.0) / most;
        let _ = writeln!(
            out,
            "<text class=\"h\" x=\"8\" y=\"{:.1}\">{}</text>",
            y + 14.0,
            group.title
        );
        y += 20.0;
        for (who, median, least, largest) in &group.bars {
            let class = if *who == Who::Steadfast {
                "own"
            } else {
                "other"
            };
            let middle = y + 7.0;
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"14\"/>\
                 <line class=\"tick\" x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{median:.0} {}</text>",
                LEFT - 8.0,
                y + 12.0,
                who.name(),
                median * scale,
                LEFT + least * scale,
                LEFT + largest * scale,
                LEFT + largest * scale + 8.0,
                y + 12.0,
                group.unit
            );
            y += LANE;
        }
        y += GAP - 20.0;
    }
    out.push_str("</svg>\n");
    out
}
