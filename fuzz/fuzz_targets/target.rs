//! A server's place as text: what parses is shown so that it parses to the same again, also in JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use tg_model::plan::Target;

fuzz_target!(|text: &str| {
    match text.parse::<Target>() {
        Ok(target) => {
            assert!(target.port > 0);
            let shown = target.to_string();
            assert_eq!(shown.parse(), Ok(target.clone()));
            if let Ok(address) = text.parse::<SocketAddr>() {
                assert_eq!(shown, address.to_string(), "a part of the address is gone");
            }
            let json = serde_json::to_string(&target).expect("text");
            assert_eq!(serde_json::from_str::<Target>(&json).expect("its own text"), target);
        }
        Err(error) => assert!(error.contains("want ADDRESS:PORT"), "{error}"),
    }
});
