//! SRTP and SRTCP: what we protect comes back as it was, once; nothing that a stranger makes or changes is let in.

use media::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};

use crate::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let control = input.u8();
    let suite = Suite::ALL[usize::from(control & 3)];
    let Some(key) = (0..64).find_map(|length| MasterKey::new(suite, &vec![control; length])) else {
        unreachable!("every suite has a length of key and salt");
    };
    let mut receiver = SrtpReceiver::new(&key);

    // A stranger's bytes. The chance of a tag of 32 bits is one in four thousand million, and it would be a finding.
    let mut packet = input.0.to_vec();
    assert!(receiver.unprotect_rtp(&mut packet).is_err());
    let mut packet = input.0.to_vec();
    assert!(receiver.unprotect_rtcp(&mut packet).is_err());

    // The same as a packet of ours: whole, twice, and with a bit turned over.
    let rtcp = control & 4 != 0;
    let (flipped, bit) = (usize::from(input.u16()), control >> 5);
    let mut plain = input.0.to_vec();
    if let [first, ..] = plain.as_mut_slice() {
        *first = *first & 0x3f | 0x80;
    }
    let mut sender = SrtpSender::new(&key);
    let mut protected = plain.clone();
    let outcome = if rtcp {
        sender.protect_rtcp(&mut protected, 0)
    } else {
        sender.protect_rtp(&mut protected, 0)
    };
    if outcome.is_err() {
        assert_eq!(protected, plain, "a refusal changes nothing");
        return;
    }
    let mut changed = protected.clone();
    let at = flipped % changed.len();
    changed[at] ^= 1 << bit;
    let mut unprotect = |packet: &mut Vec<u8>| {
        if rtcp {
            receiver.unprotect_rtcp(packet)
        } else {
            receiver.unprotect_rtp(packet)
        }
    };
    assert!(unprotect(&mut changed).is_err(), "byte {at} was changed");
    let mut again = protected.clone();
    let length = unprotect(&mut protected);
    assert_eq!(length.ok(), Some(plain.len()));
    assert_eq!(protected[..plain.len()], plain);
    assert!(unprotect(&mut again).is_err(), "a replay");
}
