// Everything that can be let loose, in a person's words. `of` makes the request's body.
export const FAULTS = [
  ['The page', [
    { name: 'Close the page', about: 'as if its tab were closed', of: (account) => ({ kind: 'page', account, fault: { kind: 'close_page' } }) },
    { name: 'Hang the page', about: 'a busy loop', input: { label: 'ms, 0 for ever', value: 0 }, of: (account, ms) => ({ kind: 'page', account, fault: { kind: 'hang', ms } }) },
    { name: 'Reload the page', of: (account) => ({ kind: 'page', account, fault: { kind: 'reload' } }) },
    { name: 'Lead the page away', about: 'to another address', of: (account) => ({ kind: 'page', account, fault: { kind: 'navigate', url: 'about:blank' } }) },
    { name: 'Lose the login', about: 'the browser’s stores are wiped', of: (account) => ({ kind: 'page', account, fault: { kind: 'lose_store' } }) },
    { name: 'Go silent', about: 'events stop firing', of: (account) => ({ kind: 'page', account, fault: { kind: 'mute_events', on: true } }) },
    { name: 'Hang a send', about: 'it goes out, and its promise never settles', input: { label: 'sends', value: 1 }, of: (account, count) => ({ kind: 'page', account, fault: { kind: 'hang_send', count } }) },
    { name: 'Fail a send', about: '“Session closed”, before it goes out', input: { label: 'sends', value: 1 }, of: (account, count) => ({ kind: 'page', account, fault: { kind: 'throw_on_send', count, when: 'before', text: 'Protocol error (Runtime.callFunctionOn): Session closed. Most likely the page has been closed.' } }) },
    { name: 'Fail a send that went out', about: 'the same words, afterwards', input: { label: 'sends', value: 1 }, of: (account, count) => ({ kind: 'page', account, fault: { kind: 'throw_on_send', count, when: 'after', text: 'Protocol error (Runtime.callFunctionOn): Session closed. Most likely the page has been closed.' } }) },
  ]],
  ['The network', [
    { name: 'Cut the sockets', of: (account) => ({ kind: 'drop_sockets', account }) },
    { name: 'Take the network away', input: { label: 'ms, 0 until it is back', value: 10000 }, of: (_, ms) => ({ kind: 'network_away', ms }) },
    { name: 'Black hole', about: 'connections stay, nothing is heard', input: { label: 'ms', value: 10000 }, of: (_, ms) => ({ kind: 'black_hole', ms }) },
    { name: 'Network back', of: () => ({ kind: 'network_back' }) },
    { name: 'Restart the server', of: () => ({ kind: 'server_restart' }) },
  ]],
  ['Messages', [
    { name: 'Lose sends', about: 'they never reach the server', input: { label: 'sends', value: 1 }, of: (_, count) => ({ kind: 'lose_sends', count }) },
    { name: 'Lose acks', about: 'taken, and nobody says so', input: { label: 'sends', value: 1 }, of: (_, count) => ({ kind: 'drop_acks', count }) },
    { name: 'Refuse sends', about: 'with 400', input: { label: 'sends', value: 1 }, of: (_, count) => ({ kind: 'refuse_sends', count, code: 400 }) },
    { name: 'Too fast', about: 'with 429', input: { label: 'sends', value: 1 }, of: (_, count) => ({ kind: 'refuse_sends', count, code: 429 }) },
    { name: 'Cut before the server takes it', input: { label: 'sends', value: 1 }, of: (_, count) => ({ kind: 'cut_on_send', count, when: 'before' }) },
    { name: 'Cut after the server took it', input: { label: 'sends', value: 1 }, of: (_, count) => ({ kind: 'cut_on_send', count, when: 'after' }) },
    { name: 'Refuse uploads', input: { label: 'uploads', value: 1 }, of: (_, count) => ({ kind: 'refuse_uploads', count, status: 500 }) },
    { name: 'Let all media expire', of: () => ({ kind: 'expire_media' }) },
  ]],
  ['The account', [
    { name: 'Open it elsewhere', about: 'another page opens as this device', of: (account) => ({ kind: 'conflict', account }) },
  ]],
];
