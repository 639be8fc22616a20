// Reactions and votes: kept per message, sent and received as messages of their own.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebReactionsBackend', (exports, use) => {
    // Both our own and others' reactions end here, with the key of the reaction itself.
    async function store(message, { key, sender, text, tMs, fromMe }) {
      const row = {
        id: `${message.id}|${sender}`,
        msgKey: String(key),
        parentMsgKey: String(message.id),
        senderUserJid: String(sender),
        reactionText: text,
        t: tMs,
        read: fromMe,
        orphan: 0,
      };
      await use('WAWebAddonReactionTableMode').reactionTableMode.bulkUpsert([{
        id: key, reactionParentKey: message.id, reactionText: text, reactionTimestamp: tMs,
        author: sender, from: message.id.remote, read: fromMe, orphan: 0, orphanReason: null, ack: fromMe ? 1 : 0,
      }]);
      use('WAWebReactionsCollection').addOrUpdateReactionsModelCollection(row, !fromMe);
      await use('WAWebStorage').put('reactions', row);
      message.set({ hasReaction: text !== '' || (await exports.rowsOf(message)).length > 0 });
      await use('WAWebMessageTable').save(message);
    }

    exports.rowsOf = async (message) => {
      const parent = String(message.id ?? message);
      const rows = await use('WAWebStorage').getAll('reactions');
      return rows.filter((row) => row.parentMsgKey === parent && row.reactionText !== '');
    };

    exports.onReaction = async (frame) => {
      const message = await use('WAWebMessageTarget').find(frame.content.target);
      if (!message) return;
      const { id: key } = use('WAWebMessageCodec').fromFrame(frame);
      await store(message, {
        key, sender: use('WAWebWidFactory').createWid(frame.author), text: frame.content.reaction ?? '',
        tMs: frame.t * 1000, fromMe: frame.from_me,
      });
    };
    exports.store = store;
  });

  define('WAWebSendReactionMsgAction', (exports, use) => {
    exports.sendReactionToMsg = async (message, emoji) => {
      const { frame, result } = await use('WAWebMessageTarget').send(message, 'reaction', '', { reaction: emoji ?? '' });
      if (result.messageSendResult === 'OK') {
        const me = use('WAWebUserPrefsMeUser');
        const remote = message.id.remote;
        const sender = remote.isLid() || remote.isGroup() ? me.getMeLidUserOrThrow() : me.getMePnUserOrThrow();
        const MsgKey = use('WAWebMsgKey').default;
        await use('WAWebReactionsBackend').store(message, {
          key: new MsgKey({ fromMe: true, remote, id: frame.id }), sender, text: emoji ?? '', tMs: frame.t * 1000, fromMe: true,
        });
      }
      return result.messageSendResult;
    };
  });

  define('WAWebReactionsCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class ReactionsModel extends BaseModel {
      static defaults() { return { reactions: [] }; }
    }
    defineModel(ReactionsModel, 'reactions', ['id', 'reactions', 'reactionByMe', 'hasReactionByMe']);

    class ReactionsCollectionImpl extends BaseCollection {
      static model = ReactionsModel;

      async find(key) {
        const model = this.gadd(String(key));
        const rows = await use('WAWebReactionsBackend').rowsOf(key);
        const byEmoji = new Map();
        for (const row of rows) {
          if (!byEmoji.has(row.reactionText)) byEmoji.set(row.reactionText, []);
          byEmoji.get(row.reactionText).push(asSender(row));
        }
        const mine = rows.find((row) => use('WAWebUserPrefsMeUser').isMeAccount(row.senderUserJid));
        model.set({
          reactions: [...byEmoji].map(([aggregateEmoji, senders]) => ({
            aggregateEmoji, senders,
            hasReactionByMe: senders.some((entry) => use('WAWebUserPrefsMeUser').isMeAccount(entry.senderUserJid)),
          })),
          reactionByMe: mine ? asSender(mine) : undefined,
        });
        return model;
      }
    }

    function asSender(row) {
      const MsgKey = use('WAWebMsgKey').default;
      return {
        ...row, msgKey: MsgKey.fromString(row.msgKey), parentMsgKey: MsgKey.fromString(row.parentMsgKey),
        timestamp: row.t / 1000,
      };
    }

    exports.ReactionsCollection = new ReactionsCollectionImpl();
    exports.getReactions = (key) => exports.ReactionsCollection.find(String(key));
    // One reaction with whether it is news, or a list of them.
    exports.addOrUpdateReactionsModelCollection = (reactions) => {
      for (const row of Array.isArray(reactions) ? reactions : [reactions]) {
        exports.ReactionsCollection.gadd(String(row.parentMsgKey ?? row.reactionParentKey));
      }
    };
  });

  define('WAWebAddonReactionTableMode', (exports) => {
    exports.reactionTableMode = { bulkUpsert: async (reactions) => reactions };
  });

  define('WAWebPollVotesBackend', (exports, use) => {
    // `names` are the texts of the chosen options.
    async function store(message, { key, sender, names, tMs }) {
      const chosen = (message.pollOptions ?? [])
        .filter((option) => names.includes(option.name)).map((option) => option.localId);
      await use('WAWebAddonPollVoteTableMode').pollVoteTableMode.bulkUpsert([{
        id: key, pollUpdateParentKey: message.id, t: tMs, author: sender, from: message.id.remote,
        selectedOptionLocalIds: chosen, senderTimestampMs: tMs,
      }]);
      await use('WAWebPollsVotesCollection').upsertVotes([{
        parentMsgKey: message.id, sender, selectedOptionLocalIds: chosen, senderTimestampMs: tMs,
      }]);
    }

    exports.onVote = async (frame) => {
      const message = await use('WAWebMessageTarget').find(frame.content.target);
      if (!message) return;
      const { id: key } = use('WAWebMessageCodec').fromFrame(frame);
      await store(message, {
        key, sender: use('WAWebWidFactory').createWid(frame.author), names: frame.content.selected ?? [],
        tMs: frame.t * 1000,
      });
    };
    exports.store = store;
  });

  define('WAWebPollsSendVoteMsgAction', (exports, use) => {
    // `localIds`: a Set or list of the chosen options' numbers.
    exports.sendVote = async (message, localIds) => {
      const chosen = new Set(localIds);
      const names = message.pollOptions.filter((option) => chosen.has(option.localId)).map((option) => option.name);
      const { frame, result } = await use('WAWebMessageTarget').send(message, 'poll_vote', '', { selected: names });
      if (result.messageSendResult === 'OK') {
        const MsgKey = use('WAWebMsgKey').default;
        await use('WAWebPollVotesBackend').store(message, {
          key: new MsgKey({ fromMe: true, remote: message.id.remote, id: frame.id }),
          sender: use('WAWebUserPrefsMeUser').getMePnUserOrThrow(), names, tMs: frame.t * 1000,
        });
      }
      return result;
    };
  });

  define('WAWebPollsVotesCollection', (exports, use) => {
    exports.upsertVotes = async (votes) => use('WAWebStorage').putAll('poll-votes', votes.map((vote) => ({
      id: `${vote.parentMsgKey}|${vote.sender}`,
      parentMsgKey: String(vote.parentMsgKey),
      sender: String(vote.sender),
      selectedOptionLocalIds: [...vote.selectedOptionLocalIds],
      senderTimestampMs: vote.senderTimestampMs,
    })));
  });

  define('WAWebPollsVotesSchema', (exports, use) => {
    exports.getTable = () => {
      const table = "poll-votes";
      const matching = async (name, values) => {
        const rows = await use('WAWebStorage').getAll(table);
        return rows.filter((row) => values.includes(row[name]));
      };
      return {
        equals: ([name], value) => matching(name, [String(value)]),
        anyOf: ([name], values) => matching(name, values.map(String)),
      };
    };
  });

  define('WAWebPollsVoteUtils', (exports, use) => {
    exports.voteFromDbRow = (row) => ({
      ...row,
      sender: use('WAWebWidFactory').createWid(row.sender),
      parentMsgKey: use('WAWebMsgKey').default.fromString(row.parentMsgKey),
    });
  });

  define('WAWebAddonPollVoteTableMode', (exports) => {
    exports.pollVoteTableMode = { bulkUpsert: async (votes) => votes };
  });
})();
