//! Contact cards: a whole vCard as it is given, or one made from name and number.

use super::content::{MAX_NAME_CHARS, bounded, optional};
use super::problem::Problem;
use serde::Deserialize;
use steadfast_core::ids::ChatId;
use steadfast_core::outbox::ContactCard;
use utoipa::ToSchema;

/// Contact cards in one message, and characters in one of them.
const MAX_CARDS: usize = 50;
const MAX_VCARD_CHARS: usize = 16_384;

/// A contact card: a whole vCard, or what one is made from.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CardRequest {
    /// The name that is shown.
    name: String,
    /// Its number in international form; needed where there is no `vcard`.
    phone: Option<String>,
    /// Where the person works.
    organization: Option<String>,
    /// The card itself, a vCard 3.0.
    vcard: Option<String>,
}

/// 1 to 50 cards, each whole.
pub(super) fn cards(cards: Vec<CardRequest>) -> Result<Vec<ContactCard>, Problem> {
    let count = cards.len();
    if !(1..=MAX_CARDS).contains(&count) {
        return Err(Problem::field(
            "contacts",
            format!("there are {count}; 1 to {MAX_CARDS} can be sent"),
        ));
    }
    cards.into_iter().map(card).collect()
}

fn card(card: CardRequest) -> Result<ContactCard, Problem> {
    let name = bounded("contacts.name", card.name, MAX_NAME_CHARS)?;
    if let Some(vcard) = card.vcard {
        if card.phone.is_some() || card.organization.is_some() {
            return Err(Problem::field(
                "contacts.vcard",
                "give either vcard, or phone and organization",
            ));
        }
        let vcard = bounded("contacts.vcard", vcard, MAX_VCARD_CHARS)?;
        let text = vcard.trim();
        if !text.starts_with("BEGIN:VCARD") || !text.ends_with("END:VCARD") {
            return Err(Problem::field(
                "contacts.vcard",
                "it is no vCard: one begins with BEGIN:VCARD and ends with END:VCARD",
            ));
        }
        return Ok(ContactCard { name, vcard });
    }
    let phone = card.phone.ok_or_else(|| {
        Problem::field("contacts.phone", "a contact card needs a phone, or a vcard")
    })?;
    let chat = ChatId::parse(&phone).map_err(|error| Problem::field("contacts.phone", error))?;
    let organization = optional("contacts.organization", card.organization)?;
    let vcard = vcard(&name, chat.user(), organization.as_deref());
    Ok(ContactCard { name, vcard })
}

/// A vCard that WhatsApp links to the person's account.
fn vcard(name: &str, digits: &str, organization: Option<&str>) -> String {
    let mut lines = vec![
        "BEGIN:VCARD".to_owned(),
        "VERSION:3.0".to_owned(),
        format!("N:;{};;;", escaped(name)),
        format!("FN:{}", escaped(name)),
    ];
    lines.extend(organization.map(|organization| format!("ORG:{};", escaped(organization))));
    lines.push(format!("TEL;type=CELL;type=VOICE;waid={digits}:+{digits}"));
    lines.push("END:VCARD".to_owned());
    lines.join("\n")
}

/// A value of a vCard (RFC 2426, 4): nothing in it may begin another line or part.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' | ';' | ',' => {
                text.push('\\');
                text.push(c);
            }
            '\n' => text.push_str("\\n"),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_cannot_be_broken_out_of() {
        let card = vcard("Bob;\nTEL:1\\", "4915123456789", Some("A, B"));
        assert_eq!(card.lines().count(), 7);
        assert!(card.contains("FN:Bob\\;\\nTEL:1\\\\"), "{card}");
        assert!(card.contains("ORG:A\\, B;"), "{card}");
        assert!(card.contains("waid=4915123456789:+4915123456789"));
    }
}
