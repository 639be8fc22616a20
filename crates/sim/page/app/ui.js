// What a person sees: the code while unlinked, then the list of chats and the messages of one.
'use strict';

(() => {
  const { define } = WAPage;
  const ROWS_SHOWN = 100;
  const TICKS = { '-1': '!', 0: '◷', 1: '✓', 2: '✓✓', 3: '✓✓', 4: '✓✓' };

  define('WAWebUi', (exports, use) => {
    let root = null;
    let active = null;
    let filter = null;
    let drawn = false;

    exports.start = () => {
      root = document.getElementById('app');
      const { Stream } = use('WAWebStreamModel');
      const { Socket } = use('WAWebSocketModel');
      const { Conn } = use('WAWebConnModel');
      for (const model of [Stream, Socket, Conn]) model.on('change', redrawSoon);
      use('WAWebChatCollection').ChatCollection.on('add remove change sort', redrawSoon);
      use('WAWebMsgCollection').MsgCollection.on('add remove change', redrawSoon);
      redrawSoon();
    };

    // One drawing for however many changes fall into a frame.
    function redrawSoon() {
      if (drawn) return;
      drawn = true;
      setTimeout(() => {
        drawn = false;
        draw();
      }, 50);
    }

    function draw() {
      const { Stream } = use('WAWebStreamModel');
      const { Socket } = use('WAWebSocketModel');
      if (Stream.mode === 'QR') root.replaceChildren(landing(Socket));
      else if (Stream.mode === 'MAIN') root.replaceChildren(sidebar(), conversation());
      else root.replaceChildren(element('div', 'splash', Stream.mode ?? 'Loading…'));
    }

    function landing(socket) {
      const box = element('div', 'landing');
      box.append(element('h1', '', 'Log into WhatsApp Web'));
      box.append(element('p', '', 'Scan the code with your phone: Settings, Linked devices, Link a device.'));
      const text = use('WAWebLinking').codeText();
      if (text) {
        const canvas = element('canvas', 'qr');
        canvas.setAttribute('aria-label', 'Scan this QR code to link a device!');
        canvas.dataset.ref = text;
        use('WAWebQrCode').drawQr(canvas, text);
        box.append(canvas);
      } else if (socket.state === 'UNPAIRED_IDLE') {
        const button = element('button', 'reload', 'Click to reload QR code');
        button.addEventListener('click', () => use('WAWebCmd').Cmd.refreshQR());
        box.append(button);
      }
      return box;
    }

    function sidebar() {
      const side = element('nav', 'side');
      side.id = 'side';
      side.append(element('header', '', `WhatsApp · ${use('WAWebConnModel').Conn.pushname ?? ''}`));
      const { state } = use('WAWebSocketModel').Socket;
      if (state !== 'CONNECTED') side.append(element('div', 'banner', 'Computer not connected'));
      const shown = use('WAWebChatCollection').ChatCollection
        .filter((chat) => !chat.archive && exports.passesFilter(chat)).slice(0, ROWS_SHOWN);
      for (const chat of shown) side.append(chatRow(chat));
      return side;
    }

    function chatRow(chat) {
      const row = element('div', chat === active ? 'row active' : 'row');
      const last = chat.msgs.last();
      row.append(element('strong', '', chat.formattedTitle));
      row.append(element('span', 'preview', last ? textOf(last) : ''));
      if (chat.unreadCount) row.append(element('span', 'badge', chat.unreadCount > 0 ? chat.unreadCount : ''));
      row.addEventListener('click', () => exports.open(chat));
      return row;
    }

    function conversation() {
      const main = element('main', 'conversation');
      main.id = 'main';
      if (!active) return main;
      main.append(element('header', '', active.formattedTitle));
      for (const message of active.msgs.getModelsArray().slice(-100)) {
        const bubble = element('div', message.id.fromMe ? 'bubble out' : 'bubble in', textOf(message));
        if (message.id.fromMe) bubble.append(element('span', `ack ack${message.ack}`, TICKS[message.ack] ?? '!'));
        main.append(bubble);
      }
      return main;
    }

    function textOf(message) {
      if (message.type === 'chat') return message.body ?? '';
      if (message.type === 'revoked') return 'This message was deleted';
      return `[${message.type}] ${message.caption ?? message.pollName ?? message.filename ?? ''}`;
    }

    function element(tag, className, text) {
      const made = document.createElement(tag);
      if (className) made.className = className;
      if (text !== undefined) made.textContent = text;
      return made;
    }

    exports.open = async (chat) => {
      exports.close(active);
      active = chat;
      chat.set({ active: true });
      await chat.msgs.loadEarlierMsgs(50);
      await use('WAWebUpdateUnreadChatAction').sendSeen({ chat });
      redrawSoon();
      return true;
    };

    exports.close = (chat) => {
      if (!chat || chat !== active) return;
      chat.set({ active: false });
      active = null;
      redrawSoon();
    };

    exports.setFilter = (kind, label) => {
      filter = kind ? { kind, label } : null;
      redrawSoon();
    };

    exports.passesFilter = (chat) => {
      switch (filter?.kind) {
        case 'unread': return chat.unreadCount !== 0;
        case 'group': return chat.id.isGroup();
        case 'personal': return chat.id.isUser();
        default: return true;
      }
    };
  });
})();
