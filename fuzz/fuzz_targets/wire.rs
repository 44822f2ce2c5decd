//! What a client and a server read of each other: request, identity, host name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_model::wire::{self, Identity};

fuzz_target!(|data: &[u8]| {
    request(data);
    identity(data);
    host_name(data);
    // The fuzzer need not find the magic first.
    identity(&[&wire::IDENTITY_MAGIC[..], &[1], data].concat());
});

fn request(data: &[u8]) {
    if let Some(size) = wire::decode_request(data) {
        assert_eq!(wire::encode_request(size), data[..wire::REQUEST_LEN]);
        for datagram in [false, true] {
            let end = wire::identity_end(size as usize, datagram);
            assert!((wire::NAME_LEN..=wire::IDENTITY_END_MAX).contains(&end));
        }
    }
}

/// What is read can be written over a region of that length and read again.
fn identity(region: &[u8]) {
    let Some(identity) = Identity::decode(region) else { return };
    for text in [&identity.pod, &identity.pod_uid, &identity.node, &identity.version] {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    let mut written = vec![0xaa; region.len()];
    identity.encode(&mut written);
    assert_eq!(Identity::decode(&written), Some(identity.clone()));
    // In a shorter region strings are cut, and the rest stays.
    let mut short = vec![0xaa; region.len() / 2];
    identity.encode(&mut short);
    if let Some(cut) = Identity::decode(&short) {
        assert_eq!(cut.peer, identity.peer);
        let pairs = [(&cut.pod, &identity.pod), (&cut.pod_uid, &identity.pod_uid), (&cut.node, &identity.node)];
        assert!(pairs.iter().all(|(cut, whole)| whole.starts_with(cut.as_str())));
    }
}

fn host_name(data: &[u8]) {
    let Some(name) = wire::host_name(data) else { return };
    assert!(!name.is_empty() && name.len() < wire::NAME_LEN, "{name:?}");
    assert!(!name.contains(char::is_control), "{name:?}");
    assert_eq!(wire::host_name(&[name.as_bytes(), &[0]].concat()), Some(name));
}
