//! Whatever is done to the journals.
