//! LevelDB's log: what was written since its last table. Read whole, and one
//! record appended (<https://github.com/google/leveldb/blob/main/doc/log_format.md>).

/// A log is a row of blocks; no header crosses the end of one.
const BLOCK: usize = 32 * 1024;
/// Checksum, length, kind.
const HEADER: usize = 7;

/// How a piece stands in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Whole,
    First,
    Middle,
    Last,
}

impl Piece {
    fn of(kind: u8) -> Option<Self> {
        match kind {
            1 => Some(Self::Whole),
            2 => Some(Self::First),
            3 => Some(Self::Middle),
            4 => Some(Self::Last),
            _ => None,
        }
    }

    fn kind(self) -> u8 {
        match self {
            Self::Whole => 1,
            Self::First => 2,
            Self::Middle => 3,
            Self::Last => 4,
        }
    }
}

/// A log as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Log {
    /// The records, whole and in order.
    pub(super) records: Vec<Vec<u8>>,
    /// Where the last of them ends. What stands behind it was being written
    /// when the writer died, and nobody reads it.
    pub(super) end: usize,
}

/// Reads a log. `None` where it is broken before its end, which is not for us to mend.
pub(super) fn read(bytes: &[u8]) -> Option<Log> {
    let mut log = Log {
        records: Vec::new(),
        end: 0,
    };
    let (mut at, mut open) = (0, None::<Vec<u8>>);
    loop {
        let left = BLOCK - at % BLOCK;
        if left < HEADER {
            at += left;
            continue;
        }
        let Some((head, rest)) = bytes.get(at..).and_then(|rest| rest.split_first_chunk()) else {
            return Some(log);
        };
        let [c0, c1, c2, c3, l0, l1, kind]: [u8; HEADER] = *head;
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        let piece = Piece::of(kind)?;
        if HEADER + length > left {
            return None;
        }
        let Some(payload) = rest.get(..length) else {
            return Some(log);
        };
        if masked(checksum(kind, payload)) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return None;
        }
        at += HEADER + length;
        match (piece, open.as_mut()) {
            (Piece::Whole, None) => log.records.push(payload.to_vec()),
            (Piece::First, None) => {
                open = Some(payload.to_vec());
                continue;
            }
            (Piece::Middle, Some(record)) => {
                record.extend_from_slice(payload);
                continue;
            }
            (Piece::Last, Some(_)) => {
                let mut record = open.take()?;
                record.extend_from_slice(payload);
                log.records.push(record);
            }
            (Piece::Whole | Piece::First, Some(_)) | (Piece::Middle | Piece::Last, None) => {
                return None;
            }
        }
        log.end = at;
    }
}

/// What must be written at `end` of a log so that it holds one more record.
pub(super) fn appended(end: usize, record: &[u8]) -> Vec<u8> {
    let (mut out, mut rest, mut first) = (Vec::new(), record, true);
    loop {
        let left = BLOCK - (end + out.len()) % BLOCK;
        if left < HEADER {
            out.resize(out.len() + left, 0);
            continue;
        }
        let (payload, after) = rest.split_at(rest.len().min(left - HEADER));
        let piece = match (first, after.is_empty()) {
            (true, true) => Piece::Whole,
            (true, false) => Piece::First,
            (false, false) => Piece::Middle,
            (false, true) => Piece::Last,
        };
        let kind = piece.kind();
        out.extend_from_slice(&masked(checksum(kind, payload)).to_le_bytes());
        // A payload is shorter than a block.
        out.extend_from_slice(
            &u16::try_from(payload.len())
                .unwrap_or(u16::MAX)
                .to_le_bytes(),
        );
        out.push(kind);
        out.extend_from_slice(payload);
        if after.is_empty() {
            return out;
        }
        (rest, first) = (after, false);
    }
}

/// CRC-32C by bytes, of the kind and what follows the header.
fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let step = |crc: u32, byte: u8| {
        let [low, ..] = (crc ^ u32::from(byte)).to_le_bytes();
        CRC[usize::from(low)] ^ (crc >> 8)
    };
    !payload
        .iter()
        .fold(step(u32::MAX, kind), |crc, &byte| step(crc, byte))
}

/// As LevelDB keeps it, so that a log inside of a log is not taken for one.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut n: u32 = 0;
    while n < 256 {
        let (mut crc, mut bit) = (n, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[n as usize] = crc;
        n += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The check value that every CRC-32C has (RFC 3720, B.4: 32 bytes of zeros).
    #[test]
    fn the_checksum_is_crc_32c() {
        assert_eq!(checksum(0, &[0; 31]), 0x8a91_36aa);
    }

    proptest! {
        #[test]
        fn what_is_appended_is_read_and_a_torn_end_is_not(
            sizes in prop::collection::vec(0..70_000_usize, 1..6),
            torn in 0..200_usize,
        ) {
            let mut bytes = Vec::new();
            let mut ends = vec![0];
            let records: Vec<Vec<u8>> = sizes.iter().zip(0_u8..).map(|(&n, i)| vec![i; n]).collect();
            for record in &records {
                bytes.extend(appended(bytes.len(), record));
                ends.push(bytes.len());
            }
            let whole = Log { records: records.clone(), end: bytes.len() };
            prop_assert_eq!(read(&bytes), Some(whole));
            bytes.truncate(bytes.len() - torn.clamp(1, bytes.len()));
            let kept = ends.iter().filter(|&&end| end <= bytes.len()).count() - 1;
            let log = read(&bytes);
            prop_assert_eq!(log, Some(Log { records: records[..kept].to_vec(), end: ends[kept] }));
        }
    }

    #[test]
    fn what_is_broken_in_the_middle_is_not_read() {
        let mut bytes = appended(0, b"one");
        let broken = bytes.len() - 1;
        bytes.extend(appended(bytes.len(), b"two"));
        bytes[broken] ^= 1;
        assert_eq!(read(&bytes), None);
    }
}
