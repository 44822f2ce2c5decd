//! What balances connections over pods.
