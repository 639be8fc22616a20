// Groups: what is known of each, who is in it, and the actions on it.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebParticipantModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');

    class ParticipantModel extends BaseModel {
      static defaults() { return { isAdmin: false, isSuperAdmin: false }; }

      get contact() { return use('WAWebContactCollection').ContactCollection.gadd(this.id, { silent: true }); }
    }
    defineModel(ParticipantModel, 'participant', ['id', 'isAdmin', 'isSuperAdmin', 'phoneNumber', 'lid']);
    exports.default = ParticipantModel;
  });

  define('WAWebParticipantCollection', (exports, use) => {
    const { BaseCollection } = use('WAWebBaseCollection');

    class ParticipantCollection extends BaseCollection {
      static model = use('WAWebParticipantModel').default;

      mine() { return this.findFirst((member) => use('WAWebUserPrefsMeUser').isMeAccount(member.id)); }

      iAmMember() { return this.mine() !== undefined; }

      iAmAdmin() {
        const member = this.mine();
        return Boolean(member && (member.isAdmin || member.isSuperAdmin));
      }

      iAmSuperAdmin() { return Boolean(this.mine()?.isSuperAdmin); }

      iAmRestrictedMember() { return false; }

      canAdd() { return this.iAmAdmin(); }

      canPromote(member) { return this.iAmAdmin() && !member.isAdmin; }

      canDemote(member) { return this.iAmAdmin() && member.isAdmin && !member.isSuperAdmin; }

      canRemove(member) { return this.iAmAdmin() && !member.isSuperAdmin; }
    }
    exports.default = ParticipantCollection;
  });

  define('WAWebGroupMetadataModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const NAMES = [
      'id', 'subject', 'owner', 'creation', 'desc', 'descId', 'announce', 'restrict', 'participants',
      'pastParticipants', 'stale', 'isLidAddressingMode', 'groupType', 'joinedSubgroups', 'size',
      'memberAddMode', 'membershipApprovalMode', 'membershipApprovalRequests', 'ephemeralDuration',
    ];

    class GroupMetadataModel extends BaseModel {
      static defaults() {
        const ParticipantCollection = use('WAWebParticipantCollection').default;
        return {
          participants: new ParticipantCollection(), pastParticipants: new ParticipantCollection(),
          membershipApprovalRequests: new ParticipantCollection(),
          stale: true, groupType: 'DEFAULT', joinedSubgroups: [], memberAddMode: 'admin_add',
          announce: false, restrict: false,
        };
      }

      canSetSubject() { return this.mayChangeInfo(); }

      canSetDescription() { return this.mayChangeInfo(); }

      canSetGroupProperty() { return this.participants.iAmAdmin(); }

      canSetEphemeralSetting() { return this.mayChangeInfo(); }

      mayChangeInfo() { return this.restrict ? this.participants.iAmAdmin() : this.participants.iAmMember(); }
    }
    defineModel(GroupMetadataModel, 'groupMetadata', NAMES);
    exports.default = GroupMetadataModel;
  });

  define('WAWebGroupMetadataCollection', (exports, use) => {
    const { BaseCollection } = use('WAWebBaseCollection');

    class GroupMetadataCollectionImpl extends BaseCollection {
      static model = use('WAWebGroupMetadataModel').default;

      onParentGroupChange() {}

      async find(id) {
        const metadata = this.gadd(id);
        if (metadata.stale !== false) await this.update(id);
        return metadata;
      }

      async update(id) {
        const { group } = await use('WAWebWire').query('group_info', { id: String(id) });
        return this.take(group);
      }

      take(group) {
        const { createWid } = use('WAWebWidFactory');
        const metadata = this.gadd(createWid(group.id), { silent: true });
        // An answer overtakes updates that still wait to be applied: their state is older.
        if (metadata.rev > group.rev) return metadata;
        metadata.rev = group.rev;
        const { participants } = metadata;
        const present = new Set(group.participants.map((member) => member.id));
        participants.remove(participants.filter((member) => !present.has(String(member.id))));
        for (const member of group.participants) {
          use('WAWebApiContact').learnPair(member.pn, member.lid);
          participants.add({
            id: createWid(member.id),
            isAdmin: Boolean(member.admin || member.super_admin),
            isSuperAdmin: Boolean(member.super_admin),
            phoneNumber: member.pn ? createWid(member.pn) : undefined,
            lid: member.lid ? createWid(member.lid) : undefined,
          }, { merge: true });
        }
        metadata.set({
          subject: group.subject,
          owner: group.owner ? createWid(group.owner) : undefined,
          creation: group.created_t,
          desc: group.description,
          announce: Boolean(group.announce),
          restrict: Boolean(group.restrict),
          size: group.participants.length,
          isLidAddressingMode: group.participants.some((member) => member.id.endsWith('@lid')),
          stale: false,
        });
        use('WAWebStorage').put('group-metadata', group).catch(() => {});
        const chat = use('WAWebChatCollection').ChatCollection.get(metadata.id);
        chat?.set({ groupMetadata: metadata, name: group.subject });
        return metadata;
      }
    }

    exports.default = new GroupMetadataCollectionImpl();
  });

  define('WAWebGroupCreateJob', (exports, use) => {
    exports.GroupAlreadyExistsError = class GroupAlreadyExistsError extends Error {};

    // `participants`: `[{ phoneNumber, lid }]` or addresses.
    exports.createGroup = async (options, participants) => {
      const { createWid } = use('WAWebWidFactory');
      const subject = typeof options === 'string' ? options : options.title;
      const wanted = participants.map((entry) => String(entry.phoneNumber ?? entry.lid ?? entry));
      const answer = await use('WAWebWire').query('group_create', { subject, participants: wanted });
      use('WAWebGroupMetadataCollection').default.take(answer.group);
      const wid = createWid(answer.group.id);
      await use('WAWebFindChatAction').findOrCreateLatestChat(wid);
      return {
        wid,
        participants: answer.participants.map(({ id, code }) => ({
          wid: createWid(id), error: code === 200 ? null : code, invite_code: undefined, invite_code_exp: undefined,
        })),
      };
    };
  });

  define('WAWebGroupModifyParticipantsJob', (exports, use) => {
    const run = async (group, members, action) => {
      const { createWid } = use('WAWebWidFactory');
      const id = String(group.id ?? group);
      const participants = members.map((entry) => String(entry.phoneNumber ?? entry.lid ?? entry.id ?? entry));
      const answer = await use('WAWebWire').query('group_participants', { id, action, participants });
      await use('WAWebGroupMetadataCollection').default.update(createWid(id));
      return {
        status: 207,
        participants: answer.participants.map((entry) => ({
          userWid: createWid(entry.id), code: String(entry.code), invite_code: undefined, invite_code_exp: undefined,
        })),
      };
    };
    exports.addGroupParticipants = (id, members) => run(id, members, 'add');
    exports.removeGroupParticipants = (id, members) => run(id, members, 'remove');
    exports.promoteGroupParticipants = (id, members) => run(id, members, 'promote');
    exports.demoteGroupParticipants = (id, members) => run(id, members, 'demote');
  });

  define('WAWebModifyParticipantsGroupAction', (exports, use) => {
    const jobs = () => use('WAWebGroupModifyParticipantsJob');
    exports.addParticipants = (chat, members) => jobs().addGroupParticipants(chat.id, members);
    exports.removeParticipants = (chat, members) => jobs().removeGroupParticipants(chat.id, members);
    exports.promoteParticipants = (chat, members) => jobs().promoteGroupParticipants(chat.id, members);
    exports.demoteParticipants = (chat, members) => jobs().demoteGroupParticipants(chat.id, members);
    exports.promoteCommunityParticipants = exports.promoteParticipants;
    exports.demoteCommunityParticipants = exports.demoteParticipants;
  });

  define('WAWebGroupModifyInfoJob', (exports, use) => {
    const run = async (id, members) => {
      const { group } = await use('WAWebWire').query('group_set', { id: String(id.id ?? id), ...members });
      use('WAWebGroupMetadataCollection').default.take(group);
      return { status: 200 };
    };
    exports.setGroupSubject = (id, subject) => run(id, { subject });
    exports.setGroupDescription = (id, description) => run(id, { description });
    exports.setGroupProperty = (id, property, value) => {
      const name = { announcement: 'announce', restrict: 'restrict', ephemeral: 'ephemeral_s' }[property] ?? property;
      return run(id, { [name]: name === 'ephemeral_s' ? Number(value) : Boolean(value) });
    };
  });

  define('WAWebSetPropertyGroupAction', (exports, use) => {
    exports.setGroupProperty = (chat, property, value) => (
      use('WAWebGroupModifyInfoJob').setGroupProperty(chat.id, property, value)
    );
  });

  define('WAWebExitGroupAction', (exports, use) => {
    exports.sendExitGroup = async (chat) => {
      await use('WAWebWire').query('group_leave', { id: String(chat.id) });
      chat.set({ isReadOnly: true });
      return { status: 200 };
    };
  });

  define('WAWebQueryAndUpdateGroup', (exports, use) => {
    exports.queryAllGroups = async () => {
      const { groups } = await use('WAWebWire').query('groups');
      const { ChatCollection } = use('WAWebChatCollection');
      return groups.map((group) => {
        const metadata = use('WAWebGroupMetadataCollection').default.take(group);
        if (!ChatCollection.get(metadata.id)) ChatCollection.take({ id: group.id, name: group.subject, t: group.created_t });
        return metadata;
      });
    };
  });

  define('WAWebGroupQueryJob', (exports, use) => {
    exports.queryAndUpdateGroupMetadataById = async ({ id }) => (
      use('WAWebGroupMetadataCollection').default.update(use('WAWebWidFactory').createWid(String(id)))
    );
    exports.getGroupSizeLimit = () => 1024;
  });

  define('WAWebGroupInviteJob', (exports, use) => {
    const { createWid } = use('WAWebWidFactory');
    exports.queryGroupInviteCode = async (id) => use('WAWebWire').query('group_invite', { id: String(id.id ?? id) });
    exports.resetGroupInviteCode = async (id) => (
      use('WAWebWire').query('group_invite', { id: String(id.id ?? id), revoke: true })
    );
    exports.joinGroupViaInvite = async (code) => {
      const { group } = await use('WAWebWire').query('group_join', { code });
      use('WAWebGroupMetadataCollection').default.take(group);
      await use('WAWebFindChatAction').findOrCreateLatestChat(createWid(group.id));
      return { gid: createWid(group.id) };
    };
    exports.sendQueryGroupInvite = async (code) => {
      const { group } = await use('WAWebWire').query('group_by_invite', { code });
      return {
        groupInfo: {
          id: createWid(group.id),
          subject: group.subject,
          owner: group.owner ? createWid(group.owner) : undefined,
          desc: group.description,
          size: group.participants.length,
          membershipApprovalMode: false,
          participants: group.participants.map((member) => ({ id: createWid(member.id), isAdmin: Boolean(member.admin) })),
        },
      };
    };
  });

  define('WAWebMexFetchGroupInviteCodeJob', (exports, use) => {
    exports.fetchMexGroupInviteCode = async (id) => (await use('WAWebGroupInviteJob').queryGroupInviteCode(id)).code;
  });

  define('WAWebGroupMsgAction', (exports, use) => {
    // What the database and the models do with a change of a group; `data` names the action.
    exports.updateDBForGroupAction = async (message, data) => {
      if (data.group) use('WAWebGroupMetadataCollection').default.take(data.group);
    };
  });
})();
