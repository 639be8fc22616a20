//! What can be asked of a linked account beside sending: short requests that
//! are answered now or not at all. Nothing here is queued.

use crate::ids::{ChatId, MessageKey};
use crate::inbound::InboundMessage;
use crate::outbox::Ack;
use crate::time::UnixMs;
use serde::{Deserialize, Serialize};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Shows others that we type or record, or that we stopped.
    Typing {
        /// In which chat.
        chat: ChatId,
        /// What is shown.
        activity: Activity,
    },
    /// Shows us as online, or not.
    Online(bool),
    /// Marks a chat as read.
    MarkRead {
        /// Which.
        chat: ChatId,
    },
    /// Asks which of these numbers have WhatsApp; at most 50.
    CheckNumbers(Vec<ChatId>),
    /// The address book.
    Contacts,
    /// What is known of one person.
    Contact(ChatId),
    /// The newest messages of a chat, oldest first.
    History {
        /// Which chat.
        chat: ChatId,
        /// At most so many; 1 to 200.
        limit: u32,
        /// Only those before this one.
        before: Option<MessageKey>,
    },
    /// The groups that we are in.
    Groups,
    /// One group with its participants.
    Group(ChatId),
    /// Makes a group.
    CreateGroup {
        /// Its subject, 1 to 100 characters.
        subject: String,
        /// Who is in it beside us.
        participants: Vec<ChatId>,
    },
    /// Changes who is in a group, and what they may do.
    Participants {
        /// Which group.
        group: ChatId,
        /// What happens to them.
        change: ParticipantChange,
        /// Whom.
        participants: Vec<ChatId>,
    },
    /// Changes one thing of a group.
    SetGroup {
        /// Which.
        group: ChatId,
        /// What.
        setting: GroupSetting,
    },
    /// The code behind `chat.whatsapp.com/` that lets others join.
    InviteCode(ChatId),
    /// Makes the old invite code worthless and gives a new one.
    RevokeInviteCode(ChatId),
    /// Joins the group behind an invite code.
    JoinGroup(String),
    /// Leaves a group.
    LeaveGroup(ChatId),
    /// The address of somebody's, or a group's, picture.
    Picture(ChatId),
    /// Who we are.
    Profile,
    /// Changes the name that others see, 1 to 25 characters.
    SetProfileName(String),
    /// Changes our about text, at most 139 characters.
    SetAbout(String),
    /// Whom we block.
    Blocklist,
    /// Blocks somebody, or no more.
    Block {
        /// Whom.
        contact: ChatId,
        /// Whether.
        blocked: bool,
    },
}

impl Action {
    /// The name under which it stands in logs, metrics and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Typing { .. } => "typing",
            Self::Online(_) => "online",
            Self::MarkRead { .. } => "mark_read",
            Self::CheckNumbers(_) => "check_numbers",
            Self::Contacts => "contacts",
            Self::Contact(_) => "contact",
            Self::History { .. } => "history",
            Self::Groups => "groups",
            Self::Group(_) => "group",
            Self::CreateGroup { .. } => "create_group",
            Self::Participants { .. } => "participants",
            Self::SetGroup { .. } => "set_group",
            Self::InviteCode(_) => "invite_code",
            Self::RevokeInviteCode(_) => "revoke_invite_code",
            Self::JoinGroup(_) => "join_group",
            Self::LeaveGroup(_) => "leave_group",
            Self::Picture(_) => "picture",
            Self::Profile => "profile",
            Self::SetProfileName(_) => "set_profile_name",
            Self::SetAbout(_) => "set_about",
            Self::Blocklist => "blocklist",
            Self::Block { .. } => "block",
        }
    }
}

/// What others see us do in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// We type.
    Composing,
    /// We record a voice note.
    Recording,
    /// Neither.
    Paused,
}

/// What happens to participants of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantChange {
    /// They come in.
    Add,
    /// They are put out.
    Remove,
    /// They become admins.
    Promote,
    /// They are admins no more.
    Demote,
}

/// One thing of a group that can be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "setting", content = "value", rename_all = "snake_case")]
pub enum GroupSetting {
    /// Its subject, 1 to 100 characters.
    Subject(String),
    /// Its description, at most 2,048 characters.
    Description(String),
    /// Whether only admins may write.
    OnlyAdminsSend(bool),
    /// Whether only admins may change subject, picture and description.
    OnlyAdminsEdit(bool),
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// Each number asked about, with its chat id where it has WhatsApp.
    Numbers(Vec<(ChatId, Option<ChatId>)>),
    /// People.
    Contacts(Vec<Contact>),
    /// One person, where known.
    Contact(Option<Contact>),
    /// Messages, oldest first.
    History(Vec<HistoryMessage>),
    /// Groups, without their participants.
    Groups(Vec<Group>),
    /// One group.
    Group(Group),
    /// A new group, with what came of each who was to be in it.
    Created {
        /// As it is now.
        group: Group,
        /// What came of each.
        participants: Vec<ParticipantResult>,
    },
    /// What came of each participant.
    Participants(Vec<ParticipantResult>),
    /// An invite code.
    InviteCode(String),
    /// The group that was joined.
    Joined {
        /// Which.
        group: ChatId,
        /// Whether an admin must let us in first.
        pending: bool,
    },
    /// Where the picture can be fetched, where there is one that we may see.
    Picture(Option<String>),
    /// Us.
    Profile(Profile),
    /// Whom we block.
    Blocklist(Vec<ChatId>),
    /// No.
    Refused(Refusal),
}

/// Why a request that was understood is answered with no. The page works, and
/// nothing was done: the same request gets the same answer until something
/// else has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The account has no such chat.
    #[error("there is no such chat")]
    UnknownChat,
    /// There is no such message in the chat.
    #[error("there is no such message in this chat")]
    UnknownMessage,
    /// There is no such group, or none that the account is in.
    #[error("there is no such group, or the account is not in it")]
    UnknownGroup,
    /// The number has no account.
    #[error("the number is not on WhatsApp")]
    NotOnWhatsApp,
    /// Only a member of the group may do this.
    #[error("the account is no member of this group")]
    NotMember,
    /// Only an admin of the group may do this.
    #[error("the account is no admin of this group")]
    NotAdmin,
    /// The invite code leads nowhere, or was revoked.
    #[error("the invite code leads to no group")]
    InviteInvalid,
    /// No more people may be in the group.
    #[error("the group is full")]
    GroupFull,
    /// WhatsApp says no, without a reason that we know.
    #[error("WhatsApp refuses this")]
    Refused,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Their chat id.
    pub id: ChatId,
    /// The name in the address book.
    pub name: Option<String>,
    /// The name that they go by.
    pub push_name: Option<String>,
    /// Whether they are in the address book.
    pub is_saved: bool,
    /// Whether we block them.
    pub is_blocked: bool,
}

/// A message as it stands in its chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryMessage {
    /// The message.
    #[serde(flatten)]
    pub message: InboundMessage,
    /// How far it came, where it is ours.
    pub ack: Option<Ack>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its chat id.
    pub id: ChatId,
    /// Its subject.
    pub subject: String,
    /// Its description.
    pub description: Option<String>,
    /// Who made it.
    pub owner: Option<ChatId>,
    /// When.
    pub created_at: Option<UnixMs>,
    /// Whether only admins may write.
    pub only_admins_send: bool,
    /// Whether only admins may change it.
    pub only_admins_edit: bool,
    /// How many are in it.
    pub size: u32,
    /// Who is in it; empty in a list of groups.
    pub participants: Vec<Participant>,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Who.
    pub id: ChatId,
    /// Whether they are an admin.
    pub is_admin: bool,
    /// Whether they made the group.
    pub is_owner: bool,
}

/// What came of one participant's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantResult {
    /// Who.
    pub id: ChatId,
    /// WhatsApp's code: 200 done, 403 only by invitation, 404 not on WhatsApp, 409 already in.
    pub code: u16,
}

/// Us, as others see us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Our chat id.
    pub id: ChatId,
    /// Our name.
    pub name: Option<String>,
    /// Our about text.
    pub about: Option<String>,
}
