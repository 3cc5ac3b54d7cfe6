//! The card that compares a request with what people decided earlier on the same action of the same agent.

use super::subject::grouped;
use super::text::truncate;
use super::time::{Sentence, Zone};
use crate::domain::{Deviation, Finding, Part, PastDecision, Precedent, Verdict};
use crate::values::Decimal;

/// The card for display.
pub struct PrecedentView {
    /// What stands out, one sentence each.
    pub(super) findings: Vec<FindingView>,
    /// How many more there are.
    pub(super) more: usize,
    /// What differs each time.
    pub(super) usual: Vec<String>,
    /// What is said if nothing stands out, or nothing could be compared.
    pub(super) overall: Option<String>,
    /// The number of the last decisions by verdict; `None` without any.
    pub(super) summary: Option<String>,
    pub(super) last: Vec<Sentence>,
}

pub(super) struct FindingView {
    /// The pointer of a parameter, or another part of the request in words.
    pub(super) part: String,
    pub(super) what: String,
}

/// The most findings and parts that are shown; the parameters themselves are always whole.
const MOST: usize = 10;

const PART_CHARS: usize = 80;

impl PrecedentView {
    pub fn new(precedent: &Precedent, zone: &Zone) -> Self {
        let count = precedent.past.len();
        let (usual, striking): (Vec<_>, Vec<_>) = precedent
            .findings
            .iter()
            .partition(|finding| finding.what.is_usual());
        let shown = striking.iter().take(MOST).map(|finding| FindingView {
            part: part(finding),
            what: describe(finding, precedent.approvals),
        });
        let last = &precedent.past[..count.min(Precedent::SHOWN)];
        Self {
            findings: shown.collect(),
            more: striking.len().saturating_sub(MOST),
            usual: usual.iter().copied().take(MOST).map(part).collect(),
            overall: describe_overall(precedent, !usual.is_empty()),
            summary: (count > 0).then(|| summarize(last)),
            last: last.iter().map(|it| describe_decision(it, zone)).collect(),
        }
    }

    /// Whether something of it belongs above the parameters. What is as usual stands below the form, so that
    /// code and button stay on the first screen.
    pub(super) fn stands_out(&self) -> bool {
        !self.findings.is_empty()
    }
}

/// What a finding is about; a pointer or address of the agent's is cut.
fn part(finding: &Finding) -> String {
    match &finding.part {
        Part::Parameter(pointer) | Part::Length(pointer) => truncate(pointer, PART_CHARS),
        Part::Secrets => "Values that look like secrets".to_owned(),
        Part::OnBehalfOf(None) => "On behalf of no person".to_owned(),
        Part::OnBehalfOf(Some(person)) => truncate(&format!("On behalf of {person}"), PART_CHARS),
    }
}

fn describe_overall(precedent: &Precedent, has_usual: bool) -> Option<String> {
    if precedent.approvals == 0 {
        let nothing = "No approval is among the last decisions of people, so nothing is compared.";
        return (!precedent.past.is_empty()).then(|| nothing.to_owned());
    }
    precedent.is_familiar.then(|| {
        let except = if has_usual {
            " but for those that are new each time,"
        } else {
            ""
        };
        let last = last_approvals(precedent.approvals, precedent.approvals);
        format!("Every value was in {last},{except} and every number is within their range.")
    })
}

fn describe(finding: &Finding, approvals: usize) -> String {
    let last = last_approvals(finding.compared, approvals);
    match &finding.what {
        Deviation::NewParameter => format!("not given in {last}"),
        Deviation::NewValue { .. } if matches!(finding.part, Part::OnBehalfOf(_)) => {
            format!("not in {last}")
        }
        Deviation::NewValue { .. } if finding.part == Part::Secrets => {
            format!("with one that was not given in {last}")
        }
        Deviation::NewValue { .. } => format!("a value not in {last}"),
        Deviation::Larger(present, earlier) => {
            let (present, than) = match finding.part {
                Part::Length(_) => (items(present), "more"),
                _ => (number(present), "larger"),
            };
            let bound = bound("at most", earlier.as_ref());
            format!("{present}, {than} than in {last}{bound}")
        }
        Deviation::Smaller(present, earlier) => {
            let (present, than) = match finding.part {
                Part::Length(_) => (items(present), "fewer"),
                _ => (number(present), "smaller"),
            };
            let bound = bound("at least", earlier.as_ref());
            format!("{present}, {than} than in {last}{bound}")
        }
        Deviation::MissingParameter => format!("given in {last}, and not now"),
        Deviation::MissingValue if finding.part == Part::Secrets => {
            format!("without one that was given in {last}")
        }
        Deviation::MissingValue => format!("without a value that was in {last}"),
    }
}

/// The bound of the earlier ones, if the reader may see it.
fn bound(what: &str, earlier: Option<&Decimal>) -> String {
    earlier.map_or_else(String::new, |it| format!(" ({what} {})", number(it)))
}

fn items(count: &Decimal) -> String {
    match number(count).as_str() {
        "1" => "1 item".to_owned(),
        count => format!("{count} items"),
    }
}

/// The approvals that a part was compared with, of those that were read.
fn last_approvals(compared: usize, count: usize) -> String {
    match (compared, count) {
        (1, 1) => "the last approval".to_owned(),
        (compared, count) if compared == count => format!("the last {count} approvals"),
        (compared, count) => format!("{compared} of the last {count} approvals"),
    }
}

fn summarize(last: &[PastDecision]) -> String {
    let approved = last.iter().filter(|it| it.verdict == Verdict::Approve);
    let approved = approved.count();
    match (last.len(), approved) {
        (1, 1) => "The last decision of a person: approved".to_owned(),
        (1, _) => "The last decision of a person: rejected".to_owned(),
        (count, _) => {
            let rejected = count - approved;
            format!(
                "The last {count} decisions of people: {approved} approved, {rejected} rejected"
            )
        }
    }
}

fn describe_decision(decision: &PastDecision, zone: &Zone) -> Sentence {
    let verdict = match decision.verdict {
        Verdict::Approve => "Approved",
        Verdict::Reject => "Rejected",
    };
    // Earlier rejections of the same have their own notice.
    let same = if decision.is_same && decision.verdict == Verdict::Approve {
        ", with exactly the same content"
    } else {
        ""
    };
    Sentence::new(format!("{verdict} on "))
        .time(zone.time(decision.at))
        .words(same)
}

/// A number with a comma before each three digits of its whole part.
fn number(decimal: &Decimal) -> String {
    let text = decimal.to_string();
    if text.contains('e') {
        return text;
    }
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text.as_str()),
    };
    match unsigned.split_once('.') {
        Some((whole, fraction)) => format!("{sign}{}.{fraction}", grouped(whole)),
        None => format!("{sign}{}", grouped(unsigned)),
    }
}
