//! Places as words: a process's cgroup, `--vip`, `--interface`. What is read is told again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tg_ebpf::place::{Interface, owner, vip};

fuzz_target!(|text: &str| {
    let owner = owner(text);
    assert!(owner.container.is_none_or(|id| id.len() == 64));
    if let Ok(address) = vip(text) {
        assert_eq!(vip(&address.to_string()), Ok(address));
    }
    if let Ok(interface) = text.parse::<Interface>() {
        let told = format!("{interface}{}", if interface.xdp { "=xdp" } else { "" });
        assert_eq!(told, text);
    }
});
