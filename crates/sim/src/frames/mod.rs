//! The frames of PROTOCOL.md. What the page sends is read strictly where the
//! server needs it and ignored where it does not.

mod client;
mod fault;
mod server;

pub(crate) use client::CLIENT_OPS;
pub use client::{
    ClientFrame, DeviceLogin, Hello, PageKeys, PasskeyAssertion, QueryFrame, SendFrame,
};
pub use fault::{PageFault, ThrowWhen};
pub use server::{Item, Me, MessageFrame, Plain, ServerFrame, SyncChunk};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn frames_look_as_the_protocol_says() {
        let item = ServerFrame::Item {
            sid: 7,
            offline: true,
            item: Item::Receipt {
                ids: vec!["3EB0".to_owned()],
                chat: "1@c.us".to_owned(),
                from: "1@c.us".to_owned(),
                participant: None,
                level: 2,
                t: 5,
            },
        };
        assert_eq!(
            serde_json::to_value(item).unwrap(),
            json!({"sid":7,"offline":true,"op":"receipt","ids":["3EB0"],"chat":"1@c.us",
                   "from":"1@c.us","participant":null,"level":2,"t":5})
        );
        let fault = ServerFrame::from(Plain::Fault(PageFault::Hang { ms: 5 }));
        assert_eq!(
            serde_json::to_value(fault).unwrap(),
            json!({"op":"fault","kind":"hang","ms":5})
        );
    }

    #[test]
    fn every_op_is_listed_and_unknown_members_are_ignored() {
        let hello: ClientFrame =
            serde_json::from_value(json!({"op":"hello","device":null,"tab":"x","new":1})).unwrap();
        assert!(matches!(
            hello,
            ClientFrame::Hello(Hello { device: None, .. })
        ));
        for op in CLIENT_OPS {
            let error = serde_json::from_value::<ClientFrame>(json!({"op": op}))
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert!(!error.contains("unknown variant"), "{op}: {error}");
        }
    }
}
