//! Directors: what balances connections over pods. Changes when one is added.

pub mod userspace;
