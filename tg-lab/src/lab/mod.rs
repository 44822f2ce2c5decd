//! The lab as a whole: from a plan to the journals of what happened. Changes when the order of its phases does.

mod error;
mod ground;

pub use error::LabError;
pub use ground::{Enter, Ground, NetworkFault, PodHome, PodPlace, SERVICE_PORT};
