// What can be asked of the account beside sending: presence, people, groups,
// history, profile, blocklist. Through wa-js, whose authors follow WhatsApp's changes.
//
// What WhatsApp refuses is an answer (`refused`), not an error: the page works.
// Every wait ends by the caller's `ms`, every list is bounded.

const GROUPS_LIMIT = 1000;
const PARTICIPANTS_LIMIT = 2048;
const CONTACTS_LIMIT = 5000;
const BLOCKLIST_LIMIT = 5000;
/** Numbers asked about side by side: WhatsApp Web asks one by one. */
const NUMBERS_AT_ONCE = 5;
/** Reads of a chat's history for one answer: lines that are no messages are left out. */
const HISTORY_READS = 5;

/** A refusal on its way to the answer. */
class Refused extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** What wa-js says of its own accord, before WhatsApp is asked. */
const REFUSED_BY_LIBRARY = {
  chat_not_found: 'unknown_chat',
  not_a_group: 'unknown_group',
  group_you_are_not_admin: 'not_admin',
  you_are_not_allowed_set_group_subject: 'not_admin',
  you_are_not_allowed_set_group_description: 'not_admin',
  you_are_not_allowed_set_group_property: 'not_admin',
  you_are_not_allowed_set_ephemeral_setting: 'not_admin',
  group_participant_is_not_a_group_member: 'not_admin',
  participant_not_exists: 'not_on_whatsapp',
  invalid_invite_code: 'invite_invalid',
};

/** WhatsApp's status for a request that it refuses, or null where this is no such answer. */
function refusalStatus(thrown) {
  const status = Number(thrown?.statusCode ?? thrown?.status);
  // 408 and 429 are no refusals: later they may pass. What is 500 and more failed.
  return status >= 400 && status < 500 && status !== 408 && status !== 429 ? status : null;
}

/** The refusal that an error means, or null. `statuses`: what WhatsApp's numbers mean here. */
function refusalOf(thrown, statuses) {
  if (thrown instanceof Refused) return thrown.reason;
  const known = REFUSED_BY_LIBRARY[thrown?.code];
  if (known !== undefined) return known;
  const status = refusalStatus(thrown);
  return status === null ? null : statuses[status] ?? 'refused';
}

const IN_GROUP = { 401: 'not_admin', 403: 'not_admin', 404: 'unknown_group', 419: 'group_full' };
const AT_INVITE = {
  400: 'invite_invalid', 401: 'invite_invalid', 404: 'invite_invalid', 406: 'invite_invalid',
  410: 'invite_invalid', 419: 'group_full',
};

const textOf = (value, most = 200) => (typeof value === 'string' && value !== '' ? cut(value, most) : null);

/** Whether two addresses name one person, as far as WhatsApp Web knows. */
function samePerson(a, b) {
  const [first, second] = [widText(a), widText(b)];
  return first === second || widText(otherAddress(a)) === second || widText(otherAddress(b)) === first;
}

/** A chat that exists; a person's is made where the number is on WhatsApp. */
async function chatToWrite(id, ms) {
  const wid = makeWid(id);
  const known = await chatOf(wid, false) ?? getFrom(chatStore(), otherAddress(wid));
  if (known) return known;
  if (widIs(wid, 'isGroup', 'g.us')) throw new Refused('unknown_chat');
  const exists = await numberExistsLately(wid, ms);
  if (exists === null) throw new Refused('not_on_whatsapp');
  return chatOf(exists ?? wid, true);
}

/** A chat that exists, or the refusal. */
function chatKnown(id) {
  const wid = makeWid(id);
  const chat = getFrom(chatStore(), wid) ?? getFrom(chatStore(), otherAddress(wid));
  if (!chat) throw new Refused('unknown_chat');
  return chat;
}

// ------------------------------------------------------------------ groups

const isAdmin = (member) => Boolean(member.isAdmin || member.isSuperAdmin);

/** A group that the account has a chat of, with what is known of it by now. */
async function groupKnown(id) {
  const chat = getFrom(chatStore(), makeWid(id));
  if (!chat || !widIs(chat.id, 'isGroup', 'g.us')) throw new Refused('unknown_group');
  const metadata = await wppFound('whatsapp', 'GroupMetadataStore').find(chat.id);
  return { chat, metadata };
}

const meIn = (members) => {
  const me = readMe();
  return members.find((member) => [me.pn, me.lid].some((own) => own !== null && samePerson(member.id, own)));
};

/** A group in which we may do this. */
async function groupWhere(id, adminOnly) {
  const group = await groupKnown(id);
  const me = meIn(models(group.metadata.participants));
  if (group.chat.isReadOnly === true || !me) throw new Refused('not_member');
  if (adminOnly && !isAdmin(me)) throw new Refused('not_admin');
  return group;
}

function describeGroup(chat, metadata, whole) {
  const members = models(metadata?.participants);
  const subject = metadata?.subject ?? chat.formattedTitle ?? chat.name ?? '';
  return {
    id: widText(chat.id),
    subject: cut(String(subject), 200),
    description: textOf(metadata?.desc, 4096),
    owner: widText(metadata?.owner),
    created_t: Number(metadata?.creation) || null,
    only_admins_send: metadata?.announce === true,
    only_admins_edit: metadata?.restrict === true,
    size: members.length || Number(metadata?.size) || 0,
    participants: !whole ? [] : members.slice(0, PARTICIPANTS_LIMIT).map((member) => ({
      id: widText(member.id), is_admin: isAdmin(member), is_owner: Boolean(member.isSuperAdmin),
    })),
  };
}

/** What wa-js tells of each participant, for those who were asked about. */
function resultsFor(ids, told) {
  const entries = Object.values(told ?? {});
  return ids.map((id) => {
    const entry = entries.find((each) => samePerson(each.wid, id));
    const code = Number(entry?.code ?? 200);
    return { id, code: Number.isInteger(code) && code >= 100 && code < 1000 ? code : 500 };
  });
}

async function createGroup({ subject, participants, ms }) {
  const me = readMe();
  const there = [];
  const absent = [];
  await eachAtOnce(participants, NUMBERS_AT_ONCE, async (id) => {
    if (id === me.pn || id === me.lid) return;
    const exists = await numberExistsLately(makeWid(id), ms);
    if (exists === null) absent.push({ id, code: 404 });
    else there.push(id);
  });
  if (there.length === 0) throw new Refused('not_on_whatsapp');
  const made = await window.WPP.group.create(subject, there);
  const { chat, metadata } = await groupKnown(widText(made.gid));
  return {
    group: describeGroup(chat, metadata, true),
    participants: [...resultsFor(there, made.participants), ...absent],
  };
}

/** Whether a member already is what the change makes of them. */
const ALREADY = {
  promote: (member) => isAdmin(member),
  demote: (member) => !isAdmin(member),
  remove: () => false,
};

async function changeParticipants({ group: id, change, participants, ms }) {
  const { chat, metadata } = await groupWhere(id, false);
  const me = meIn(models(metadata.participants));
  // Where its admins allow it, any member may add others.
  const mayAdd = change === 'add' && metadata.memberAddMode === 'all_member_add';
  if (!isAdmin(me) && !mayAdd) throw new Refused('not_admin');
  if (change === 'add') return addParticipants(chat, metadata, participants, ms);
  const codes = new Map();
  const todo = [];
  for (const who of participants) {
    const member = models(metadata.participants).find((each) => samePerson(each.id, who));
    if (!member) codes.set(who, 404);
    else if (ALREADY[change](member)) codes.set(who, 200);
    else if (change !== 'promote' && member.isSuperAdmin) codes.set(who, 403);
    else todo.push([who, member]);
  }
  if (todo.length > 0) {
    const ids = todo.map(([, member]) => widText(member.id));
    const answer = await window.WPP.group[`${change}Participants`](widText(chat.id), ids);
    const told = (answer?.participants ?? []).map((each) => ({ wid: each.userWid ?? each.wid, code: each.code }));
    for (const { id: who, code } of resultsFor(ids, told)) {
      codes.set(todo.find(([, member]) => widText(member.id) === who)[0], code);
    }
  }
  return { participants: participants.map((who) => ({ id: who, code: codes.get(who) })) };
}

async function addParticipants(chat, metadata, participants, ms) {
  const codes = new Map();
  const todo = [];
  await eachAtOnce(participants, NUMBERS_AT_ONCE, async (who) => {
    if (models(metadata.participants).some((each) => samePerson(each.id, who))) codes.set(who, 409);
    else if (await numberExistsLately(makeWid(who), ms) === null) codes.set(who, 404);
    else todo.push(who);
  });
  if (todo.length > 0) {
    const told = await window.WPP.group.addParticipants(widText(chat.id), todo);
    for (const { id, code } of resultsFor(todo, told)) codes.set(id, code);
  }
  return { participants: participants.map((id) => ({ id, code: codes.get(id) })) };
}

async function setGroup({ group: id, setting, value }) {
  const { chat, metadata } = await groupWhere(id, false);
  const admin = isAdmin(meIn(models(metadata.participants)));
  const ofInfo = setting === 'subject' || setting === 'description';
  if (!admin && (!ofInfo || metadata.restrict === true)) throw new Refused('not_admin');
  const group = widText(chat.id);
  const { WPP } = window;
  if (setting === 'subject') await WPP.group.setSubject(group, value);
  else if (setting === 'description') await WPP.group.setDescription(group, value);
  else if (setting === 'only_admins_send') await WPP.group.setProperty(group, 'announcement', value);
  else if (setting === 'only_admins_edit') await WPP.group.setProperty(group, 'restrict', value);
  else throw new Error(`no such setting: ${setting}`);
  return {};
}

/** An invite code, in whichever form this version of WhatsApp Web gives it. */
function inviteCode(answer) {
  const code = typeof answer === 'string' ? answer : answer?.code;
  if (typeof code !== 'string' || code === '') throw new Error('WhatsApp gave no invite code');
  return { code: code.slice(0, 200) };
}

// ----------------------------------------------------------------- history

/** The message before which others are wanted, or the refusal. */
async function messageKnown(chat, { id, from_me: fromMe, participant }, ms) {
  const held = (msg) => {
    const key = keyParts(msg?.id);
    return key?.id === id && key.fromMe === fromMe;
  };
  const loaded = models(chat.msgs).find(held) ?? models(msgStore()).find(held);
  if (loaded) return loaded;
  const Key = msgKeyClass();
  const group = widIs(chat.id, 'isGroup', 'g.us');
  const key = fromMe ? keyFor(chat, id).key : new Key({
    fromMe: false, remote: chat.id, id, participant: group && participant ? makeWid(participant) : undefined,
  });
  try {
    const found = await within(window.WPP.chat.getMessageById(key), ms, null);
    if (found) return found;
  } catch {
    // wa-js throws for what is not there.
  }
  throw new Refused('unknown_message');
}

/** By time; those of one second stay in the order of their list, whichever way that runs. */
function newestFirst(messages) {
  const backwards = messageTime(messages[0]) > messageTime(messages[messages.length - 1]);
  const list = backwards ? [...messages] : [...messages].reverse();
  return list.sort((a, b) => messageTime(b) - messageTime(a));
}

async function readHistory({ chat: id, limit, before, ms }) {
  const chat = chatKnown(id);
  const until = performance.now() + ms;
  let anchor = before ? await messageKnown(chat, before, ms) : null;
  const found = new Map();
  for (let read = 0; read < HISTORY_READS && found.size < limit && performance.now() < until; read += 1) {
    const options = { count: limit - found.size, direction: 'before' };
    if (anchor) options.id = String(anchor.id);
    const messages = await window.WPP.chat.getMessages(widText(chat.id), options);
    const fresh = newestFirst(messages.filter((msg) => keyParts(msg?.id) && !found.has(String(msg.id))));
    if (fresh.length === 0) break;
    for (const msg of fresh) {
      const described = describeMessage(msg, false);
      const level = Number(msg.ack);
      found.set(String(msg.id), described && {
        ...described, ack: described.from_me && Number.isInteger(level) ? level : null,
      });
    }
    for (const [key, described] of found) if (!described) found.delete(key);
    anchor = fresh[fresh.length - 1];
  }
  const messages = [...found.values()].slice(0, limit).reverse();
  return { messages };
}

// ------------------------------------------------------------------ people

function describeContact(contact) {
  const id = widText(contact?.id);
  if (!id || !/@(c\.us|lid)$/.test(id)) return null;
  let saved = false;
  try {
    saved = contact.isAddressBookContact === 1 || contact.isMyContact === true;
  } catch {
    // A getter of wa-js's that WhatsApp has taken away.
  }
  return {
    id, name: textOf(contact.name), push_name: textOf(contact.pushname), is_saved: saved,
    is_blocked: Boolean(getFrom(wppFound('whatsapp', 'BlocklistStore'), contact.id)),
  };
}

/** Whoever is in the address book or has a chat; members of groups would drown them. */
function listContacts() {
  const me = readMe();
  const contacts = [];
  for (const contact of models(wppFound('whatsapp', 'ContactStore'))) {
    const described = describeContact(contact);
    if (!described || described.id === me.pn || described.id === me.lid) continue;
    if (!described.is_saved && !getFrom(chatStore(), contact.id)) continue;
    contacts.push(described);
  }
  const nameOf = (each) => each.name ?? each.push_name ?? each.id;
  contacts.sort((a, b) => Number(b.is_saved) - Number(a.is_saved) || nameOf(a).localeCompare(nameOf(b)));
  return { contacts: contacts.slice(0, CONTACTS_LIMIT) };
}

function contactKnown(id) {
  const wid = makeWid(id);
  const store = wppFound('whatsapp', 'ContactStore');
  const found = getFrom(store, wid) ?? getFrom(store, otherAddress(wid));
  return { contact: found ? describeContact(found) : null };
}

/** Runs `work` for each, at most `most` at once. */
async function eachAtOnce(items, most, work) {
  const left = [...items];
  const run = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: Math.min(most, left.length) }, run));
}

async function checkNumbers({ numbers, ms }) {
  const results = new Map();
  await eachAtOnce(numbers, NUMBERS_AT_ONCE, async (number) => {
    const exists = await numberExistsLately(makeWid(number), ms);
    if (exists === undefined) throw new Error('Timeout: WhatsApp did not say whether the number exists');
    results.set(number, exists === null ? null : widText(exists));
  });
  return { numbers: numbers.map((number) => [number, results.get(number) ?? null]) };
}

async function block({ contact, blocked, ms }) {
  const wid = makeWid(contact);
  const store = wppFound('whatsapp', 'BlocklistStore');
  const entry = getFrom(store, wid) ?? getFrom(store, otherAddress(wid));
  if (Boolean(entry) === blocked) return {};
  if (!blocked) await window.WPP.blocklist.unblockContact(widText(entry.id));
  else {
    const exists = await numberExistsLately(wid, ms);
    if (exists === null) throw new Refused('not_on_whatsapp');
    await window.WPP.blocklist.blockContact(widText(exists ?? wid));
  }
  return {};
}

// --------------------------------------------------------------------- all

const TYPING = { composing: 'markIsComposing', recording: 'markIsRecording', paused: 'markIsPaused' };

/** Each action: what does it, and what WhatsApp's refusals mean in it. */
const ACTIONS = {
  typing: [async ({ chat, activity, ms }) => {
    await window.WPP.chat[TYPING[activity]](widText((await chatToWrite(chat, ms)).id));
    return {};
  }],
  online: [async ({ online }) => {
    await window.WPP.conn.markAvailable(online);
    return {};
  }],
  mark_read: [async ({ chat }) => {
    await window.WPP.chat.markIsRead(widText(chatKnown(chat).id));
    return {};
  }],
  check_numbers: [checkNumbers],
  contacts: [listContacts],
  contact: [({ contact }) => contactKnown(contact)],
  history: [readHistory],
  groups: [() => {
    const groups = models(chatStore())
      .filter((chat) => widIs(chat?.id, 'isGroup', 'g.us') && chat.isReadOnly !== true);
    groups.sort((a, b) => messageTime(b) - messageTime(a));
    return { groups: groups.slice(0, GROUPS_LIMIT).map((chat) => describeGroup(chat, chat.groupMetadata, false)) };
  }],
  group: [async ({ group }) => {
    const { chat, metadata } = await groupKnown(group);
    return { group: describeGroup(chat, metadata, true) };
  }, IN_GROUP],
  create_group: [createGroup],
  participants: [changeParticipants, IN_GROUP],
  set_group: [setGroup, IN_GROUP],
  invite_code: [async ({ group }) => {
    const { chat } = await groupWhere(group, true);
    return inviteCode(await window.WPP.group.getInviteCode(widText(chat.id)));
  }, IN_GROUP],
  revoke_invite_code: [async ({ group }) => {
    const { chat } = await groupWhere(group, true);
    return inviteCode(await window.WPP.group.revokeInviteCode(widText(chat.id)));
  }, IN_GROUP],
  join_group: [async ({ code }) => {
    const joined = await window.WPP.group.join(code);
    return { group: widText(joined.id), pending: joined.pendingApproval === true };
  }, AT_INVITE],
  leave_group: [async ({ group }) => {
    const { chat } = await groupWhere(group, false);
    await window.WPP.group.leave(widText(chat.id));
    return {};
  }, IN_GROUP],
  picture: [async ({ of }) => ({ url: textOf(await window.WPP.contact.getProfilePictureUrl(of), 4096) }),
    { 401: 'refused' }],
  profile: [async ({ ms }) => {
    const me = readMe();
    const about = await within(window.WPP.profile.getMyStatus().catch(() => null), ms, null);
    return { id: me.pn ?? me.lid, name: textOf(window.WPP.profile.getMyProfileName()) ?? me.name, about: textOf(about, 1000) };
  }],
  set_profile_name: [async ({ name }) => {
    await window.WPP.profile.setMyProfileName(name);
    return {};
  }],
  set_about: [async ({ about }) => {
    await window.WPP.profile.setMyStatus(about);
    return {};
  }],
  blocklist: [() => ({
    blocklist: models(wppFound('whatsapp', 'BlocklistStore')).slice(0, BLOCKLIST_LIMIT)
      .map((entry) => widText(entry?.id)).filter(Boolean),
  })],
  block: [block],
};

/** Does one action within `ms`. A state that cannot be asked in is told as such. */
async function performAction({ action, args, ms }) {
  if (!Object.hasOwn(ACTIONS, action)) throw new Error(`no such action: ${action}`);
  const levels = readLevels();
  if (!readiness(levels)) {
    return { not_ready: { socket: levels.socket, mode: levels.mode, missing: levels.missing } };
  }
  const until = performance.now() + ms;
  if (!await wppWithin(ms)) throw new Error('Timeout: wa-js is not there yet');
  const [run, statuses = {}] = ACTIONS[action];
  const left = Math.max(0, until - performance.now());
  try {
    const answer = await within(Promise.resolve().then(() => run({ ...args, ms: left })), left, 'late');
    if (answer === 'late') throw new Error(`Timeout: WhatsApp gave no answer to ${action}`);
    return { done: answer };
  } catch (thrown) {
    const reason = refusalOf(thrown, statuses);
    if (reason === null) throw thrown;
    return { refused: reason };
  }
}
